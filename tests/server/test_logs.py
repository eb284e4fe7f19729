"""What the server writes about itself: structured, with request ids, without a word of questions or documents; and
traces for a collector."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from embedding_endpoint import Endpoint
from server.conftest import SAYS, Start
from termrag.server.keys import Keys

MARKER = "cormorant"


@asynccontextmanager
async def own_process(endpoint: Endpoint, home: Path, *flags: str) -> AsyncIterator[tuple[str, str, list[str]]]:
    """`termrag serve` as it is started by a user: its URL, a key, and afterwards the lines of its stderr."""
    environment = {
        **os.environ,
        "TERMRAG_HOME": str(home),
        "TERMRAG_MODELS_ENGINE": "scripted",
        "TERMRAG_MODELS_SCRIPT": f"The {MARKER} is black.",
        "TERMRAG_MODELS_EMBEDDING": "openai:tiny",
        "TERMRAG_OPENAI_URL": endpoint.url,
        "TERMRAG_RETRIEVAL_GATE": "0.0",
    }

    key = Keys(home / "config" / "keys.json").create("test", ("admin",))[1]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "termrag", *flags, "serve", "--port", "0", "--log", "json",
        env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stderr is not None
    lines: list[str] = []
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def read() -> None:
        assert server.stderr is not None
        async for raw in server.stderr:
            lines.append(raw.decode())
            if "termrag: http://" in lines[-1] and not url.done():
                url.set_result(lines[-1].split()[1])
        if not url.done():
            url.set_exception(AssertionError("".join(lines)))

    reading = asyncio.create_task(read())
    try:
        yield await asyncio.wait_for(url, 60), key, lines
    finally:
        if server.returncode is None:
            server.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.wait(), 30) == 0
        await reading


@pytest.mark.parametrize("flags", [(), ("--debug",)], ids=["as usual", "debug"])
async def test_no_question_and_no_document_gets_into_any_log(
    endpoint: Endpoint, home: Path, flags: tuple[str, ...]
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tr-", ignore_cleanup_errors=True) as short:
        async with own_process(endpoint, Path(short), *flags) as (url, key, lines):
            headers = {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(url, headers=headers) as client:
                await _say_it_everywhere(client)
            await _say_it_broken(url, key)
        said = "".join(lines)
        files = [file for file in Path(short).rglob("*") if ".log" in file.name]
        kept = {file.name: file.read_text() for file in files}
    assert set(kept) == {"termrag.log", "audit.log"}
    secret = key.rpartition("_")[2]
    for where, text in {"stderr": said, **kept}.items():
        assert MARKER not in text.lower(), where
        assert secret not in text, where
    requests = [json.loads(line) for line in lines if '"event": "request"' in line]
    assert {line["endpoint"] for line in requests} >= {"/api/v1/generate", "/v1/chat/completions", "/mcp", "other"}
    assert all(line["request_id"] and line["timestamp"] and line["milliseconds"] >= 0 for line in requests)
    audit = [json.loads(line) for line in kept["audit.log"].splitlines()]
    assert [(line["event"], line["status"]) for line in audit] == [("upsert", 200), ("upload", 202), ("mcp.add", 200)]
    assert all(line["caller"].startswith("key ") and line["request_id"] for line in audit)


async def _say_it_everywhere(client: aiohttp.ClientSession) -> None:
    """The marker through every door that takes text."""
    question = f"Is a {MARKER} black?"
    tool = {"method": "tools/call", "params": {"name": "ask", "arguments": {"question": question}}}
    more = {"method": "tools/call", "params": {"name": "add", "arguments": {"name": "b", "text": f"A {MARKER}."}}}
    accept = {"Accept": "application/json, text/event-stream"}
    form = aiohttp.FormData()
    form.add_field("question", question)
    form.add_field("file", f"A {MARKER} eats fish.".encode(), filename="bird.md")
    upload = aiohttp.FormData()
    upload.add_field("file", f"A {MARKER} dives.".encode(), filename="dive.md")
    calls = [
        client.post("/api/v1/vectors", json={"name": "a", "text": f"The {MARKER} is black."}),
        client.post("/api/v1/generate", json={"question": question}),
        client.post("/api/v1/generate", json={"question": question, "stream": True, "session": "new"}),
        client.post("/api/v1/generate/upload", data=form),
        client.post("/api/v1/documents", data=upload),
        client.post("/api/v1/search", json={"query": MARKER}),
        client.get("/api/v1/sessions", params={"query": MARKER}),
        client.post(
            "/v1/chat/completions", json={"model": "termrag", "messages": [{"role": "user", "content": MARKER}]}
        ),
        client.post("/v1/embeddings", json={"model": "termrag", "input": MARKER}),
        client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, **tool}, headers=accept),
        client.post("/mcp", json={"jsonrpc": "2.0", "id": 2, **more}, headers=accept),
    ]
    for call in calls:
        async with call as response:
            text = await response.text()
            assert response.status in (200, 202), text
    wrong = [
        client.post("/api/v1/generate", json={"question": MARKER, "colour": MARKER}),
        client.post("/api/v1/generate", data=f'{{"question": "{MARKER}'.encode()),
        client.post("/mcp", json={"jsonrpc": "2.0", "id": 3, "method": MARKER, "params": MARKER}, headers=accept),
        client.get(f"/api/v1/documents/{MARKER}"),
        client.get(f"/{MARKER}", params={"q": MARKER}),
    ]
    for call in wrong:
        async with call as response:
            assert 400 <= response.status < 500, await response.text()
    async with client.ws_connect("/api/v1/ws") as socket:
        await socket.send_json({"question": question})
        while (await socket.receive_json())["type"] != "answered":
            pass
        await socket.send_str(MARKER)
        assert (await socket.receive_json())["status"] == 422


async def _say_it_broken(url: str, key: str) -> None:
    """The marker and the key in what is no HTTP."""
    for bad in (
        f"GET /?q={MARKER} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\x00\r\n\r\n",
        f"{MARKER} {key}\r\n\r\n",
        "POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n{MARKER}\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(bad.encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.split()[1] in (b"400", b"401"), answer
        assert set(json.loads(body)) == {"error", "message", "hint", "request_id"}
        assert b"Content-Security-Policy" in head
        writer.close()
        await writer.wait_closed()


async def test_requests_and_answers_are_traced_where_a_collector_is_named(start: Start) -> None:
    received: list[ExportTraceServiceRequest] = []

    async def collect(request: web.Request) -> web.Response:
        received.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    collector = web.Application()
    collector.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(collector)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        served = await start(traces_url=f"http://127.0.0.1:{port}/v1/traces")
        above = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        async with served.client("ask") as client:
            body = {"question": "How much oil?"}
            async with client.post("/api/v1/generate", json=body, headers=above) as response:
                request_id = response.headers["X-Request-ID"]
            async with client.get("/api/v1/documents/none"):
                pass
        await served.stop()
    finally:
        await runner.cleanup()
    spans = [
        span
        for each in received
        for resource in each.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {"POST /api/v1/generate", "answer", "GET /api/v1/documents/{document}"}
    request, answer = by_name["POST /api/v1/generate"], by_name["answer"]
    assert request.trace_id.hex() == answer.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert answer.parent_span_id == request.span_id
    told = {each.key: each.value for each in request.attributes}
    assert told["http.response.status_code"].int_value == 200
    assert told["termrag.request_id"].string_value == request_id
    told = {each.key: each.value for each in answer.attributes}
    assert told["termrag.verdict"].string_value == "grounded"
    assert told["gen_ai.usage.output_tokens"].int_value > 0
    assert told["termrag.stage.search.duration"].double_value > 0
    everything = str(received)
    assert "oil" not in everything
    assert SAYS not in everything
