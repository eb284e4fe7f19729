"""Prompt caches of conversations on disk: what an engine has read of one in a slot is put away when the slot goes on to
another or the engine is closed, and taken out for its next question; knows no prompt and no turn.

A file serves only the model, template and engine that wrote it, and only if not a byte of it has changed. The engine
then compares its tokens with the new prompt's: so a cache can be useless, but never wrong. Losing one costs time alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from termrag.engines import Engine, KeepsPrefix
from termrag.errors import EngineFailed
from termrag.logs import logger

_WORTH_CLOSING = 256  # tokens read since the last saving that are worth a file when the engine is closed ...
_WORTH_LEAVING = 512  # ... and when it only goes on to another conversation


@dataclass(slots=True)
class _Held:
    """The conversation whose prompt is in the cache of an engine's slot, and how much of it is on disk."""

    session_id: str
    saved_tokens: int = 0


class Prefixes:
    """A folder of prompt caches, at most `limit_bytes` together; 0: none are kept. The least used give way."""

    def __init__(self, folder: Path, limit_bytes: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self._folder = folder
        self._held: dict[tuple[int, int], _Held] = {}  # by engine and slot

    def turn_to(self, engine: Engine, session_id: str, slot: int = 0) -> None:
        """Before a slot answers a question of a conversation; an empty id for one that is not kept."""
        held = self._held.get((id(engine), slot))
        if held is not None and held.session_id == session_id:
            return
        self._save(engine, slot, _WORTH_LEAVING)
        held = self._held[id(engine), slot] = _Held(session_id)
        if session_id and self.limit_bytes and isinstance(engine, KeepsPrefix):
            held.saved_tokens = self._load(engine, session_id, slot)

    def put_away(self, engine: Engine) -> None:
        """Before an engine is closed."""
        for key in [key for key in self._held if key[0] == id(engine)]:
            self._save(engine, key[1], _WORTH_CLOSING)
            del self._held[key]

    def forget(self, session_id: str) -> None:
        """Delete what is kept of a conversation: it holds its text."""
        self._delete(self._folder / _name(session_id))
        for held in list(self._held.values()):
            if held.session_id == session_id:
                held.session_id = ""

    def clear(self) -> None:
        """Delete all that is kept."""
        for file in self._files():
            self._delete(file)
        for held in list(self._held.values()):
            held.session_id = ""

    def _save(self, engine: Engine, slot: int, worth: int) -> None:
        held = self._held.get((id(engine), slot))
        if held is None or not held.session_id or not self.limit_bytes or not isinstance(engine, KeepsPrefix):
            return
        if engine.held_tokens(slot) - held.saved_tokens < worth:
            return
        begun, file = time.perf_counter(), self._folder / _name(held.session_id)
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.touch(mode=0o600)
            held.saved_tokens = engine.save_prefix(part, slot)
            if not held.saved_tokens:
                return
            slip = {"key": engine.prefix_key, "sha256": _digest(part), "tokens": held.saved_tokens}
            part.replace(file)
            _write_private(file.with_suffix(".json"), json.dumps(slip))
            self._make_room()
            if not held.session_id:  # forgotten meanwhile
                self._delete(file)
        except (EngineFailed, OSError) as error:
            self._delete(file)
            logger.info("prefix not saved: %s", error)
            return
        finally:
            part.unlink(missing_ok=True)
        logger.info("prefix saved tokens=%d seconds=%.3f", held.saved_tokens, time.perf_counter() - begun)

    def _load(self, engine: KeepsPrefix, session_id: str, slot: int) -> int:
        """Give the engine what is kept; how many tokens that is. What does not fit it any more is deleted."""
        file = self._folder / _name(session_id)
        slip = _slip(file)
        if slip is None:
            return 0
        begun = time.perf_counter()
        try:
            if slip["key"] != engine.prefix_key or slip["sha256"] != _digest(file):
                self._delete(file)
                return 0
            tokens = engine.load_prefix(file, slot)
            os.utime(file)
        except (EngineFailed, OSError) as error:
            self._delete(file)
            logger.info("prefix not loaded: %s", error)
            return 0
        logger.info("prefix loaded tokens=%d seconds=%.3f", tokens, time.perf_counter() - begun)
        return tokens

    def _make_room(self) -> None:
        files = sorted(((file.stat().st_mtime_ns, file.stat().st_size, file) for file in self._files()), reverse=True)
        total = 0
        for _, size, file in files:
            total += size
            if total > self.limit_bytes:
                self._delete(file)

    def _files(self) -> list[Path]:
        return list(self._folder.glob("*.kv")) if self._folder.is_dir() else []

    def _delete(self, file: Path) -> None:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)


def _name(session_id: str) -> str:
    return f"{hashlib.sha256(session_id.encode()).hexdigest()[:32]}.kv"


def _slip(file: Path) -> dict[str, object] | None:
    """What stands beside a file of its making; None if it cannot be trusted."""
    try:
        slip = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return slip if isinstance(slip, dict) and file.is_file() and {"key", "sha256"} <= slip.keys() else None


def _digest(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _write_private(file: Path, text: str) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(file)
