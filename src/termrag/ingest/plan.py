"""What there is to do: the difference between the disk and the ledger, from one `stat` per file; changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from termrag.folders import (
    NO_SCOPES,
    FoundFile,
    Scope,
    Walk,
    inode_of,
    is_below,
    reach_of,
    stat_file,
    walk,
    walk_touched,
)
from termrag.ledger import FileEntry, Ledger
from termrag.paths import absolute
from termrag.records import DocumentState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEW_DOCUMENTS = 20

TEXT_PREFIX = "stdin:"
"""Paths of documents that are no files begin so; nothing on the disk does, since its paths are absolute."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A chunk of a text that came cut, with its unit vector if that came too."""

    text: str
    vector: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A file to be read. `entry` is what the ledger knew of it, or of the file it was before a rename. `text` is that
    of what is no file, `cut` its chunks where they came so."""

    file: FoundFile
    entry: FileEntry | None = None
    text: str | None = None
    cut: tuple[Cut, ...] = ()

    @property
    def path(self) -> str:
        return self.file.path


@dataclass(frozen=True, slots=True)
class Move:
    """The same bytes under a new path: nothing is read."""

    entry: FileEntry
    file: FoundFile


@dataclass(slots=True)
class Plan:
    """`failed` are given paths that could not be looked at, with the reason; `skipped` are (path, reason)."""

    work: list[Work] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    removals: list[FileEntry] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    roots: list[str] = field(default_factory=list)


def make_plan(
    paths: Sequence[str | Path],
    ledger: Ledger,
    *,
    is_readable: Callable[[str], bool],
    recipe: str,
    exclude: Sequence[str] = (),
    scopes: Mapping[str, Scope] = NO_SCOPES,
    touched: Collection[str] | None = None,
    force: bool = False,
) -> Plan:
    """Compare what the paths stand for with the ledger. Named earlier and below a folder named now is named again.

    With `touched` only these paths, and what lies below them, are compared.
    """
    given = [_real(path) for path in paths]
    known_roots = ledger.roots()
    again = [root for root in known_roots if any(is_below(root, path) for path in given) and os.path.lexists(root)]
    if touched is None:
        found, compared = walk([*given, *again], exclude, scopes), given
    else:
        roots = list(dict.fromkeys([*given, *again]))
        compared = _outermost(map(reach_of, [*touched, *_other_names(touched, given, ledger)]))
        found = walk_touched(compared, roots, exclude, scopes)
        beyond = _other_names(found.files, given, ledger) - found.files.keys()  # of files whose folder was moved, too
        if beyond:
            compared = _outermost([*compared, *map(reach_of, beyond)])
            found = walk_touched(compared, roots, exclude, scopes)
    plan = Plan(roots=found.roots)
    plan.skipped += found.skipped
    plan.failed += [(path, reason) for path, reason in found.unreadable.items() if path in given]
    plan.skipped += [(path, reason) for path, reason in found.unreadable.items() if path not in given]
    known = _known(ledger, compared)
    fresh = _sort_out(found, known, plan, is_readable=is_readable, recipe=recipe, force=force)
    vanished = _vanished(known, found, plan)
    _find_moves(fresh, ledger, plan)
    _finish_what_was_begun(ledger, found, plan)
    moved = {move.entry.id for move in plan.moves} | {work.entry.id for work in plan.work if work.entry}
    planned = {entry.id for entry in plan.removals}
    plan.removals += [entry for entry in vanished if entry.id not in moved | planned]
    return plan


def hold_back(plan: Plan, ledger: Ledger, roots: Iterable[str], sure: Collection[str]) -> dict[str, int]:
    """Take deletions out of the plan that are too many to be believed at once: more than half of the documents of a
    root that has more than twenty. Return their number by root. Roots in `sure` are believed; so is what is still on
    the disk and left out by a rule."""
    held: dict[str, int] = {}
    for root in roots:
        gone = {each.id for each in plan.removals if is_below(each.path, root) and not os.path.lexists(each.path)}
        if root in sure or not gone:
            continue
        known = ledger.number_below(root)
        if known > _FEW_DOCUMENTS and len(gone) > known / 2:
            plan.removals = [each for each in plan.removals if each.id not in gone]
            held[root] = len(gone)
    return held


def _other_names(paths: Iterable[str], roots: Sequence[str], ledger: Ledger) -> set[str]:
    """Names of the same files below the roots: what is written through one hard link is told of that link alone."""
    names: set[str] = set()
    for path in paths:
        with suppress(OSError):
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                names.update(ledger.names_of(inode_of(status)))
    return {name for name in names if any(is_below(name, root) for root in roots)}


def _outermost(paths: Iterable[str]) -> list[str]:
    """The paths without those that lie below another one."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.split("/")):
        if not kept or not is_below(path, kept[-1]):
            kept.append(path)
    return kept


def is_same_file(entry: FileEntry, file: FoundFile) -> bool:
    """What `stat` says of the file is what it said when the document was indexed."""
    return (entry.inode, entry.size, entry.modified_ns) == (file.inode, file.size, file.modified_ns)


def _real(path: str | Path) -> str:
    return os.path.realpath(absolute(path))


def _known(ledger: Ledger, roots: Sequence[str]) -> dict[str, FileEntry]:
    known: dict[str, FileEntry] = {}
    for root in roots:
        known.update(ledger.entries(below=root))
    return known


def _sort_out(
    found: Walk,
    known: dict[str, FileEntry],
    plan: Plan,
    *,
    is_readable: Callable[[str], bool],
    recipe: str,
    force: bool,
) -> list[FoundFile]:
    """Count what is unchanged, note what changed, and return the files that the ledger does not know."""
    fresh: list[FoundFile] = []
    for path, file in found.files.items():
        entry = known.get(path)
        if entry is None:
            if file.explicit or is_readable(path):
                fresh.append(file)
            else:
                plan.skipped.append((path, "not a readable type"))
        elif not force and _is_done(entry, recipe) and is_same_file(entry, file):
            plan.unchanged += 1
        else:
            plan.work.append(Work(file, entry))
    return fresh


def _is_done(entry: FileEntry, recipe: str) -> bool:
    return entry.state in (DocumentState.INDEXED, DocumentState.FAILED) and entry.recipe in ("", recipe)


def _vanished(known: dict[str, FileEntry], found: Walk, plan: Plan) -> list[FileEntry]:
    """Known documents that the walk did not meet, except where it could not look."""
    blind = [path for path in found.unreadable if not _is_plainly_gone(path)]
    emptied: dict[str, bool] = {}
    vanished: list[FileEntry] = []
    for path, entry in known.items():
        if path in found.files or any(path == each or is_below(path, each) for each in blind):
            continue
        if _is_unmounted(entry, emptied, plan):
            continue
        vanished.append(entry)
    return vanished


def _is_plainly_gone(path: str) -> bool:
    """A path that is not there although the folder it was in is; a folder may be a disk that is not mounted."""
    return not os.path.lexists(path) and Path(path).parent.is_dir() and bool(Path(path).suffix)


def _is_unmounted(entry: FileEntry, emptied: dict[str, bool], plan: Plan) -> bool:
    """The nearest folder that is left is empty and on another device than the file was: its disk is not mounted."""
    folder = next((each for each in Path(entry.path).parents if each.is_dir()), Path("/"))
    key = f"{folder}\0{entry.device}"
    if key not in emptied:
        is_other = bool(entry.device) and folder.stat().st_dev != entry.device
        emptied[key] = is_other and not any(folder.iterdir())
        if emptied[key]:
            plan.skipped.append((str(folder), "its disk is not mounted; its documents are kept"))
    return emptied[key]


def _find_moves(fresh: Iterable[FoundFile], ledger: Ledger, plan: Plan) -> None:
    taken: set[str] = set()
    for file in fresh:
        entry = next((each for each in ledger.by_inode(file.inode, file.size) if _has_become(each, file, taken)), None)
        if entry is None:
            plan.work.append(Work(file))
            continue
        taken.add(entry.id)
        if Path(entry.path).suffix.lower() == Path(file.path).suffix.lower():
            plan.moves.append(Move(entry, file))
        else:
            plan.work.append(Work(file, entry))  # the suffix tells how it is read


def _has_become(entry: FileEntry, file: FoundFile, taken: set[str]) -> bool:
    return (
        entry.id not in taken
        and entry.state == DocumentState.INDEXED
        and is_same_file(entry, file)
        and not os.path.lexists(entry.path)
    )


def _finish_what_was_begun(ledger: Ledger, found: Walk, plan: Plan) -> None:
    """Work that a killed run left pending is done again, wherever its file lies; its removals are repeated."""
    for path, entry in ledger.unfinished().items():
        if path in found.files and entry.state == DocumentState.PENDING:
            continue
        file = None if entry.state == DocumentState.REMOVING else stat_file(path)
        text = ledger.text(entry.id) if path.startswith(TEXT_PREFIX) and entry.state == DocumentState.PENDING else None
        if text is not None:
            plan.work.append(Work(text_file(path, text), entry, text))
        elif file is not None:
            plan.work.append(Work(file, entry))
        elif path not in found.unreadable:
            plan.removals.append(entry)


def text_file(path: str, text: str) -> FoundFile:
    """What `stat` would say of a text that is no file."""
    return FoundFile(path, 0, 0, len(text.encode("utf-8", "replace")), 0, explicit=True)
