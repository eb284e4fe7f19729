"""Which files a set of paths stands for: walking, ignore rules, links, odd names; reads no file but ignore files.

Paths are absolute texts as the file system has them: bytes that are no UTF-8 stay as surrogate escapes, and composed
and decomposed letters stay apart. `.gitignore` and `.termragignore` hold as in git, at every level, the latter with the
last word. Hidden names are left out. What is named explicitly is taken even if a rule or its dot would leave it out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from termrag.paths import absolute

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


@dataclass(frozen=True, slots=True)
class Scope:
    """What a folder was given with: patterns as in .gitignore, relative to it. An empty `include` takes everything."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


NO_SCOPES: Mapping[str, Scope] = MappingProxyType({})


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


def walk(paths: Sequence[str | Path], exclude: Sequence[str] = (), scopes: Mapping[str, Scope] = NO_SCOPES) -> Walk:
    """Every file that the paths stand for, each once. `exclude` are patterns as in .gitignore, relative to each root,
    that also hold against negations in ignore files; `scopes` are more of them for some roots. Raises nothing for what
    cannot be read: it is in `unreadable`."""
    found = Walk()
    for _ in walking(paths, found, exclude, scopes):
        pass
    return found


def walking(
    paths: Sequence[str | Path],
    found: Walk,
    exclude: Sequence[str] = (),
    scopes: Mapping[str, Scope] = NO_SCOPES,
) -> Iterator[None]:
    """The same, folder by folder into `found`: whoever has seen enough leaves."""
    folders: list[str] = []
    for given in dict.fromkeys(absolute(path) for path in paths):
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
        root = _Root(folder, folders, _scope(exclude, scopes.get(folder)))
        yield from _descending(root, [(folder, root.rules())], found, seen)


def walk_touched(
    touched: Sequence[str],
    roots: Sequence[str],
    exclude: Sequence[str] = (),
    scopes: Mapping[str, Scope] = NO_SCOPES,
) -> Walk:
    """What the same walk of `roots` would meet at and below the touched paths alone. A path that no root holds is not
    met; nor is one that its rules leave out. Costs what was touched, not what there is."""
    found = Walk(roots=list(roots))
    folders = sorted(roots, key=lambda path: -path.count("/"))
    known = {folder: _Root(folder, folders, _scope(exclude, scopes.get(folder))) for folder in folders}
    seen: set[tuple[int, int]] = set()
    inner = [root for root in folders if any(is_below(root, path) for path in touched)]
    for path in sorted({*touched, *inner}, key=lambda path: (-path.count("/"), path)):
        folder = next((each for each in folders if path == each or is_below(path, each)), None)
        if folder is not None:
            _walk_at(path, known[folder], found, seen)
    return found


def listing(folder: str, exclude: Sequence[str] = ()) -> list[tuple[str, os.stat_result, str]]:
    """What is in a folder, by name: (name, `lstat`, why a walk of this folder would not take it; empty: it would).
    Raises OSError for a folder that cannot be read."""
    folder = os.path.realpath(absolute(folder))
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    root = _Root(folder, [folder], _scope(exclude, None))
    own = [entry.name for entry in entries if entry.name in _IGNORE_FILES]
    rules = (*root.rules(), *root.rules_of(folder, own))
    found: list[tuple[str, os.stat_result, str]] = []
    for entry in entries:
        with suppress(OSError):  # gone meanwhile
            status = entry.stat(follow_symlinks=False)
            found.append((entry.name, status, _reason_against(entry.path, status.st_mode, root, rules)))
    return found


def _reason_against(path: str, mode: int, root: _Root, rules: tuple[_Rules, ...]) -> str:
    if path.rsplit("/", 1)[-1].startswith("."):
        return "hidden"
    if stat.S_ISLNK(mode):
        return "a link"
    if not root.admits(path, mode, rules, Walk()):
        return "ignored"
    return "" if stat.S_ISDIR(mode) or stat.S_ISREG(mode) else _kind(mode)


def reach_of(path: str) -> str:
    """What a change at `path` may concern: all of its folder where it is an ignore file."""
    folder, _, name = path.rpartition("/")
    return (folder or "/") if name in _IGNORE_FILES else path


def is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _walk_at(path: str, root: _Root, found: Walk, seen: set[tuple[int, int]]) -> None:
    """One touched path: through the folders above it, each of which may leave it out."""
    if not Path(root.path).is_dir():
        _take_root(root.path, found)
        return
    folder, rules, status = root.path, root.rules(), Path(root.path).stat()
    for name in [] if path == root.path else path[len(root.path.rstrip("/")) + 1 :].split("/"):
        own = [each for each in _IGNORE_FILES if os.path.lexists(f"{folder}/{each}")]
        rules = (*rules, *root.rules_of(folder, own))
        folder = f"{folder.rstrip('/')}/{name}"
        try:
            status = os.lstat(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            found.unreadable[folder] = error.strerror or "cannot be read"
            return
        if not root.admits(folder, status.st_mode, rules, found):
            return
    if stat.S_ISDIR(status.st_mode):
        _descend(root, [(folder, rules)], found, seen)
    else:
        _take(folder, status, root, found)


def _take_root(path: str, found: Walk) -> None:
    """A root that is no folder: the file that was named, or one that cannot be seen now."""
    file = stat_file(path)
    if file is None:
        found.unreadable[path] = "No such file or directory"
    else:
        found.files[path] = FoundFile(file.path, file.device, file.inode, file.size, file.modified_ns, explicit=True)


def stat_file(path: str) -> FoundFile | None:
    """The regular file at `path` without following a link; None if there is none any more."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return _file(path, status) if stat.S_ISREG(status.st_mode) else None


class _Root:
    """A folder that is walked, with the rules that hold in it."""

    def __init__(self, path: str, roots: Sequence[str], scope: Scope) -> None:
        self.path = path
        self._roots = roots
        self._exclude = _spec(scope.exclude) if scope.exclude else None
        self._include = _spec(scope.include) if scope.include else None
        self._known: dict[str, tuple[_Rules, ...]] = {}
        self._above: tuple[_Rules, ...] | None = None

    def rules(self) -> tuple[_Rules, ...]:
        """Those of the folders above."""
        if self._above is None:
            above = _rules_above(self.path)
            # The root was named, so what its parents say of it does not hold.
            self._above = () if above and _is_ignored(self.path, above, is_folder=True) else above
        return self._above

    def rules_of(self, folder: str, names: Sequence[str]) -> tuple[_Rules, ...]:
        if folder not in self._known:
            self._known[folder] = tuple(_rules_of(folder, names)) if names else ()
        return self._known[folder]

    def admits(self, path: str, mode: int, rules: tuple[_Rules, ...], found: Walk) -> bool:
        """Whether a file or folder is met on a walk; a link never is, and is noted."""
        is_folder = stat.S_ISDIR(mode)
        if path.rsplit("/", 1)[-1].startswith(".") or (self._exclude and self._matches(self._exclude, path, is_folder)):
            return False
        if stat.S_ISLNK(mode):
            _note_link(path, self._roots, found)
            return False
        return not (rules and _is_ignored(path, rules, is_folder=is_folder))

    def includes(self, path: str) -> bool:
        """Whether the include patterns, if there are any, name this file."""
        return self._include is None or self._matches(self._include, path, False)

    def _matches(self, spec: GitIgnoreSpec, path: str, is_folder: bool) -> bool:
        relative = path[len(self.path.rstrip("/")) + 1 :]
        return spec.match_file(relative + "/" if is_folder else relative)


def _scope(exclude: Sequence[str], scope: Scope | None) -> Scope:
    return Scope(scope.include if scope else (), (*exclude, *(scope.exclude if scope else ())))


def _descend(root: _Root, stack: list[tuple[str, tuple[_Rules, ...]]], found: Walk, seen: set[tuple[int, int]]) -> None:
    for _ in _descending(root, stack, found, seen):
        pass


def _descending(
    root: _Root, stack: list[tuple[str, tuple[_Rules, ...]]], found: Walk, seen: set[tuple[int, int]]
) -> Iterator[None]:
    while stack:
        yield
        folder, rules = stack.pop()
        entries = _entries(folder, found, seen)
        own = [entry.name for entry in entries if entry.name in _IGNORE_FILES]
        rules = (*rules, *root.rules_of(folder, own)) if own else rules
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    found.unreadable[entry.path] = error.strerror or "cannot be read"
                continue
            if not root.admits(entry.path, status.st_mode, rules, found):
                continue
            if stat.S_ISDIR(status.st_mode):
                stack.append((entry.path, rules))
            else:
                _take(entry.path, status, root, found)


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


def _take(path: str, status: os.stat_result, root: _Root, found: Walk) -> None:
    if not stat.S_ISREG(status.st_mode):
        found.skipped.append((path, _kind(status.st_mode)))
    elif root.includes(path):
        found.files.setdefault(path, _file(path, status))


def _note_link(path: str, roots: Sequence[str], found: Walk) -> None:
    """A link is never followed. Its target is met on its own if it lies under a root; otherwise say what it is."""
    try:
        target = os.path.realpath(path, strict=True)
    except OSError as error:
        is_dangling = isinstance(error, FileNotFoundError)
        found.skipped.append((path, "a link to nothing" if is_dangling else "a link to itself"))
        return
    if not any(target == root or is_below(target, root) for root in roots):
        found.skipped.append((path, "a link out of the folder"))


def inode_of(status: os.stat_result) -> int:
    """The number of the file as the ledger keeps it."""
    return status.st_ino & _MASK


def _file(path: str, status: os.stat_result, *, explicit: bool = False) -> FoundFile:
    return FoundFile(
        path, status.st_dev & _MASK, inode_of(status), status.st_size, status.st_mtime_ns, explicit=explicit
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
