"""The OpenAPI document, made from the operations and the types they name; nothing of it is written by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass

from termrag import __version__
from termrag.server.checking import adapter
from termrag.server.operations import Operation

_REF = "#/components/schemas/{model}"
_ABOUT = (
    "Private chat over your own documents. Every request but those of the server itself needs a key: "
    "`Authorization: Bearer …`; `termrag keys create` makes one."
)
# What the wire adds to the core's values, or has otherwise: see termrag.wire.
_STRING, _NUMBERS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "number"}}
_ON_THE_WIRE: dict[str, dict[str, Any]] = {
    "Passage": {"place": _STRING},
    "Citation": {"place": _STRING},
    "Answer": {
        "stages_ms": _NUMBERS,
        "citations": {"type": "array", "items": {"$ref": "#/components/schemas/Citation"}},
        "exit_code": {"type": "integer"},
    },
}


def document_text(operations: Sequence[Operation]) -> str:
    return json.dumps(document(operations), ensure_ascii=False)


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1 for the operations."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each, schemas)
    for name, more in _ON_THE_WIRE.items():
        if name in schemas:
            schemas[name]["properties"] |= more
            schemas[name]["required"] = sorted({*schemas[name].get("required", []), *more})
    if "Hit" in schemas:
        schemas["Hit"] = _flat_hit(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "termrag", "version": __version__, "description": _ABOUT, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    description: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', operation.path).strip('_')}",
        "summary": operation.summary,
        "description": (operation.handler.__doc__ or "").strip(),
        "tags": [operation.tag],
        "parameters": [*_in_path(operation), *_in_query(operation, schemas)],
        "responses": _responses(operation, schemas),
    }
    if operation.scope is not None:
        description["security"] = [{"bearer": []}, {"key": []}]
        description["x-scope"] = operation.scope.value
    if operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body, schemas)}}
        description["requestBody"] = {"required": True, "content": content}
    if operation.multipart is not None:
        content = {"multipart/form-data": {"schema": _form(operation.multipart, schemas)}}
        description["requestBody"] = {"required": True, "content": content}
    return description


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", operation.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]


def _in_query(operation: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = adapter(operation.query).json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": value}
        for name, value in schema["properties"].items()
    ]


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    if operation.result is not None:
        good["content"] = {operation.media_type: {"schema": _schema(operation.result, schemas, mode="serialization")}}
    elif operation.media_type and operation.status not in (101, 204):
        good["content"] = {kind: {} for kind in (operation.media_type, *operation.other_media_types)}
    if operation.streams:
        good["content"]["text/event-stream"] = {}
    fault = {"content": {"application/json": {"schema": _schema(operation.fault, schemas, mode="serialization")}}}
    bad = {"description": "What went wrong, and what to do about it", **fault}
    return {str(operation.status): good, "4XX": bad, "5XX": bad}


def _form(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = dict(adapter(kind).json_schema(ref_template=_REF))
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": "One part for each file."}
    return {**schema, "properties": {**schema.get("properties", {}), "file": files}, "additionalProperties": True}


def _schema(kind: Any, schemas: dict[str, Any], *, mode: Any = "validation") -> dict[str, Any]:
    """The type's schema by reference; it and those it names are put into `schemas`."""
    checker = adapter(kind) if is_pydantic_dataclass(kind) else TypeAdapter(kind)
    schema = checker.json_schema(ref_template=_REF, mode=mode)
    schemas.update(schema.pop("$defs", {}))
    name = schema.get("title", getattr(kind, "__name__", "Value"))
    schemas.setdefault(name, schema)
    return {"$ref": f"#/components/schemas/{name}"}


def _flat_hit(schemas: dict[str, Any]) -> dict[str, Any]:
    """A hit goes over the wire as its chunk, with its id and its scores."""
    chunk = schemas["IndexedChunk"]
    properties = {**chunk["properties"], "chunk_id": _STRING, "scores": {"$ref": "#/components/schemas/Scores"}}
    return {"title": "Hit", "type": "object", "properties": properties, "required": list(properties)}
