"""Filters as the SQL condition of a LanceDB prefilter; knows the table's columns and nothing else of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from termrag.globs import glob_prefix, glob_regex
from termrag.records import Filters

VISIBLE = "text IS NOT NULL"

_ODD_BYTE = re.compile("[\udc80-\udcff]")


def path_text(path: str) -> str:
    """The path as valid Unicode: bytes that are no UTF-8 are spelled `\\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def sql_text(text: str) -> str:
    """A quoted SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Sequence[str]) -> str:
    """`column IN (...)`."""
    return f"{column} IN ({', '.join(map(sql_text, values))})"


def condition(filters: Filters) -> str:
    """The condition that keeps what the filters let through; empty for no filters."""
    parts: list[str] = []
    if filters.document_ids:
        parts.append(one_of("document_id", filters.document_ids))
    if filters.globs:
        parts.append(_any(_glob(glob_text(glob)) for glob in filters.globs))
    if filters.types:
        parts.append(_any(f"ends_with(lower(path), {sql_text('.' + suffix.lower())})" for suffix in filters.types))
    if filters.after_ns is not None:
        parts.append(f"modified_ns >= {int(filters.after_ns)}")
    if filters.before_ns is not None:
        parts.append(f"modified_ns < {int(filters.before_ns)}")
    return " AND ".join(parts)


def _glob(glob: str) -> str:
    exact = f"regexp_like(path, {sql_text(f'(?s)^(?:{glob_regex(glob)})$')})"
    prefix = glob_prefix(glob)
    return f"(starts_with(path, {sql_text(prefix)}) AND {exact})" if prefix else exact


def glob_text(glob: str) -> str:
    """The glob with its odd bytes spelled as in `path_text`; a backslash must be doubled to mean itself."""
    return _ODD_BYTE.sub(lambda odd: f"\\\\x{ord(odd[0]) - 0xDC00:02x}", glob)


def _any(conditions: Iterable[str]) -> str:
    return "(" + " OR ".join(conditions) + ")"
