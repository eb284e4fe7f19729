"""Documents as rows of a table: what there is of each, which of them are shown, in which order; draws nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from termrag.records import Document, DocumentState
from termrag.tui.ingesting import IN_WORK, FileState, QueuedFile

VIEWS = ("all", "in work", "failed")
NO_FILE = "given as text"  # where a document is that has no folder

_CONTROLS: dict[int, str] = {**{code: chr(0x2400 + code) for code in range(32)}, 127: "␡", 9: " "}
# Marks that turn the direction of what follows would turn the rest of the line as well.
_CONTROLS |= dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x85, 0x2028, 0x2029), "")


@dataclass(frozen=True, slots=True)
class Row:
    """One document, or a file that is to become one. `state` is as shown, `searched` what the filter looks at."""

    path: str
    name: str
    folder: str
    type: str
    size: int
    chunks: int
    modified_ns: int
    state: str
    reason: str
    hint: str
    searched: str
    document: Document | None

    @property
    def is_failed(self) -> bool:
        return self.state == FileState.FAILED

    @property
    def is_in_work(self) -> bool:
        return self.state in IN_WORK


def rows_of(documents: Iterable[Document], files: Mapping[str, QueuedFile]) -> list[Row]:
    """A row per document, as the queue has it where it is in work; then the files that are no documents yet."""
    left = dict(files)
    rows = [_of_document(document, left.pop(document.path, None)) for document in documents]
    rows += [_of_file(file) for file in left.values() if file.state is not FileState.READY]
    return rows


def _of_document(document: Document, file: QueuedFile | None) -> Row:
    state, reason, hint = _state_of(document), document.error, document.hint
    if file is not None and (file.state in (FileState.QUEUED, FileState.READING) or file.reason):
        state, reason, hint = file.state.value, file.reason or reason, file.hint or hint
    if not reason and document.warnings:
        reason = "; ".join(document.warnings)
    return _row(document.path, document.size_bytes, state, reason, hint, document)


def _of_file(file: QueuedFile) -> Row:
    return _row(file.path, file.size_bytes, file.state.value, file.reason, file.hint, None)


def _row(path: str, size: int, state: str, reason: str, hint: str, document: Document | None) -> Row:
    folder, slash, name = path.rpartition("/")
    folder = folder or ("/" if slash else NO_FILE)
    stem, dot, suffix = name.rpartition(".")
    kind = suffix.lower() if dot and stem and len(suffix) <= 8 else ""
    return Row(
        path, clean(name), clean(folder), clean(kind), size, document.chunks if document else 0,
        document.modified_ns if document else 0, state, clean(reason), clean(hint),
        f"{path}\0{document.title if document else ''}\0{state}".casefold(), document,
    )  # fmt: skip


def _state_of(document: Document) -> str:
    match document.state:
        case DocumentState.FAILED:
            return FileState.FAILED.value
        case DocumentState.INDEXED if document.unembedded:
            return FileState.EMBEDDING.value
        case DocumentState.INDEXED:
            return FileState.READY.value
        case _:
            return "interrupted"


# --- which, and in which order ---------------------------------------------------------------------------------------

_KEYS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name.casefold(),
    "type": lambda row: (row.type, row.name.casefold()),
    "size": lambda row: row.size,
    "chunks": lambda row: row.chunks,
    "state": lambda row: (row.state, row.name.casefold()),
    "modified": lambda row: row.modified_ns,
    "folder": lambda row: (row.folder.casefold(), row.name.casefold()),
}
SORTS = tuple(_KEYS)
_LARGEST_FIRST = {"size", "chunks", "modified"}


def falls(sort: str, *, reverse: bool) -> bool:
    """Whether the largest comes first: where sizes and times are sorted by, unless it is turned round."""
    return (sort in _LARGEST_FIRST) != reverse


def shown(rows: Sequence[Row], *, query: str, view: str, sort: str, reverse: bool) -> list[Row]:
    """The rows that hold all words of the query, in order."""
    words = query.casefold().split()
    chosen = [
        row
        for row in rows
        if (view == "all" or (row.is_failed if view == "failed" else row.is_in_work))
        and all(word in row.searched for word in words)
    ]
    chosen.sort(key=_KEYS[sort], reverse=falls(sort, reverse=reverse))
    return chosen


# --- words and widths ------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """A text as one line that breaks no layout: control signs are made visible, halves of characters replaced."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("utf-8", "replace").decode("utf-8").translate(_CONTROLS)


def fitted(text: str, width: int, *, cut: str = "end") -> str:
    """A text in exactly `width` cells; where it is too long, cut at the end, at the start, or before the suffix."""
    length = cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    if width < 2:
        return set_cell_size("…", width)
    if cut == "start":
        return _tail(text, width)
    dot = text.rfind(".")
    suffix = text[dot:] if cut == "name" and 0 < len(text) - dot <= 6 and dot > 0 else ""
    if cell_len(suffix) + 4 >= width:
        suffix = ""
    return set_cell_size(text, width - 1 - cell_len(suffix)) + "…" + suffix


def _tail(text: str, width: int) -> str:
    start = len(text)
    room = width - 1
    while start and (size := cell_len(text[start - 1])) <= room:
        room -= size
        start -= 1
    return "…" + text[start:] + " " * room


def size_text(size: int) -> str:
    """A size as people say it; nothing for what is not known."""
    if not size:
        return ""
    value = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def day_text(modified_ns: int) -> str:
    """A day, with the time if it was lately."""
    if not modified_ns:
        return ""
    when = time.localtime(modified_ns / 1e9)
    is_late = abs(time.time() - modified_ns / 1e9) < 86_400
    return time.strftime("%H:%M" if is_late else "%Y-%m-%d", when)


def plural(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")


_SPACES = re.compile(r"\s+")


def one_line(text: str) -> str:
    return clean(_SPACES.sub(" ", text)).strip()
