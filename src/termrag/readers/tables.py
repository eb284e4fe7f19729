"""Markdown tables: written from rows, and rid of the empty rows and columns that layouts leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_PIPE = re.compile(r"(?<!\\)\|")


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of one width as a Markdown table, the first one as its header; empty for no rows."""
    rows = list(rows)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "|" + " --- |" * len(rows[0]) if rows else ""
    return "\n".join([*lines[:1], rule, *lines[1:]]).strip("\n")


def tidy_tables(text: str) -> str:
    """`text` with every table of it without empty rows and columns; a table without words is gone. The first row
    that says something is the header."""
    return "\n".join(_tidied(text.split("\n")))


def _tidied(lines: list[str]) -> Iterator[str]:
    held: list[str] = []
    for line in lines:
        if line.startswith("|") and line.rstrip().endswith("|"):
            held.append(line)
            continue
        yield from _tidy_table(held)
        held = []
        yield line
    yield from _tidy_table(held)


def _tidy_table(lines: list[str]) -> list[str]:
    if len(lines) < 2 or not _RULE.match(lines[1]):
        return lines
    rows = [[cell.strip() for cell in _PIPE.split(line.strip())[1:-1]] for line in (lines[0], *lines[2:])]
    rows = [row for row in rows if any(row)]
    if not rows:
        return []
    width = max(map(len, rows))
    used = [place for place in range(width) if any(place < len(row) and row[place] for row in rows)]
    return table(tuple(row[place] if place < len(row) else "" for place in used) for row in rows).split("\n")
