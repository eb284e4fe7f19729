"""Clients that are broken or mean it badly: whatever they do, the server stays up and answers others."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from server.conftest import Served, Start


def port_of(served: Served) -> int:
    return int(served.url.rpartition(":")[2])


async def answers_others(served: Served, times: int = 5) -> float:
    """The slowest of a few searches by another client, in seconds."""
    slowest = 0.0
    async with served.client("read") as client:
        for _ in range(times):
            begun = time.monotonic()
            async with client.post("/api/v1/search", json={"query": "oil"}) as response:
                assert response.status == 200
                assert (await response.json())["hits"]
            slowest = max(slowest, time.monotonic() - begun)
    return slowest


@asynccontextmanager
async def crowd(served: Served, count: int, say: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections that have said only this."""
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served))
        writer.write(say)
        opened.append((reader, writer))
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


async def ended(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_who_says_his_request_letter_by_letter_is_cut_off_and_others_are_answered(start: Start) -> None:
    served = await start(header_timeout_s=1.5)
    async with crowd(served, 150, b"GET /health HTTP/1.1\r\nX-Slow: ") as readers:
        assert await answers_others(served) < 2.0
        said = await asyncio.wait_for(asyncio.gather(*map(ended, readers)), 20)
    assert set(said) == {b""}
    await answers_others(served)


async def test_connections_without_end_keep_nobody_out(start: Start) -> None:
    served = await start(connections=60, header_timeout_s=60.0)
    async with crowd(served, 300) as readers:
        assert await answers_others(served) < 2.0
        closed = [reader for reader in readers if reader.at_eof() or reader.exception()]
        assert len(closed) >= 235
    async with crowd(served, 100, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        assert await answers_others(served) < 2.0  # they have asked, and rest


async def test_a_connection_that_is_answered_is_never_taken_for_another(start: Start) -> None:
    served = await start(" ".join(map(str, range(300))), connections=5)
    async with served.client("ask") as client:
        body = {"question": "Count.", "general": True, "stream": True, "sampling": {"max_tokens": 1000}}
        async with client.post("/api/v1/generate", json=body) as response:
            await response.content.readuntil(b"event: token")
            async with crowd(served, 50):
                rest = (await response.content.read()).decode()
    assert "event: answered" in rest


async def test_half_open_connections_and_resets_leave_nothing_behind(start: Start) -> None:
    served = await start(" ".join(map(str, range(500))), header_timeout_s=1.0, resume_s=0.0)
    await answers_others(served)
    before = open_files()
    key = served.key("ask")["Authorization"]
    body = json.dumps({"question": "Count.", "general": True, "stream": True}).encode()
    ask = f"POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n".encode()
    ask += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for number in range(60):
        connection = socket.create_connection(("127.0.0.1", port_of(served)))
        connection.sendall([ask[:40], ask + body[:10], ask + body, ask + body][number % 4])
        if number % 3 == 0:
            connection.shutdown(socket.SHUT_WR)
        if number % 4 == 3:
            await asyncio.sleep(0.02)  # into the stream
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    await answers_others(served)
    for _ in range(200):
        if open_files() <= before + 2:
            break
        await asyncio.sleep(0.05)
    assert open_files() <= before + 2


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208


@pytest.mark.parametrize(
    "head",
    [
        b"X-Huge: " + b"a" * 100_000,
        b"\r\n".join(b"X-%d: a" % number for number in range(20_000)),
        b"Content-Length: 99999999999999999999",
        b"Content-Length: -1",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Transfer-Encoding: gzip",
        b"Host: localhost\r\nHost: evil.example",
        b"No colon at all",
        b" folded: header",
        b"X-Bytes: \xff\xfe\x00",
    ],
    ids=lambda head: repr(head[:24]),
)
async def test_strange_headers_are_refused(served: Served, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served))
    request = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head + b"\r\n\r\n"
    try:
        writer.write(request)
        await writer.drain()
        said = await asyncio.wait_for(ended(reader), 10)
    except ConnectionError:
        said = b""
    writer.close()
    if said:
        assert said.split()[1][:1] == b"4", said[:200]
    assert await answers_others(served, 1) < 2.0


_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--other\r\n\r\nx\r\n--other--",
        _HEAD,
        _HEAD + b"x",
        _HEAD + b"x\r\n--b",
        b"--b\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="question"\r\n\r\n\xff\xfe\r\n--b--\r\n',
        b"--b\r\nContent-Disposition: " + b"x" * 50_000 + b"\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n" + b"X-H: y\r\n" * 5000 + b"\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-Disposition: form-data; name="q"\r\n\r\n'
        b"--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
        _HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 999999\r\n\r\n") + b"x\r\n--b--\r\n",
        _HEAD.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"!!!!\r\n--b--\r\n",
    ],
)
async def test_broken_forms_are_refused(start: Start, body: bytes) -> None:
    served = await start(body_timeout_s=2.0)
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    async with served.client("admin") as client:
        for path in ("/api/v1/generate/upload", "/api/v1/documents"):
            async with client.post(path, data=body, headers=kind) as response:
                assert response.status < 500, await response.text()
                if path.endswith("upload"):
                    assert response.status >= 400, await response.text()
                    assert set(await response.json()) == {"error", "message", "hint", "request_id"}
    assert list((served.rag.paths.state / "uploads").iterdir()) == []


async def test_a_wrong_charset_is_an_error_of_the_client(served: Served) -> None:
    question = {"question": "Wie viel Öl verbraucht die Lampe?"}
    json_of = {
        "application/json; charset=latin-1": json.dumps(question, ensure_ascii=False).encode("latin-1"),
        "application/json; charset=utf-16": json.dumps(question).encode("utf-16"),
        "application/json; charset=no-such": json.dumps(question, ensure_ascii=False).encode("latin-1"),
    }
    async with served.client("admin") as client:
        for kind, body in json_of.items():
            async with client.post("/api/v1/generate", data=body, headers={"Content-Type": kind}) as response:
                assert response.status == 422, (kind, await response.text())
        half = '{"question": "half a pair: \\ud800"}'
        async with client.post("/api/v1/generate", data=half, headers={"Content-Type": "application/json"}) as response:
            assert response.status in (200, 422)
    for target in (b"/api/v1/documents?match=%FF%FE", b"/api/v1/documents/%FF%FE", b"/%00", b"/api/v1/documents/%00"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served))
        key = served.key("read")["Authorization"].encode()
        writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        writer.write(b"Authorization: " + key + b"\r\n\r\n")
        said = await asyncio.wait_for(ended(reader), 10)
        assert said.split()[1][:1] in (b"2", b"4"), said[:200]
        writer.close()


async def test_a_socket_that_sends_rubbish_does_no_harm(served: Served) -> None:
    async with served.client("ask") as client:
        async with client.ws_connect("/api/v1/ws") as channel:
            await channel.send_bytes(os.urandom(1000))
            assert (await channel.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        async with client.ws_connect("/api/v1/ws") as channel:
            await channel.send_str("x" * 3_000_000)
            assert (await channel.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    await answers_others(served, 1)
