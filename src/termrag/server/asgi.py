"""An ASGI application inside this server: one request handed over, its answer written as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aiohttp import web

from termrag.server.checking import read_body

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# What this server says of every answer stands there already; the length is counted anew.
_OWN = ("content-length", "transfer-encoding", "connection", "server", "date")


async def answer(
    request: web.Request, application: Application, *, body_timeout_s: float, **extra: Any
) -> web.StreamResponse:
    """Let an application answer; `extra` stands in its scope. Raises Refused (408, 413) for a body that does not
    come."""
    body: bytes | None = await read_body(request, body_timeout_s)
    response: web.StreamResponse | None = None

    async def receive() -> Message:
        nonlocal body
        if body is None:
            await asyncio.Event().wait()  # who leaves cancels this request
        whole, body = body, None
        return {"type": "http.request", "body": whole, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal response
        if message["type"] == "http.response.start":
            response = web.StreamResponse(status=message["status"])
            for name, value in message.get("headers", ()):
                if (text := name.decode("latin-1")).lower() not in _OWN:
                    response.headers[text] = value.decode("latin-1")
            await response.prepare(request)
        elif response is not None and message["type"] == "http.response.body":
            if chunk := message.get("body", b""):
                await response.write(chunk)
            if not message.get("more_body", False):
                await response.write_eof()

    await application(_scope(request) | extra, receive, send)
    if response is None:
        raise web.HTTPInternalServerError
    return response


def _scope(request: web.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.raw_path.partition("?")[0].encode(),
        "query_string": request.query_string.encode(),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": (request.remote or "socket", 0),
        "server": (request.host, None),
    }
