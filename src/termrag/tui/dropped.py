"""Paths in what a terminal pastes when files are dropped on it; anything else that is pasted is text.

Terminals write dropped paths in many ways: in single or double quotes, with backslashes, as `file://` addresses, bare;
with spaces or line ends between them. A text is taken for paths only if all of it is paths of what is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

_PIECE = r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\]"""
_WORD = re.compile(rf"(?:{_PIECE})+", re.DOTALL)
_WORDS = re.compile(rf"\s*(?:(?:{_PIECE})+(?:\s+|$))*", re.DOTALL)
_QUOTED = re.compile(_PIECE, re.DOTALL)
_IN_DOUBLE = re.compile(r"\\([\\\"$`])")
_NEXT_PATH = re.compile(r"\s+(?=/|~/|file://)", re.IGNORECASE)
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_ADDRESS = re.compile(r"file://(?:localhost)?(/.*)", re.IGNORECASE | re.DOTALL)


def may_be_paths(text: str) -> bool:
    """Whether a text begins as paths do; costs nothing."""
    start = text.lstrip()[:7].lower()
    return start[:1] in ("/", "'", '"') or start[:2] == "~/" or start == "file://"


def dropped_paths(text: str) -> list[str]:
    """The absolute paths that a text consists of, each once, in their order; empty if it is anything else. Looks at the
    disk: call it where that may take a while."""
    if not may_be_paths(text) or "\0" in text:
        return []
    body = text.strip("\r\n\t ")
    if body == "/":
        return []
    for read in (_whole, _lines, _shell_words, _cut_before_paths):
        paths = _all_there(read(body))
        if paths:
            return paths
    return []


def _all_there(paths: Iterator[str | None]) -> list[str]:
    found: dict[str, None] = {}
    for path in paths:
        if path is None:
            return []
        try:
            os.lstat(path)
        except (OSError, ValueError):
            return []
        found[os.path.normpath(path)] = None
    return list(found)


# --- ways to read a text: None stands for what is no path ------------------------------------------------------------


def _whole(text: str) -> Iterator[str | None]:
    yield _path(text)


def _lines(text: str) -> Iterator[str | None]:
    """Each line one path, bare or quoted, or several quoted ones. An address list may have comments."""
    for line in filter(None, map(str.strip, _LINE_ENDS.split(text))):
        if line.startswith("#"):
            continue
        path = _path(line)
        if path is not None and os.path.lexists(path):
            yield path
        else:
            yield from _shell_words(line)


def _shell_words(text: str) -> Iterator[str | None]:
    if _WORDS.fullmatch(text + " ") is None:
        yield None
        return
    for word in _WORD.finditer(text):
        yield _path(_unquoted(word.group()))


def _cut_before_paths(text: str) -> Iterator[str | None]:
    """Bare paths with spaces in them, one after the other."""
    return map(_path, _NEXT_PATH.split(text))


def _path(text: str) -> str | None:
    address = _ADDRESS.fullmatch(text)
    if address is not None:
        return os.fsdecode(unquote_to_bytes(address.group(1)))
    if text.startswith("~/"):
        return str(Path.home() / text[2:])
    return text if text.startswith("/") else None


def _unquoted(word: str) -> str:
    return "".join(map(_plain, _QUOTED.findall(word)))


def _plain(piece: str) -> str:
    if piece[0] == "'":
        return piece[1:-1]
    if piece[0] == '"':
        return _IN_DOUBLE.sub(r"\1", piece[1:-1])
    return piece[1:] if piece[0] == "\\" else piece


def quoted(path: str) -> str:
    """A path as `dropped_paths` reads it back, with quotes only where it needs them."""
    if re.fullmatch(r"[\w/.,:@%+=~-]+", path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"
