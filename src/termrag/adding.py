"""What adding would do, and what there is to add: from names, sizes, ignore rules and the ledger; reads no document."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import folders
from termrag.candidates import AddPreview, Candidate, Fate, FolderEntry, FormatInfo
from termrag.errors import NotFound
from termrag.events import IngestEvent
from termrag.folders import FoundFile, Scope, Walk
from termrag.ingest.plan import is_same_file
from termrag.paths import absolute
from termrag.readers import formats
from termrag.records import DocumentState

if TYPE_CHECKING:
    from termrag.ledger import FileEntry
    from termrag.parts import Embed, Parts

_TELL_S = 0.2  # how often a long walk says how far it is
NO_SUBFOLDERS = Scope(exclude=("*/",))
"""The scope of a folder without those below it."""


def preview(parts: Parts, paths: Sequence[str | Path], *, subfolders: bool = True) -> Iterator[AddPreview]:
    """What adding these paths would do: from time to time how many files were met, at the end all of them, by path."""
    found = Walk()
    given = [os.path.realpath(absolute(path)) for path in paths]
    scopes = folders.NO_SCOPES if subfolders else dict.fromkeys(given, NO_SUBFOLDERS)
    told = time.monotonic()
    for _ in folders.walking(given, found, parts.config.documents.exclude, scopes):
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            yield AddPreview(seen=len(found.files))
    known = _known(parts, found.roots)
    most_bytes = parts.config.documents.max_file_mb << 20
    files = [
        Candidate(path, file.size, _format(path), _fate(file, known.get(path), most_bytes))
        for path, file in sorted(found.files.items())
    ]
    trouble = sorted({**dict(found.skipped), **found.unreadable}.items())
    yield AddPreview(len(files), True, tuple(found.roots), tuple(files), tuple(trouble))


def browse(parts: Parts, folder: str | Path) -> list[FolderEntry]:
    """What is in a folder: folders first, hidden names last. Raises NotFound for one that cannot be read."""
    try:
        listed = folders.listing(str(folder), parts.config.documents.exclude)
    except OSError as error:
        raise NotFound(f"{folder}: {error.strerror or 'cannot be read'}", "Choose another folder.") from error
    entries = [
        FolderEntry(name, is_folder, status.st_size, reason or ("" if is_folder else _unreadable(name)))
        for name, status, reason in listed
        for is_folder in (stat.S_ISDIR(status.st_mode),)
    ]
    return sorted(entries, key=lambda entry: (entry.name.startswith("."), not entry.is_folder, entry.name.casefold()))


def added_folders(parts: Parts) -> list[str]:
    """The folders that were added by name, by path."""
    if not parts.has_library():
        return []
    with parts.open_ledger() as ledger:
        return [path for path in ledger.roots() if os.path.isdir(path)]  # noqa: PTH112 - a name too long is no folder


def reindex(parts: Parts, embed: Embed, paths: Sequence[str]) -> Iterator[IngestEvent]:
    """Read these files of the library again, failed ones too; one that is gone, or left out by a rule by now, is taken
    out."""
    from termrag.ingest import ingest
    from termrag.ledger import WATCH_LOCK, lock_holder

    with parts.ingesting(embed) as (ledger, tools):
        watched = {each.path: Scope(each.include, each.exclude) for each in ledger.watching.folders()}
        yield from ingest(
            list(dict.fromkeys([*ledger.roots(), *watched])),
            ledger=ledger,
            tools=tools,
            exclude=parts.config.documents.exclude,
            scopes=watched,
            touched=paths,
            force=True,
            follow=lock_holder(parts.library_folder, WATCH_LOCK) is None,
        )


def readable_formats() -> list[FormatInfo]:
    """What can be read, as people call it."""
    return [
        FormatInfo(title, suffixes, any(formats.BY_SUFFIX[suffix].isolated for suffix in suffixes))
        for title, suffixes in formats.GROUPS.items()
    ]


def _known(parts: Parts, roots: Sequence[str]) -> dict[str, FileEntry]:
    known: dict[str, FileEntry] = {}
    if parts.has_library():
        with parts.open_ledger() as ledger:
            for root in roots:
                known.update(ledger.entries(below=root))
    return known


def _fate(file: FoundFile, entry: FileEntry | None, most_bytes: int) -> Fate:
    if entry is not None and _looks_same(entry, file):
        return Fate.FAILED if entry.state == DocumentState.FAILED else Fate.KNOWN
    name = file.path.rsplit("/", 1)[-1]
    # What is named is tried whatever its name says, unless no file of that name ever gives text.
    is_hopeless = formats.is_known_unreadable(name) if file.explicit else formats.by_name(name) is None
    if is_hopeless:
        return Fate.UNSUPPORTED
    if file.size > most_bytes:
        return Fate.TOO_LARGE
    if not file.size:
        return Fate.EMPTY
    return Fate.NEW if entry is None else Fate.CHANGED


def _looks_same(entry: FileEntry, file: FoundFile) -> bool:
    """An inode that is not positive says that the bytes are to be compared: most likely they are the same."""
    return is_same_file(replace(entry, inode=abs(entry.inode) or file.inode), file)


def _format(path: str) -> str:
    return formats.suffix_of(path.rsplit("/", 1)[-1])


def _unreadable(name: str) -> str:
    return "" if formats.by_name(name) else Fate.UNSUPPORTED.value
