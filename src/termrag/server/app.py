"""The application: operations behind the middlewares, and what runs beside them; started and stopped in one place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from termrag.logs import logger
from termrag.server import checking, uploads, wire
from termrag.server.middlewares import OPERATION, STATE, let_in, on_prepare, outermost, same_place
from termrag.server.operations import Call, Operation
from termrag.server.routes import OPERATIONS
from termrag.server.state import make_state

if TYPE_CHECKING:
    from termrag.rag import Rag

_LOOK_S = 5.0


def make_app(rag: Rag, operations: Sequence[Operation] = OPERATIONS) -> web.Application:
    """A server over `rag`, which the caller opens and closes. Raises ConfigError."""
    settings = rag.config.server
    app = web.Application(
        middlewares=[outermost, same_place, let_in], client_max_size=int(settings.body_mb * (1 << 20))
    )
    app[STATE] = make_state(rag)
    app.on_response_prepare.append(on_prepare)
    app.cleanup_ctx.append(_beside)
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
    await state.runs.close()
    await state.mcp.close()
    await state.jobs.close()
    await asyncio.to_thread(state.traces.close)


async def _unload_when_idle(app: web.Application) -> None:
    state = app[STATE]
    is_loaded = False
    while True:
        await asyncio.sleep(min(_LOOK_S, state.settings.keep_alive_s))
        quiet_s = time.monotonic() - state.asked_at
        if state.runs.active or quiet_s < state.settings.keep_alive_s:
            is_loaded = True
        elif is_loaded:
            is_loaded = False
            logger.info("unload models after %.0f s", quiet_s)
            await state.rag.unload_models()
