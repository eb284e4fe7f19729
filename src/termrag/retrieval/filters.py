"""The query language: `type:pdf after:2025-01-01 before:2026 in:contracts/` among the words of a query."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from termrag.errors import ConfigError
from termrag.records import Filters

_FILTER = re.compile(r"""(?<!\S)(type|after|before|in):(?:"([^"]+)"|'([^']+)'|(\S+))""", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")
_NOTHING = "\0"  # a suffix that no file has


def parse_query(text: str) -> tuple[str, Filters]:
    """Take the filters out of a query and return what is left, and them.

    `type:` and `in:` may be repeated or list alternatives by comma; `in:` takes a folder, a file or a glob, relative
    ones match at any depth. Dates are days, months or years (UTC): `after:` includes the named time, `before:` ends
    where it begins. Raises ConfigError for a date that is none.
    """
    globs: list[str] = []
    types: list[str] = []
    bounds: dict[str, int] = {}
    for found in _FILTER.finditer(text):
        name, value = found[1].lower(), next(group for group in found.groups()[1:] if group)
        if name == "in":
            globs += [_glob(part) for part in value.split(",") if part]
        elif name == "type":
            types += [part.lstrip(".").lower() for part in value.split(",") if part.lstrip(".")]
        else:
            bounds[name] = _nanoseconds(value, name)
    rest = " ".join(_FILTER.sub(" ", text).split()) if globs or types or bounds else text.strip()
    return rest, Filters(tuple(globs), tuple(types), bounds.get("after"), bounds.get("before"))


def both(first: Filters, second: Filters) -> Filters:
    """Return filters that hold where both hold. Of two lists of globs the second counts: they cannot be joined."""
    types = first.types or second.types
    if first.types and second.types:
        types = tuple(t for t in first.types if t in second.types) or (_NOTHING,)
    ids = first.document_ids or second.document_ids
    if first.document_ids and second.document_ids:
        ids = tuple(i for i in first.document_ids if i in second.document_ids) or (_NOTHING,)
    return Filters(
        globs=second.globs or first.globs,
        types=types,
        after_ns=max((n for n in (first.after_ns, second.after_ns) if n is not None), default=None),
        before_ns=min((n for n in (first.before_ns, second.before_ns) if n is not None), default=None),
        document_ids=ids,
    )


def _glob(value: str) -> str:
    if value.startswith("~"):
        return str(Path(value).expanduser()) + ("/" if value.endswith("/") else "")
    return value.removeprefix("./")


def _nanoseconds(value: str, name: str) -> int:
    found = _DATE.fullmatch(value)
    try:
        if not found:
            raise ValueError
        day = datetime(int(found[1]), int(found[2] or 1), int(found[3] or 1), tzinfo=UTC)
    except ValueError:
        raise ConfigError(
            f"{name}:{value} is not a date", f"Write {name}:2026-01-31, {name}:2026-01 or {name}:2026."
        ) from None
    return int(day.timestamp()) * 1_000_000_000
