"""The frozen values of adding: what would become of each file before anything is read, and what can be read at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What adding would do with a file, as far as its name, its size and the ledger tell."""

    NEW = "new"
    CHANGED = "changed"  # in the library, but the file was written since
    KNOWN = "already in"
    FAILED = "failed before"  # and has not changed since
    UNSUPPORTED = "not a readable type"
    TOO_LARGE = "too large"
    EMPTY = "empty"


WANTED = frozenset((Fate.NEW, Fate.CHANGED))
"""The fates of files that would be read."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is met below the given paths. `format` is its suffix without the dot, in lower case."""

    path: str
    size_bytes: int
    format: str
    fate: Fate


@dataclass(frozen=True, slots=True)
class AddPreview:
    """What adding would do. While files are still being looked for `complete` is false, and `seen` says how many there
    are so far. `roots` are the given paths as the file system has them; `trouble` are (path, reason) of what could not
    be looked at, or is no file."""

    seen: int = 0
    complete: bool = False
    roots: tuple[str, ...] = ()
    files: tuple[Candidate, ...] = ()
    trouble: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A name in a folder that is browsed. `left_out` says why a walk would not take it; empty: it would."""

    name: str
    is_folder: bool
    size_bytes: int = 0
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """Files of one kind that can be read: the suffixes, and whether a parser of their own reads them in isolation."""

    title: str
    suffixes: tuple[str, ...]
    isolated: bool
