"""How a heading is written once its marks are gone."""

from __future__ import annotations

import re
from collections import Counter

SEPARATOR = " > "
_MAX_CHARS = 120
_MOST = 0.8
_SILENT = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^<>]{1,200}>|\[\^[^\]]*\]")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"\*\*|__|`|\\(?=[\\`*_{}\[\]()#+.!-])")


def plain_heading(text: str) -> str:
    """A heading as words: links by their text, no emphasis, images or tags, one line, at most 120 characters."""
    text = _LINK.sub(r"\1", _SILENT.sub("", text))
    text = " ".join(_MARKS.sub("", text).split()).strip(" *#")
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1].rstrip() + "…"


def main_path(parts: list[tuple[tuple[str, ...], int]]) -> tuple[str, ...]:
    """The deepest path that most of the parts stand under, by their sizes; the first one's if they share nothing."""
    most = _MOST * sum(size for _, size in parts)
    main: tuple[str, ...] = ()
    while True:
        below: Counter[tuple[str, ...]] = Counter()
        for path, size in parts:
            if len(path) > len(main) and path[: len(main)] == main:
                below[path[: len(main) + 1]] += size
        deeper, size = max(below.items(), key=lambda item: item[1], default=((), 0))
        if not size or size < most:
            return main or next((path for path, _ in parts if path), ())
        main = deeper
