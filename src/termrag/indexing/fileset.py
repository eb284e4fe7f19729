"""An index as files: Parquet for chunks and documents, and a manifest that says what belongs to it and hashes to what.

The manifest is written last, so that a folder without one was never finished. Chunks are written and read a batch at a
time; what is held in memory does not grow with the index.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.errors import ConfigError, NotFound, StoreUnavailable
from termrag.records import Row
from termrag.stores import Identity
from termrag.stores.rows import rows_of, schema_for, table_of

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
_FORMAT = 1
_ROWS_PER_FILE = 100_000
_READ = 2000
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class SetFile:
    name: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`kind` is export or backup. `settings` are those that shaped the index, by their dotted names."""

    kind: str
    identity: Identity
    documents: int
    chunks: int
    files: tuple[SetFile, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    made_by: str = ""
    made_at: str = ""

    def names(self, beginning: str) -> list[str]:
        return [file.name for file in self.files if file.name.startswith(beginning)]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class Writer:
    """Writes a file set into a new folder. Leaving the block without `finish` takes away what was written."""

    def __init__(self, folder: Path) -> None:
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty", "Name a folder that is not there yet.")
        self.folder = folder
        self._files: list[SetFile] = []
        self._begun: list[Path] = []
        self._open: Any = None
        self._rows = 0
        self._is_finished = False
        self.chunks = 0

    def __enter__(self) -> Writer:
        self._is_new = not self.folder.exists()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"{self.folder} cannot be made: {error.strerror}", "Name another folder.") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._open is not None:
            self._open.close()
        if not self._is_finished:
            for file in self._begun:
                file.unlink(missing_ok=True)
            if self._is_new and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def begin_file(self, name: str) -> Path:
        """The path of a file that is going to be part of the set."""
        self._begun.append(self.folder / name)
        return self._begun[-1]

    def add_file(self, name: str, rows: int = 0) -> None:
        """Note a file that is complete."""
        file = self.folder / name
        self._files.append(SetFile(name, rows, file.stat().st_size, hash_of(file)))

    def add_rows(self, rows: Sequence[Row], dimension: int) -> None:
        """Write chunks, in files of so many that each can be carried about."""
        import pyarrow.parquet as pq

        if not rows:
            return
        with disk_errors(self.folder):
            if self._open is None:
                number = sum(file.name.startswith("chunks-") for file in self._files)
                file = self.begin_file(f"chunks-{number:05d}.parquet")
                self._open = pq.ParquetWriter(file, schema_for(dimension), compression="zstd")
            self._open.write_table(table_of(rows, (), dimension))
        self._rows += len(rows)
        self.chunks += len(rows)
        if self._rows >= _ROWS_PER_FILE:
            self._close_rows()

    def _close_rows(self) -> None:
        if self._open is not None:
            with disk_errors(self.folder):
                self._open.close()
            self._open = None
            self.add_file(self._begun[-1].name, self._rows)
            self._rows = 0

    def add_table(self, name: str, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        self._close_rows()
        with disk_errors(self.folder):
            pq.write_table(table, self.begin_file(name), compression="zstd")
        self.add_file(name, table.num_rows)

    def finish(self, kind: str, identity: Identity, documents: int, settings: Mapping[str, Any]) -> Manifest:
        """Write the manifest: from now on the set is complete."""
        self._close_rows()
        manifest = Manifest(
            kind, identity, documents, self.chunks, tuple(self._files), settings,
            made_by=f"termrag {version('termrag')}", made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        part = self.begin_file(f"{MANIFEST}.part")
        with disk_errors(self.folder):
            for file in self._begun[:-1]:
                _to_disk(file)
            part.write_text(json.dumps({"format": _FORMAT, **asdict(manifest)}, indent=2), encoding="utf-8")
            _to_disk(part)
            part.replace(self.folder / MANIFEST)
        self._is_finished = True
        return manifest


class disk_errors:  # noqa: N801 - reads as the block it is
    """What the disk refuses becomes a StoreUnavailable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise StoreUnavailable(f"{self._folder} cannot be written: {error}", "Free some disk space.") from error


def read_manifest(folder: Path) -> Manifest:
    """Raises NotFound for what is no file set, ConfigError for one that was not finished, is newer, or misses files."""
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", "termrag index export FOLDER makes one")
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if data.pop("format") > _FORMAT:
            raise ConfigError(f"{folder} was written by a newer termrag", "pip install --upgrade termrag")
        files = tuple(SetFile(**each) for each in data.pop("files"))
        manifest = Manifest(**{**data, "identity": Identity(**data["identity"]), "files": files})
    except FileNotFoundError:
        raise ConfigError(
            f"{folder} has no {MANIFEST}: it was never finished, or is something else", "Write it again."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder / MANIFEST} is damaged: {error}", "Write it again.") from error
    for file in manifest.files:
        if "/" in file.name or file.name.startswith("."):
            raise ConfigError(f"{folder / MANIFEST} names a file outside its folder", "Write it again.")
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.size_bytes:
            raise ConfigError(f"{path} is missing or cut short", "Copy the folder again, or write it again.")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> Iterator[int]:
    """Yield the bytes of each file that hashes to what it should. Raises ConfigError for the first that does not."""
    for file in manifest.files:
        if hash_of(folder / file.name) != file.sha256:
            raise ConfigError(f"{folder / file.name} is damaged", "Copy the folder again, or write it again.")
        yield file.size_bytes


def read_rows(folder: Path, manifest: Manifest) -> Iterator[tuple[Row, ...]]:
    """All chunks, a batch at a time."""
    import pyarrow.parquet as pq

    for name in manifest.names("chunks-"):
        with pq.ParquetFile(folder / name) as file:
            for batch in file.iter_batches(_READ):
                yield rows_of(batch)


def hash_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _to_disk(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
