"""Files put in place whole or not at all: hashes, durable writes, the disk-space check, one lock per model."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any

from termrag.errors import TermragError

_BLOCK_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20


def sha256_of(file: Path) -> str:
    """Hex digest of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_hashed(source: IO[bytes], target: Path) -> str:
    """Write `source` to `target`, flushed to disk; return the sha256 of what was written."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            out.write(block)
        sync_file(out)
    return digest.hexdigest()


def sync_file(stream: IO[Any]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make names within `folder` survive a power cut; a rename alone does not."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(file: Path, value: Any) -> None:
    """Replace `file` in one step."""
    temporary = file.with_name(file.name + ".new")
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(value, out, indent=1, sort_keys=True)
        sync_file(out)
    temporary.replace(file)


def read_json(file: Path) -> dict[str, Any]:
    """The object in `file`; empty where the file is absent or damaged."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def publish_folder(staged: Path, target: Path) -> None:
    """Make `staged` appear as `target`, replacing what was there. Readers see the old folder, none, or the new one."""
    sync_folder(staged)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    staged.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise TermragError if `folder`'s disk cannot take `needed_bytes` and stay usable."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + _SPARE_BYTES:
        raise TermragError(
            f"not enough space in {folder}: {in_words(needed_bytes + _SPARE_BYTES)} needed, {in_words(free)} free",
            f"df -h {folder}",
        )


def in_words(size_bytes: int) -> str:
    """1234567 → 1.2 MB."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "KB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class FileLock:
    """An advisory lock between processes. The operating system frees it when its holder dies."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it; never waits."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        # The file stays: removing it would let two processes lock two different files of one name.
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
