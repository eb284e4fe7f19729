"""The OpenAPI document is true: whatever it allows is answered as it says, and never with a 5xx."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from server.conftest import Served, Start
from termrag.server.openapi import document
from termrag.server.routes import OPERATIONS

# Fetching a model would reach a hub; a WebSocket is no HTTP answer; what is said over /mcp is its own protocol's.
_LEFT_OUT = "/ws$|/mcp$|/pull$|/rebuild$"


async def test_requests_made_from_the_document_are_answered_as_it_says(start: Start) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis makes the requests: pip install '.[dev]'")
    served = await start(requests_per_minute=0, address_requests_per_minute=0)
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json", "-n", "4", "--phases",
        "coverage,fuzzing", "--max-time", "40",
        "--exclude-path-regex", _LEFT_OUT, "--seed", "1", "-H", _header(served), "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, "COLUMNS": "120"}
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-6000:]


def _header(served: Served) -> str:
    return f"Authorization: {served.key('admin')['Authorization']}"


async def test_the_document_names_every_endpoint_and_resolves(served: Served) -> None:
    async with served.client("none") as client, client.get("/openapi.json") as response:
        told = json.loads(await response.text())
    assert told == json.loads(json.dumps(document(OPERATIONS)))
    listed = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert listed == {(operation.method, operation.path) for operation in OPERATIONS}
    names = [each["operationId"] for methods in told["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names))
    schemas = told["components"]["schemas"]
    text = json.dumps(told)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in schemas, reference


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_every_endpoint_says_what_it_does_and_who_may(operation) -> None:  # type: ignore[no-untyped-def]
    assert operation.handler.__doc__
    assert operation.summary
    assert operation.scope is not None or operation.path.startswith(("/health", "/openapi", "/docs", "/assets"))
