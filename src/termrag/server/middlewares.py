"""What every request passes through: its id, the address it names, its origin, its caller, limits, and the log."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from urllib.parse import urlsplit

from aiohttp import web

from termrag.server import faults, wire
from termrag.server.auth import Caller, is_local
from termrag.server.faults import Refused
from termrag.server.limits import neighbourhood
from termrag.server.log import log
from termrag.server.operations import Operation
from termrag.server.state import State

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATE = web.AppKey("state", State)
CALLER = web.RequestKey("caller", Caller)
OPERATION = "operation"
_HERE = ("localhost", "127.0.0.1", "::1")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

request_id: ContextVar[str] = ContextVar("request_id", default="")

# Pages come with scripts and styles of this server alone; nothing may frame them.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cache-Control": "no-store",
    "Server": "termrag",
}


@web.middleware
async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, and whatever ends it an answer in the one shape of errors."""
    given = request.headers.get("X-Request-ID", "")
    request_id.set(given if _ID.fullmatch(given) else secrets.token_hex(8))
    begun, status = time.perf_counter(), 500
    traces, operation = request.app[STATE].traces, operation_of(request)
    route = operation.path if operation else "other"
    with traces.request(request.method, route, request.headers, request_id.get()) as span:
        try:
            response = await _answered(request, handler)
            status = response.status
            return response
        except asyncio.CancelledError:
            status = 499  # the client is gone
            raise
        finally:
            traces.ended(span, status)
            _note(request, status, time.perf_counter() - begun)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # one of the three renderers of errors
        wire.log_bug(error, request_id.get())
        response = faults.response(error, request_id.get(), openai=request.path.startswith("/v1/"))
    return response


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer, also of those that stream."""
    for name, value in HEADERS.items():
        if name not in response.headers or name == "Server":
            response.headers[name] = value
    response.headers["X-Request-ID"] = request_id.get()
    origin = request.headers.get("Origin")
    if origin and origin in request.app[STATE].settings.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["Vary"] = "Origin"


@web.middleware
async def same_place(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn away what a web page elsewhere makes a browser send: a strange Host (DNS rebinding) or Origin."""
    settings = request.app[STATE].settings
    if not is_local(request):
        host = _host_of(f"//{request.headers.get('Host', '')}")
        if host not in (*_HERE, settings.host, *settings.hosts):
            raise Refused(
                403, "forbidden_host", "this server does not go by that name", "termrag config set server.hosts NAME"
            )
    origin = request.headers.get("Origin")
    if origin and origin not in settings.origins and not _is_own(origin, request):
        raise Refused(
            403,
            "forbidden_origin",
            "pages of that origin may not call this server",
            "termrag config set server.origins ORIGIN",
        )
    if request.method == "OPTIONS" and origin and "Access-Control-Request-Method" in request.headers:
        return _preflight(request)
    return await handler(request)


def _is_own(origin: str, request: web.Request) -> bool:
    return urlsplit(origin).netloc == request.headers.get("Host", "") and urlsplit(origin).scheme == request.scheme


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _preflight(request: web.Request) -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, X-API-Key, X-Request-ID, Last-Event-ID",
            "Access-Control-Max-Age": "600",
        },
    )


@web.middleware
async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Know the caller, count the request, and hold the operation's scope against what the caller may do."""
    state = request.app[STATE]
    count_address(request)
    operation = operation_of(request)
    if operation is None or operation.scope is None:
        state.rate.take(request.remote or "socket")
        return await handler(request)
    try:
        caller = state.auth.caller(request)
    except Refused:
        state.rate.take(f"unknown {request.remote}")
        raise
    if caller.name != "local user":
        state.rate.take(caller.name)
    if not caller.may(operation.scope):
        raise Refused(
            403,
            "forbidden",
            f"this key has no scope {operation.scope.value}",
            f"termrag keys create --scope {operation.scope.value}",
        )
    request[CALLER] = caller
    return await handler(request)


def count_address(request: web.Request) -> None:
    """Count a request, or a message of an open socket, of its address, whoever asks; this user's own socket has none.
    Raises Refused (429)."""
    if request.remote and not is_local(request):
        request.app[STATE].by_address.take(neighbourhood(request.remote))


def operation_of(request: web.Request) -> Operation | None:
    """The operation that answers, if the path is one's."""
    found = getattr(request.match_info.handler, OPERATION, None)
    return found if isinstance(found, Operation) else None


def caller_of(request: web.Request) -> Caller:
    return request[CALLER]


def _note(request: web.Request, status: int, seconds: float) -> None:
    """One line for the log and one for the counts; writes go to the audit log as well. Never a body, never a query."""
    operation = operation_of(request)
    endpoint = operation.path if operation else "other"
    request.app[STATE].metrics.count_request(endpoint, request.method, status, seconds)
    caller = request.get(CALLER)
    who = caller.name if caller else ""
    log().info(
        "request",
        request_id=request_id.get(),
        method=request.method,
        endpoint=endpoint,
        status=status,
        milliseconds=round(seconds * 1000, 1),
        caller=who,
    )
    if operation and operation.method != "GET" and operation.scope in ("write", "admin"):
        log("audit").info(
            operation.name, request_id=request_id.get(), status=status, caller=who, target=dict(request.match_info)
        )
