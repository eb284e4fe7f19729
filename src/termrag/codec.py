"""Values that come back from JSON as what they were: for a façade and a host that are two processes of one program.

Unlike `wire`, whose shapes are for readers, each value carries its type. Only the vocabulary can come back.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from termrag import errors
from termrag.errors import TermragError

_TYPE, _TUPLE = "$type", "$tuple"
_HOMES = frozenset(
    {
        "kinds",
        "records",
        "events",
        "turns",
        "watchstate",
        "candidates",
        "indexstate",
        "collections",
        "connection",
        "doctor",
        "models.shelf",
        "codec",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What the other side keeps, for it is too much to be sent: documents that were taken out."""

    id: str
    count: int
    others: tuple[str, ...]


def dumps(value: Any) -> bytes:
    """One line of JSON without its end. Undecodable names survive."""
    return json.dumps(_tagged(value), separators=(",", ":")).encode()


def loads(line: bytes | str) -> Any:
    """What `dumps` was given; paths come back as text. Raises ValueError for anything else."""
    try:
        return _untagged(json.loads(line))
    except (TypeError, KeyError, AttributeError, ImportError) as error:
        raise ValueError(f"no value of termrag: {error}") from error


def error_data(error: BaseException) -> dict[str, str]:
    """An error for the other side. One that is a bug is told of by its text alone."""
    if isinstance(error, TermragError):
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"error": "", "message": str(error), "hint": ""}


def raised(data: Mapping[str, str]) -> Exception:
    """The error that `error_data` told of, to be raised here."""
    kind = getattr(errors, data["error"], None) if data["error"] else None
    if isinstance(kind, type) and issubclass(kind, TermragError):
        return kind(data["message"], data["hint"])
    return RuntimeError(data["message"])


def _tagged(value: Any) -> Any:
    if isinstance(value, Enum):
        return {_TYPE: _name(type(value)), "value": value.value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _tagged(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_TYPE: _name(type(value)), **fields}
    if isinstance(value, tuple):
        return {_TUPLE: [_tagged(each) for each in value]}
    if isinstance(value, list):
        return [_tagged(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _tagged(each) for key, each in value.items()}
    return str(value) if isinstance(value, PurePath) else value


def _untagged(data: Any) -> Any:
    if isinstance(data, list):
        return [_untagged(each) for each in data]
    if not isinstance(data, dict):
        return data
    if _TUPLE in data:
        return tuple(_untagged(each) for each in data[_TUPLE])
    fields = {key: _untagged(each) for key, each in data.items() if key != _TYPE}
    if _TYPE not in data:
        return fields
    kind = _kind(data[_TYPE])
    return kind(fields["value"]) if issubclass(kind, Enum) else kind(**fields)


def _name(kind: type) -> str:
    return f"{kind.__module__.removeprefix('termrag.')}:{kind.__qualname__}"


def _kind(name: str) -> type:
    home, _, kind = name.partition(":")
    if home not in _HOMES:
        raise ValueError(f"no value of termrag: {name}")
    found = getattr(importlib.import_module(f"termrag.{home}"), kind)
    if not (isinstance(found, type) and (dataclasses.is_dataclass(found) or issubclass(found, Enum))):
        raise ValueError(f"no value of termrag: {name}")
    return found
