"""The Model Context Protocol over streamable HTTP: the same keys and scopes, the same turns as any question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from termrag.records import Answer, Filters
from termrag.server import asgi
from termrag.server.log import log
from termrag.server.middlewares import caller_of, request_id
from termrag.server.operations import Call, Operation, Scope
from termrag.server.routes.asking import compute

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext

_CALL = "termrag.call"


@checked_dataclass(frozen=True, slots=True, config=ConfigDict(extra="ignore"))
class JsonRpcMessage:
    """One message of the protocol; what else stands in it is the SDK's to check."""

    jsonrpc: Literal["2.0"]
    method: str = ""


@dataclass(frozen=True, slots=True)
class JsonRpcFault:
    """An error of the protocol, or of the server before it."""

    error: Any


@dataclass(frozen=True, slots=True)
class _Client:
    """A visitor who came by HTTP."""

    call: Call

    def may(self, scope: str) -> bool:
        return caller_of(self.call.request).may(Scope(scope))

    async def ask(self, question: str, filters: Filters) -> Answer:
        run = await compute(self.call, question, is_shared=True, sampling=self.call.rag.sampling(), filters=filters)
        return await self.call.state.runs.result(run)

    def wrote(self, tool: str) -> None:
        log("audit").info(
            f"mcp.{tool}", request_id=request_id.get(), status=200, caller=caller_of(self.call.request).name
        )


def _visitor(context: ServerRequestContext[Any]) -> _Client:
    assert context.request is not None
    return _Client(context.request.scope[_CALL])


async def mcp(call: Call) -> web.StreamResponse:
    """Messages of the Model Context Protocol (JSON-RPC), version 2025-03-26 and later, without sessions: the tools
    search, ask, add, get and list, each by the scope it needs."""
    application = await call.state.mcp.application(_visitor)
    extra: dict[str, Any] = {_CALL: call}
    return await asgi.answer(call.request, application, body_timeout_s=call.state.settings.body_timeout_s, **extra)


OPERATIONS = (
    Operation(
        "POST",
        "/mcp",
        mcp,
        "Tools for other programs' models",
        "mcp",
        Scope.READ,
        streams=True,
        body=JsonRpcMessage,
        fault=JsonRpcFault,
    ),
)
