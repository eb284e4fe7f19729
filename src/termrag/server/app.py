"""The application: operations behind the middlewares, and what runs beside them; started and stopped in one place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, web

from termrag.logs import logger
from termrag.server import checking, uploads, wire
from termrag.server.chat import add_chat
from termrag.server.host import add_host
from termrag.server.middlewares import OPERATION, STATE, let_in, on_prepare, outermost, same_place
from termrag.server.operations import Call, Operation
from termrag.server.routes import OPERATIONS
from termrag.server.state import make_state

if TYPE_CHECKING:
    from termrag.rag import Rag

_LOOK_S = 5.0
_GRACE_S = 3.0
_GLANCE_S = 0.05
_ASKS_MODELS = ("ask", "search", "openai")  # tags of operations that load models


def make_app(rag: Rag, operations: Sequence[Operation] = OPERATIONS) -> web.Application:
    """A server over `rag`, which the caller opens and closes. Raises ConfigError."""
    settings = rag.config.server
    app = web.Application(
        middlewares=[outermost, same_place, let_in], client_max_size=int(settings.body_mb * (1 << 20))
    )
    app[STATE] = make_state(rag)
    app.on_response_prepare.append(on_prepare)
    app.cleanup_ctx.append(_beside)
    app.on_shutdown.append(_end_streams)
    add_host(app)
    add_chat(app)
    for operation in operations:
        app.router.add_route(operation.method, operation.path, _handler(operation))
    return app


def _handler(operation: Operation):  # type: ignore[no-untyped-def]  # aiohttp's own type says less
    async def handle(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        body = query = None
        if operation.query is not None:
            query = checking.checked_query(request, operation.query)
        if operation.body is not None:
            body = await checking.checked_body(request, operation.body, state.settings.body_timeout_s)
        if operation.tag in _ASKS_MODELS:
            state.asked_at = time.monotonic()
        result = await operation.handler(Call(request, state, body, query))
        if isinstance(result, web.StreamResponse):
            return result
        if operation.status == 204:
            return web.Response(status=204)
        return wire.json_response(result, operation.status)

    setattr(handle, OPERATION, operation)
    return handle


async def _beside(app: web.Application) -> AsyncIterator[None]:
    """Jobs, and models that are unloaded when nobody asks; both end with the server."""
    state = app[STATE]
    await asyncio.to_thread(uploads.clear, state.rag.paths.state / "uploads")
    state.jobs.start()
    idle = asyncio.create_task(_unload_when_idle(app))
    yield
    idle.cancel()
    with suppress(asyncio.CancelledError):
        await idle
    await state.mcp.close()
    await state.jobs.close()
    await state.close()
    await asyncio.to_thread(state.traces.close)


async def _end_streams(app: web.Application) -> None:
    """Let answers in hand come to their end for a few seconds; then each stream gets a last event that says so."""
    state = app[STATE]
    state.jobs.end_streams()
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_S):
            while state.runs.active:
                await asyncio.sleep(_GLANCE_S)
    await state.runs.close()
    await asyncio.gather(*(each.close(code=WSCloseCode.GOING_AWAY) for each in set(state.sockets)))


async def _unload_when_idle(app: web.Application) -> None:
    state = app[STATE]
    is_loaded = False
    while True:
        await asyncio.sleep(min(_LOOK_S, state.settings.keep_alive_s))
        quiet_s = time.monotonic() - state.asked_at
        if state.runs.active or state.calls or quiet_s < state.settings.keep_alive_s:
            is_loaded = True
        elif is_loaded:
            is_loaded = False
            logger.info("unload models after %.0f s", quiet_s)
            await state.rag.unload_models()
