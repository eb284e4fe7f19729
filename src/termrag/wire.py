"""Values as plain JSON data: one shape for the command line, the log of a script and any other reader."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

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


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
