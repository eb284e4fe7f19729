"""Server-sent events: numbered, kept alive by comments, ended by the last event of what they tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from termrag.server.runs import Item, Run, Runs

_BEAT_S = 15.0


async def send_run(request: web.Request, runs: Runs, run: Run, after: int = 0) -> web.StreamResponse:
    """Stream a run's events from number `after` + 1 on. The event id is the run's id and the number: what a browser
    sends back when it lost the connection."""
    response = await _begun(request)

    async def lines() -> AsyncGenerator[bytes, None]:
        async with aclosing(runs.batches(run, after)) as batches:
            async for batch in batches:
                yield b"".join(_line(item, f"{run.id}:{item.number}") for item in batch)

    return await _send(response, lines())


async def send_events(request: web.Request, events: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """Stream plain events; each has its `type`."""
    response = await _begun(request)

    async def lines() -> AsyncGenerator[bytes, None]:
        number = 0
        async for event in events:
            number += 1
            yield _line(Item(number, event["type"], json.dumps(event, ensure_ascii=False)), str(number))

    return await _send(response, lines())


async def send_data(request: web.Request, data: AsyncIterator[str]) -> web.StreamResponse:
    """Stream bare data lines, without ids or names of events."""
    response = await _begun(request)

    async def lines() -> AsyncGenerator[bytes, None]:
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


async def _send(response: web.StreamResponse, lines: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Write lines as they come, and comments between."""
    task = asyncio.current_task()
    assert task is not None
    beats = asyncio.create_task(_beat(response, task))
    try:
        async with aclosing(lines):
            async for line in lines:
                await response.write(line)
        await response.write_eof()
    except ConnectionError:
        pass  # the client is gone; what it listened to knows
    finally:
        beats.cancel()
    return response


async def _beat(response: web.StreamResponse, writer: asyncio.Task[Any]) -> None:
    """A comment now and then: so a gone client is noticed while nothing else is written."""
    while True:
        await asyncio.sleep(_BEAT_S)
        try:
            await response.write(b": still here\n\n")
        except ConnectionError:
            writer.cancel()
            return


def _line(item: Item, event_id: str) -> bytes:
    return f"id: {event_id}\nevent: {item.type}\ndata: {item.data}\n\n".encode()
