"""The Model Context Protocol's sessions on this server: begun with the first message, ended with the server."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from termrag.server.asgi import Application
from termrag.server.faults import Refused

if TYPE_CHECKING:
    from termrag.mcp import Visitor
    from termrag.rag import Rag


class Endpoint:
    """The SDK's sessions, begun with the first request and ended with the server."""

    def __init__(self, rag: Rag) -> None:
        self._rag = rag
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Application] | None = None

    async def application(self, visitor_of: Callable[[Any], Visitor]) -> Application:
        """Raises Refused (501) where the SDK is not installed."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._ready, visitor_of), context=contextvars.Context())
        return await asyncio.shield(self._ready)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, ready: asyncio.Future[Application], visitor_of: Callable[[Any], Visitor]) -> None:
        # One task owns the SDK's task group from beginning to end, as it must.
        try:
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

            from termrag.mcp import make_server
        except ImportError as error:
            ready.set_exception(Refused(501, "not_installed", f"this needs {error.name}", "pip install 'termrag[mcp]'"))
            return
        server = make_server(self._rag, visitor_of, refusals=(Refused,))
        # Nothing is kept between requests: a key that is revoked is worthless for a session too.
        manager = StreamableHTTPSessionManager(server, stateless=True)
        async with manager.run():
            ready.set_result(manager.handle_request)
            await asyncio.Event().wait()
