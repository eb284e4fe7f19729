"""API keys: made once and shown once, kept as hashes in a private file that a running server reads again by itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from termrag.errors import ConfigError, NotFound

PREFIX = "termrag_"
SCOPES = ("read", "ask", "write", "admin")


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Times are seconds since the epoch; `expires_at` 0: never."""

    id: str
    name: str
    scopes: tuple[str, ...]
    hash: str
    created_at: float
    expires_at: float = 0.0
    revoked_at: float = 0.0

    @property
    def state(self) -> str:
        """`valid`, `revoked` or `expired`."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= time.time() else "valid"


class Keys:
    """The keys of one configuration folder."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[int, dict[str, Key]] | None = None

    def all(self) -> list[Key]:
        """In the order of their making. Raises ConfigError for a file that is damaged."""
        return list(self._keys().values())

    def create(self, name: str, scopes: Sequence[str], *, expires_at: float = 0.0) -> tuple[Key, str]:
        """Make a key; the text that clients send is returned here and never again. Raises ConfigError."""
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise ConfigError(f"no such scope: {', '.join(unknown) or 'none given'}", f"Scopes: {', '.join(SCOPES)}")
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = Key(key_id, name, tuple(scopes), _hash(secret), time.time(), expires_at)
        self._write({**self._keys(), key_id: key})
        return key, f"{PREFIX}{key_id}_{secret}"

    def revoke(self, reference: str) -> Key:
        """Make a key worthless, by id or name. Raises NotFound."""
        keys = self._keys()
        named = [key for key in keys.values() if reference in (key.id, key.name) and not key.revoked_at]
        if len(named) != 1:
            many = f"{len(named)} keys are called {reference}" if named else f"there is no key {reference}"
            raise NotFound(many, "termrag keys list")
        gone = replace(named[0], revoked_at=time.time())
        self._write({**keys, gone.id: gone})
        return gone

    def check(self, text: str) -> Key | None:
        """The key that a client sent, if it is valid."""
        if not text.startswith(PREFIX):
            return None
        key_id, _, secret = text.removeprefix(PREFIX).partition("_")
        key = self._keys().get(key_id)
        known = key.hash if key else _hash("")
        is_right = hmac.compare_digest(known, _hash(secret))
        return key if key and is_right and key.state == "valid" else None

    def _keys(self) -> dict[str, Key]:
        try:
            stamp = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, _parsed(self._file))
        return dict(self._read[1])

    def _write(self, keys: dict[str, Key]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump([asdict(key) for key in keys.values()], out, indent=1)
        part.replace(self._file)
        self._read = None


def _parsed(file: Path) -> dict[str, Key]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        keys = [Key(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
    except (ValueError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is damaged: {error}", f"Remove it and make new keys: rm {file}") from error
    return {key.id: key for key in keys}


def _hash(secret: str) -> str:
    # The secret has 256 random bits: a slow hash would guard nothing, and every request would pay for it.
    return hashlib.sha256(secret.encode()).hexdigest()
