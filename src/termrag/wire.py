"""Values as plain JSON data: one shape for the command line, the log of a script and any other reader."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from termrag.records import Answer, Citation, Document, Hit, Passage


def plain(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, enums to their values; everything else as it is."""
    match value:
        case Answer():
            return answer(value)
        case Hit():
            return {**plain(value.chunk), "chunk_id": value.chunk.chunk_id, "scores": plain(value.scores)}
        case Passage() | Citation():
            return {**_fields(value), "place": value.place}
        case Enum():
            return value.value
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _fields(value)
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [plain(entry) for entry in value]
        case _:
            return value


def event(value: Any) -> dict[str, Any]:
    """An event as a JSON object whose `type` is the event's name in lower case."""
    return {"type": type(value).__name__.lower(), **_fields(value)}


def answer(value: Answer) -> dict[str, Any]:
    """An answer with its citations gathered in order of first use, and the exit code that a pipe would see."""
    data = _fields(value)
    data["stages_ms"] = dict(value.stages_ms)
    data["citations"] = [plain(citation) for citation in citations(value)]
    data["exit_code"] = int(value.exit_code)
    return data


def citations(value: Answer) -> list[Citation]:
    """Every passage that a sentence rests on, once, in order of first use."""
    seen: dict[int, Citation] = {}
    for sentence in value.sentences:
        for citation in sentence.citations:
            seen.setdefault(citation.number, citation)
    return list(seen.values())


def document(value: Document) -> dict[str, Any]:
    return _fields(value)


def read_answer(data: Mapping[str, Any]) -> Answer:
    """The answer that `answer` made the data from; what is missing has its default, what is unknown is left out."""
    value = read(Answer, {**data, "stages_ms": []})
    assert isinstance(value, Answer)
    return dataclasses.replace(value, stages_ms=tuple(dict(data.get("stages_ms", {})).items()))


def read(kind: Any, data: Any) -> Any:
    """The value of type `kind` that `plain` made the data from. Raises ValueError, TypeError or KeyError for what is no
    such data."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if data is None else read(next(each for each in arguments if each is not NoneType), data)
    if origin in (tuple, list, Sequence):
        return tuple(read(arguments[0], entry) for entry in data)
    if origin is dict:
        return {str(key): read(arguments[1], entry) for key, entry in data.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: read(hints[name], entry) for name, entry in data.items() if name in hints})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int):
        return float(data)
    if isinstance(kind, type) and not isinstance(data, kind):
        raise TypeError(f"{type(data).__name__} is not {kind.__name__}")
    return data


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
