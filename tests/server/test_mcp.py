"""The protocol's own client against the tools: over standard input and output, and over HTTP with keys."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from embedding_endpoint import Endpoint
from server.conftest import SAYS, Served

QUESTION = "How much oil does the lamp burn?"


@asynccontextmanager
async def over_http(served: Served, scope: str, **options: Any) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=served.key(scope), timeout=30) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http), **options) as client,
    ):
        yield client


def text_of(result: Any) -> str:
    return "".join(part.text for part in result.content)


async def use_all(client: Client, *, path: Path) -> None:
    """Every tool does what it says."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "ask", "add", "get", "list"}
    assert tools["search"].input_schema["required"] == ["query"]
    assert tools["add"].annotations is not None
    assert tools["add"].annotations.read_only_hint is False

    added = await client.call_tool("add", {"path": str(path)})
    assert "indexed 1" in text_of(added)
    found = await client.call_tool("search", {"query": "oil lamp", "limit": 2})
    assert "lamp.md" in text_of(found)
    hit = found.structured_content["hits"][0]
    answer = await client.call_tool("ask", {"question": QUESTION})
    assert f"{SAYS} [1]" in text_of(answer)
    assert answer.structured_content["verdict"] == "grounded"
    assert answer.structured_content["citations"][0]["path"] == str(path)
    shown = await client.call_tool("get", {"document": hit["document_id"]})
    assert "trims the wick" in text_of(shown)
    assert shown.structured_content["next_offset"] is None
    listed = await client.call_tool("list", {"match": "**/lamp.md"})
    assert listed.structured_content["total"] == 1

    await client.call_tool("add", {"name": "cat", "text": "The cat is black."})
    assert "black" in text_of(await client.call_tool("get", {"document": "stdin:cat"}))
    for bad in ({"path": "/nowhere/at/all"}, {}, {"path": "x", "text": "y"}, {"name": "empty", "text": " "}):
        assert (await client.call_tool("add", bad)).is_error, bad
    missing = await client.call_tool("get", {"document": "nothing-like-it"})
    assert missing.is_error
    assert "nothing-like-it" in text_of(missing)
    assert (await client.call_tool("search", {"query": 3})).is_error


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_its_client_uses_every_tool_over_http(served: Served, tmp_path: Path, mode: str) -> None:
    async with over_http(served, "admin", mode=mode) as client:
        async for _ in served.rag.remove([str(tmp_path / "notes" / "lamp.md")]):
            pass
        await use_all(client, path=tmp_path / "notes" / "lamp.md")


async def test_its_client_uses_every_tool_over_standard_input_and_output(
    endpoint: Endpoint, tmp_path: Path, home: Path
) -> None:
    note = tmp_path / "lamp.md"
    note.write_text(
        "# The lamp\n\nThe lamp of Korrin burns 40 litres of oil a week. The keeper trims the wick at dusk.\n"
    )
    environment = {
        "TERMRAG_HOME": str(home),
        "TERMRAG_MODELS_ENGINE": "scripted",
        "TERMRAG_MODELS_SCRIPT": SAYS,
        "TERMRAG_MODELS_EMBEDDING": "openai:tiny",
        "TERMRAG_OPENAI_URL": endpoint.url,
        "TERMRAG_RETRIEVAL_GATE": "0.0",
    }
    server = StdioServerParameters(command=sys.executable, args=["-m", "termrag", "mcp"], env=environment)
    async with Client(server, read_timeout_seconds=60) as client:
        await use_all(client, path=note)


async def test_a_key_sees_and_uses_the_tools_of_its_scope(served: Served, tmp_path: Path) -> None:
    expected = {
        "read": {"search", "get", "list"},
        "ask": {"search", "get", "list", "ask"},
        "write": {"search", "get", "list", "add"},
    }
    for scope, names in expected.items():
        async with over_http(served, scope) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == names
            for name, arguments in {"ask": {"question": QUESTION}, "add": {"name": "x", "text": "y"}}.items():
                result = await client.call_tool(name, arguments)
                assert result.is_error == (name not in names), (scope, name)
    async with over_http(served, "write") as client:
        refused = await client.call_tool("add", {"path": str(tmp_path)})
    assert refused.is_error
    assert "scope admin" in text_of(refused)


async def test_without_a_key_or_from_a_page_elsewhere_there_are_no_tools(served: Served) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    async with served.client("none") as client, client.post("/mcp", json=message, headers=accept) as response:
        assert response.status == 401
    async with served.client("read") as client:
        evil = {**accept, "Origin": "https://evil.example"}
        async with client.post("/mcp", json=message, headers=evil) as response:
            assert response.status == 403
        async with client.get("/mcp", headers=accept) as response:
            assert response.status == 405
        async with client.post("/mcp", json={"hello": 1}, headers=accept) as response:
            assert response.status == 422
