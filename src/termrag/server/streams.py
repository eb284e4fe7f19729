"""Server-sent events: numbered, kept alive by comments, ended by the last event of what they tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from termrag.server.runs import Item, Run, Runs

_BEAT_S = 15.0


async def send_run(request: web.Request, runs: Runs, run: Run, after: int = 0) -> web.StreamResponse:
    """Stream a run's events from number `after` + 1 on. The event id is the run's id and the number: what a browser
    sends back when it lost the connection."""
    response = await _begun(request)

    async def lines() -> AsyncIterator[bytes]:
        events = runs.events(run, after)
        async with aclosing(events):  # type: ignore[type-var]
            async for item in events:
                yield _line(item, f"{run.id}:{item.number}")

    return await _send(response, lines())


async def send_events(request: web.Request, events: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """Stream plain events; each has its `type`."""
    response = await _begun(request)

    async def lines() -> AsyncIterator[bytes]:
        number = 0
        async for event in events:
            number += 1
            yield _line(Item(number, event["type"], json.dumps(event, ensure_ascii=False)), str(number))

    return await _send(response, lines())


async def send_data(request: web.Request, data: AsyncIterator[str]) -> web.StreamResponse:
    """Stream bare data lines, without ids or names of events."""
    response = await _begun(request)

    async def lines() -> AsyncIterator[bytes]:
        async for each in data:
            yield f"data: {each}\n\n".encode()

    return await _send(response, lines())


def after_of(request: web.Request, query_after: int) -> int:
    """Where a client wants to go on: the number in `Last-Event-ID`, or in the query."""
    tail = request.headers.get("Last-Event-ID", "").rpartition(":")[2]
    return int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 10 else query_after


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    return response


async def _send(response: web.StreamResponse, lines: AsyncIterator[bytes]) -> web.StreamResponse:
    """Write lines as they come, and a comment where none comes for long: so a gone client is noticed."""
    pending: asyncio.Task[bytes] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(_next(lines))
            done, _ = await asyncio.wait({pending}, timeout=_BEAT_S)
            if not done:
                await response.write(b": still here\n\n")
                continue
            line, pending = pending.result(), None
            if not line:
                break
            await response.write(line)
        await response.write_eof()
    except (ConnectionResetError, ConnectionError):
        pass  # the client is gone; what it listened to knows
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await lines.aclose()  # type: ignore[attr-defined]
    return response


async def _next(lines: AsyncIterator[bytes]) -> bytes:
    return await anext(lines, b"")


def _line(item: Item, event_id: str) -> bytes:
    return f"id: {event_id}\nevent: {item.type}\ndata: {item.data}\n\n".encode()
