"""What an endpoint is: its path, types, scope and handler in one value, from which routing, checks and the OpenAPI
document are made. Knows no endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aiohttp import web

from termrag.server.faults import Fault

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.server.state import State


class Scope(StrEnum):
    """What a key may do. Each includes those before it, except `admin`, which includes all."""

    READ = "read"  # search, list, show
    ASK = "ask"  # ask the model
    WRITE = "write"  # change documents, sessions, watched folders
    ADMIN = "admin"  # models, index, settings


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: `body` and `query` are of the operation's types, or None."""

    request: web.Request
    state: State
    body: Any = None
    query: Any = None

    @property
    def rag(self) -> Rag:
        return self.state.rag

    def path(self, name: str) -> str:
        return self.request.match_info[name]


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint. A handler returns what is sent as JSON with `status`, or a response that it has prepared itself.

    `scope` None: anybody may call it. `body` and `query` are dataclasses whose fields are checked; `result` is the type
    of the JSON answer, None where there is none; `multipart` takes files; `streams` may answer with server-sent events;
    `fault` is the shape of its errors.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    scope: Scope | None
    body: Any = None
    query: Any = None
    result: Any = None
    status: int = 200
    multipart: Any = None
    streams: bool = False
    media_type: str = "application/json"
    other_media_types: tuple[str, ...] = ()
    fault: Any = Fault

    @property
    def name(self) -> str:
        """The operation's id: the handler's name, which is unique."""
        return getattr(self.handler, "__name__", "operation").rstrip("_")
