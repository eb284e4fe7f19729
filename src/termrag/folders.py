"""Which files a set of paths stands for: walking, ignore rules, links, odd names; reads no file but ignore files.

Paths are absolute texts as the file system has them: bytes that are no UTF-8 stay as surrogate escapes, and composed
and decomposed letters stay apart. `.gitignore` and `.termragignore` hold as in git, at every level, the latter with the
last word. Hidden names are left out. What is named explicitly is taken even if a rule or its dot would leave it out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_IGNORE_FILES = (".gitignore", ".termragignore")
_FOLDER_MARK = "(?P<ps_d>"  # pathspec's name for the slash of a folder; a name may occur only once in an expression
_MASK = (1 << 63) - 1  # file systems use 64 bits, the ledger's integers have 63 and a sign

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file with what `stat` said. `explicit`: it was named, not met on a walk."""

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    explicit: bool = False


@dataclass(slots=True)
class Walk:
    """What was found. `skipped` are (path, reason); `unreadable` are folders and roots whose files are not known, so
    that nothing may be concluded from a file's absence; `roots` are the real paths that were walked or taken."""

    files: dict[str, FoundFile] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one folder; `base` ends in a slash. `may_match` is one expression for all of them: nearly every
    file matches none, and need not be tried against each."""

    base: str
    spec: GitIgnoreSpec
    may_match: re.Pattern[str]


def walk(paths: Sequence[str | Path], exclude: Sequence[str] = ()) -> Walk:
    """Every file that the paths stand for, each once. `exclude` are patterns as in .gitignore, relative to each root,
    that also hold against negations in ignore files. Raises nothing for what cannot be read: it is in `unreadable`."""
    found = Walk()
    folders: list[str] = []
    for given in dict.fromkeys(Path(path).expanduser().absolute() for path in paths):
        path = os.path.realpath(given)
        try:
            status = Path(path).stat()
        except OSError as error:
            found.unreadable[path] = error.strerror or "cannot be read"
            continue
        if stat.S_ISDIR(status.st_mode):
            folders.append(path)
        elif stat.S_ISREG(status.st_mode):
            found.roots.append(path)
            found.files[path] = _file(path, status, explicit=True)
        else:
            found.skipped.append((path, _kind(status.st_mode)))
    # A root inside another one is walked first, by its own rules: it was named.
    folders.sort(key=lambda path: -path.count("/"))
    seen: set[tuple[int, int]] = set()
    for folder in folders:
        found.roots.append(folder)
        _walk_root(folder, folders, exclude, found, seen)
    return found


def stat_file(path: str) -> FoundFile | None:
    """The regular file at `path` without following a link; None if there is none any more."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return _file(path, status) if stat.S_ISREG(status.st_mode) else None


def _walk_root(
    root: str, roots: Sequence[str], exclude: Sequence[str], found: Walk, seen: set[tuple[int, int]]
) -> None:
    above = _rules_above(root)
    if above and _is_ignored(root, above, is_folder=True):
        above = ()  # the root was named, so what its parents say of it does not hold
    excluded = _spec(exclude) if exclude else None
    stack: list[tuple[str, tuple[_Rules, ...]]] = [(root, above)]
    while stack:
        folder, rules = stack.pop()
        entries = _entries(folder, found, seen)
        rules = _with_own(folder, entries, rules)
        for entry in entries:
            if entry.name.startswith(".") or (excluded and _excludes(excluded, root, entry)):
                continue
            if entry.is_symlink():
                _note_link(entry.path, roots, found)
            elif rules and _is_ignored(entry.path, rules, is_folder=entry.is_dir(follow_symlinks=False)):
                continue
            elif entry.is_dir(follow_symlinks=False):
                stack.append((entry.path, rules))
            else:
                _take(entry, found)


def _entries(folder: str, found: Walk, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing if it was walked before (a bind mount may lead back) or is unreadable."""
    try:
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.unreadable[folder] = error.strerror or "cannot be read"
        return []


def _take(entry: os.DirEntry[str], found: Walk) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            found.unreadable[entry.path] = error.strerror or "cannot be read"
        return
    if stat.S_ISREG(status.st_mode):
        found.files.setdefault(entry.path, _file(entry.path, status))
    else:
        found.skipped.append((entry.path, _kind(status.st_mode)))


def _note_link(path: str, roots: Sequence[str], found: Walk) -> None:
    """A link is never followed. Its target is met on its own if it lies under a root; otherwise say what it is."""
    try:
        target = os.path.realpath(path, strict=True)
    except OSError as error:
        is_dangling = isinstance(error, FileNotFoundError)
        found.skipped.append((path, "a link to nothing" if is_dangling else "a link to itself"))
        return
    if not any(target == root or target.startswith(root.rstrip("/") + "/") for root in roots):
        found.skipped.append((path, "a link out of the folder"))


def _file(path: str, status: os.stat_result, *, explicit: bool = False) -> FoundFile:
    return FoundFile(
        path, status.st_dev & _MASK, status.st_ino & _MASK, status.st_size, status.st_mtime_ns, explicit=explicit
    )


def _kind(mode: int) -> str:
    return next((name for test, name in _SPECIAL if test(mode)), "not a file")


# --- ignore rules ----------------------------------------------------------------------------------------------------


def _rules_above(root: str) -> tuple[_Rules, ...]:
    """The rules of the folders between the root and the top of the repository it lies in; none outside a repository."""
    rules: list[_Rules] = []
    for folder in (Path(root), *Path(root).parents):
        if str(folder) != root:
            rules = [*_rules_of(str(folder), _IGNORE_FILES), *rules]
        if os.path.lexists(folder / ".git"):
            return tuple(rules)
    return ()


def _with_own(folder: str, entries: Sequence[os.DirEntry[str]], rules: tuple[_Rules, ...]) -> tuple[_Rules, ...]:
    names = {entry.name for entry in entries if entry.name in _IGNORE_FILES}
    return (*rules, *_rules_of(folder, [name for name in _IGNORE_FILES if name in names])) if names else rules


def _rules_of(folder: str, names: Sequence[str]) -> Iterator[_Rules]:
    for name in names:
        try:
            text = Path(folder, name).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        spec = _spec(text.splitlines())
        patterns = [pattern.regex.pattern for pattern in spec.patterns if isinstance(pattern.regex, re.Pattern)]
        if patterns:
            may_match = re.compile("|".join(f"(?:{each.replace(_FOLDER_MARK, '(?:')})" for each in patterns))
            yield _Rules(folder.rstrip("/") + "/", spec, may_match)


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    """The patterns that make sense; git passes over the others too."""
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore import GitIgnorePatternError

    try:
        return GitIgnoreSpec.from_lines(lines)
    except GitIgnorePatternError:
        kept = [line for line in lines if _makes_sense(line)]
        return GitIgnoreSpec.from_lines(kept)


def _makes_sense(line: str) -> bool:
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore import GitIgnorePatternError

    try:
        GitIgnoreSpec.from_lines([line])
    except GitIgnorePatternError:
        return False
    return True


def _is_ignored(path: str, rules: Sequence[_Rules], *, is_folder: bool) -> bool:
    """The deepest folder that has something to say decides, and in it the last pattern that matches."""
    for level in reversed(rules):
        relative = path[len(level.base) :] + ("/" if is_folder else "")
        include = level.spec.check_file(relative).include if level.may_match.match(relative) else None
        if include is not None:
            return include
    return False


def _excludes(spec: GitIgnoreSpec, root: str, entry: os.DirEntry[str]) -> bool:
    relative = entry.path[len(root.rstrip("/")) + 1 :]
    return spec.match_file(relative + "/" if entry.is_dir(follow_symlinks=False) else relative)
