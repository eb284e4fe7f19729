"""How a heading is written once its marks are gone."""

from __future__ import annotations

import re

SEPARATOR = " > "
_MAX_CHARS = 120
_SILENT = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^<>]{1,200}>|\[\^[^\]]*\]")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"\*\*|__|`|\\(?=[\\`*_{}\[\]()#+.!-])")


def plain_heading(text: str) -> str:
    """A heading as words: links by their text, no emphasis, images or tags, one line, at most 120 characters."""
    text = _LINK.sub(r"\1", _SILENT.sub("", text))
    text = " ".join(_MARKS.sub("", text).split()).strip(" *#")
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1].rstrip() + "…"


def common_path(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The longest beginning that all paths share; the first path where they share none."""
    first, last = min(paths), max(paths)  # what the extremes share, all share
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return first[:length] or paths[0]
