"""What is chosen to be added: given paths, files left out of them, what is then to be read; draws nothing."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from termrag.candidates import WANTED, AddPreview, Candidate, Fate, FolderEntry
from termrag.tui.listing import clean, plural, size_text

_WORDS = {
    Fate.KNOWN: "already in",
    Fate.CHANGED: "changed since",
    Fate.FAILED: "failed before (r in the list tries again)",
    Fate.UNSUPPORTED: "not a readable type",
    Fate.TOO_LARGE: "too large",
    Fate.EMPTY: "empty",
}


@dataclass(slots=True)
class Chosen:
    """`paths` were chosen one by one or dropped, `typed` is what stands in the input; `left_out` files and folders
    below them are not wanted."""

    paths: list[str] = field(default_factory=list)
    typed: str = ""
    left_out: set[str] = field(default_factory=set)

    @property
    def roots(self) -> list[str]:
        """All that is given, each once."""
        return list(dict.fromkeys([*self.paths, *([self.typed] if self.typed else [])]))

    def holds(self, path: str) -> bool:
        """Whether a path is given, or lies below what is, and is not left out."""
        return _is_at_or_below(path, self.roots) and not _is_at_or_below(path, self.left_out)

    def toggle(self, path: str) -> None:
        """Choose a path, or let it go."""
        if path in self.paths:
            self.paths.remove(path)
        elif self.holds(path):
            if path == self.typed:
                self.typed = ""
            else:
                self.left_out.add(path)
        elif _is_at_or_below(path, self.left_out):
            self.left_out = {each for each in self.left_out if not _is_at_or_below(path, [each])}
        else:
            self.paths.append(path)

    def wanted(self, preview: AddPreview) -> list[Candidate]:
        """The files that would be read."""
        return [each for each in preview.files if each.fate in WANTED and not _is_at_or_below(each.path, self.left_out)]


def _is_at_or_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def to_ingest(chosen: Chosen, preview: AddPreview, *, subfolders: bool) -> list[str]:
    """The paths to hand over: folders whole where all of them is wanted, so that later looks find what is new in them;
    else the files one by one."""
    wanted = [each.path for each in chosen.wanted(preview)]
    if chosen.left_out or not subfolders:
        return wanted
    met = {each.path for each in preview.files}
    named = set(wanted)
    return [root for root in preview.roots if root not in met or root in named]


def folders_of(preview: AddPreview) -> list[str]:
    """The given paths that are folders."""
    met = {each.path for each in preview.files}
    return [root for root in preview.roots if root not in met]


def patterns(folder: str, chosen: Chosen, *, subfolders: bool) -> list[str]:
    """What a watched folder leaves out, as in .gitignore."""
    below = sorted(path for path in chosen.left_out if _is_at_or_below(path, [folder]) and path != folder)
    return ([] if subfolders else ["*/"]) + [_escaped(path[len(folder.rstrip("/")) :]) for path in below]


def _escaped(path: str) -> str:
    special = "".join("\\" + sign if sign in "\\*?[]!#" else sign for sign in path)
    return special[:-1] + "\\ " if special.endswith(" ") else special


def given_path(text: str) -> str:
    """What is typed as an absolute path; empty for nothing."""
    text = text.strip()
    return os.path.normpath(Path(text).expanduser().absolute()) if text and "\0" not in text else ""


# --- words -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """`headline` is one line; `formats` and `others` are (what, how many) the most first; `trouble` lines of text."""

    wanted: int
    headline: str
    formats: tuple[str, ...]
    others: tuple[str, ...]
    trouble: tuple[str, ...]


def summarised(chosen: Chosen, preview: AddPreview) -> Summary:
    """What would be read, by format, and what would not, and why."""
    wanted = chosen.wanted(preview)
    count: Counter[str] = Counter(each.format or "no suffix" for each in wanted)
    bytes_: Counter[str] = Counter()
    for each in wanted:
        bytes_[each.format or "no suffix"] += each.size_bytes
    fates = Counter(each.fate for each in preview.files)
    others = [f"{number:,} {_WORDS[fate]}" for fate, number in fates.most_common() if fate in _WORDS]
    unsupported = Counter(each.format or "no suffix" for each in preview.files if each.fate is Fate.UNSUPPORTED)
    if unsupported:
        kinds = ", ".join(f"{number:,} {clean(name)}" for name, number in unsupported.most_common(6))
        others = [f"{each}: {kinds}" if _WORDS[Fate.UNSUPPORTED] in each else each for each in others]
    out = sum(each.fate in WANTED for each in preview.files) - len(wanted)
    if out:
        others.append(f"{out:,} left out by you")
    total = size_text(sum(each.size_bytes for each in wanted))
    return Summary(
        len(wanted),
        f"{plural(len(preview.files), 'file')}: {len(wanted):,} to read" + (f", {total}" if total else ""),
        tuple(f"{number:,} {clean(name)}  {size_text(bytes_[name])}" for name, number in count.most_common()),
        tuple(others),
        tuple(f"{clean(path)}: {reason}" for path, reason in preview.trouble),
    )


# --- completion ------------------------------------------------------------------------------------------------------


def split(text: str) -> tuple[str, str]:
    """The folder of what is typed, as typed, and the beginning of a name in it."""
    folder, slash, start = text.rpartition("/")
    return folder + slash, start


def completed(start: str, entries: Sequence[FolderEntry]) -> tuple[str, list[str]]:
    """What `start` can be completed to, and the names that fit: all letters that they share, with a slash behind the
    only folder. Hidden names fit only where a dot is typed; letters may be typed in either case."""
    names = {each.name: each for each in entries if start.startswith(".") or not each.name.startswith(".")}
    fitting = [name for name in names if name.startswith(start)]
    fitting = fitting or [name for name in names if name.casefold().startswith(start.casefold())]
    if not fitting:
        return start, []
    if len(fitting) == 1:
        return fitting[0] + ("/" if names[fitting[0]].is_folder else ""), fitting
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*fitting, strict=False))
    shared = "".join(letters[0] for letters in same)
    return (shared if len(shared) > len(start) else start), fitting
