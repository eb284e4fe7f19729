"""Filters as Qdrant's conditions in their JSON form; what it cannot say is found out from the list of paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from termrag.globs import glob_matcher
from termrag.records import Filters
from termrag.stores.filters import glob_text, path_text

Condition = dict[str, Any]

_PLAIN = re.compile(r"[^*?\[\\]*")


def equals(field: str, value: str | int) -> Condition:
    return {"key": field, "match": {"value": value}}


def one_of(field: str, values: Sequence[str] | Sequence[int]) -> Condition:
    return {"key": field, "match": {"any": list(values)}}


STAGED = equals("staged", 1)
VISIBLE: Condition = {"must_not": [STAGED]}
HAS_VECTOR: Condition = {"has_vector": "dense"}


def visible(*must: Condition) -> Condition:
    """What readers may see, and all of `must`."""
    return {"must": list(must), **VISIBLE} if must else VISIBLE


def condition(filters: Filters, paths: Callable[[], Sequence[str]], *, hide_staged: bool = True) -> Condition:
    """The condition that keeps what the filters let through. `paths` lists the paths of all documents; it is asked
    only for globs that are more than a folder or a file. Where nothing is staged, hiding it would cost for nothing."""
    must: list[Condition] = []
    if filters.document_ids:
        must.append(one_of("document_id", filters.document_ids))
    if filters.globs:
        must.append(_globs(filters.globs, paths))
    if filters.types:
        must.append(one_of("endings", [suffix.lower() for suffix in filters.types]))
    modified = {
        name: value for name, value in (("gte", filters.after_ns), ("lt", filters.before_ns)) if value is not None
    }
    if modified:
        must.append({"key": "modified_ns", "range": modified})
    if hide_staged:
        return visible(*must)
    return {"must": must} if must else {}


def _globs(globs: Sequence[str], paths: Callable[[], Sequence[str]]) -> Condition:
    folders = [folder for folder in map(_folder, globs) if folder]
    wild = [glob_text(glob) for glob in globs if not _folder(glob)]
    should = [one_of("within", folders)] if folders else []
    if wild:
        is_wanted = glob_matcher(wild)
        should.append(one_of("path", [path for path in paths() if is_wanted(path)]))
    return should[0] if len(should) == 1 else {"should": should}


def _folder(glob: str) -> str:
    """The folder or file that a glob is, with all below it; empty for any other glob."""
    plain = glob.removesuffix("/**").rstrip("/")
    if not plain.startswith("/") or not _PLAIN.fullmatch(plain):
        return ""
    return path_text(plain)
