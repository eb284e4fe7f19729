"""The warm host: the façade for this user's other processes, through the Unix socket alone.

Not part of the documented API: both ends are the same version of the same program, which `remote` sees to.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

from aiohttp import web

from termrag import __version__, codec
from termrag.errors import HostLost, LibraryBusy, NotFound
from termrag.events import Answered
from termrag.paths import working_folder
from termrag.rag import Rag
from termrag.remote import HostInfo, likeness
from termrag.server import wire
from termrag.server.auth import LOCAL_USER, is_local
from termrag.server.faults import Refused
from termrag.server.middlewares import STATE, request_id

if TYPE_CHECKING:
    from termrag.server.state import State

_NOT_HERE = ("watch", "take_over")  # who watches is a process of its own; settings come from the host's own file
_MOST_TAKEN = 20
_METHODS = {
    name: inspect.isasyncgenfunction(method)
    for name, method in inspect.getmembers(Rag, inspect.isfunction)
    if not name.startswith("_")
    and name not in _NOT_HERE
    and (inspect.isasyncgenfunction(method) or inspect.iscoroutinefunction(method))
}


def add_host(app: web.Application) -> None:
    """Add the host's routes, which nobody but this user can reach."""
    app.router.add_get("/host", _tell)
    app.router.add_post("/host/stop", _stop)
    app.router.add_post("/host/{method}", _call)
    app.on_shutdown.append(_end_calls)


def info(state: State) -> HostInfo:
    rag = state.rag
    return HostInfo(
        pid=os.getpid(),
        version=__version__,
        likeness=likeness(rag.config, rag.paths),
        address=state.address,
        library=rag.config.library.path or str(rag.paths.library),
        started_at=state.started_at,
        model=rag.loaded_model or "",
        at_work=state.runs.active + len(state.calls),
    )


async def _tell(request: web.Request) -> web.Response:
    return wire.json_response(info(_state(request)))


async def _stop(request: web.Request) -> web.Response:
    """Begin to end."""
    state = _state(request)
    state.stop.set()
    return wire.json_response(info(state), 202)


async def _call(request: web.Request) -> web.StreamResponse:
    """Call one method of the façade, and send what it yields or returns."""
    state = _state(request)
    method = request.match_info["method"]
    if method not in _METHODS:
        raise Refused(404, "not_found", f"a host has no {method}")
    if request.headers.get("X-Likeness") != likeness(state.rag.config, state.rag.paths):
        raise Refused(409, "unlike", "the settings have changed meanwhile", "run it again")
    wanted = await _wanted(request, state)
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    task = asyncio.current_task()
    assert task is not None
    state.calls.add(task)
    try:
        await _send(response, state, method, wanted)
    except asyncio.CancelledError:
        if not state.stop.is_set():
            raise
        task.uncancel()
        await _line(response, {"error": codec.error_data(HostLost("the warm host was stopped", "run it again"))})
    finally:
        state.calls.discard(task)
    return response


async def _wanted(request: web.Request, state: State) -> dict[str, Any]:
    """The call that the body asks for. Raises Refused for one that is too large or no call."""
    most = state.rag.config.documents.max_file_mb << 20
    parts, size = [], 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            raise Refused(413, "too_large", f"more than {most >> 20} MB", "termrag add - --name NAME indexes a text")
    try:
        wanted = codec.loads(b"".join(parts))
        return {"arguments": wanted["arguments"], "options": wanted["options"], "folder": wanted["folder"]}
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(400, "invalid", f"no call: {error}") from error


async def _send(response: web.StreamResponse, state: State, method: str, wanted: dict[str, Any]) -> None:
    working_folder.set(wanted["folder"])
    state.asked_at = time.monotonic()
    try:
        async with AsyncExitStack() as stack:
            if method == "ask":
                await stack.enter_async_context(state.turnstile.place(LOCAL_USER.name))
            arguments = [_taken(state, each) for each in wanted["arguments"]]
            called = getattr(state.rag, method)(*arguments, **wanted["options"])
            if _METHODS[method]:
                await _send_events(response, state, called)
            else:
                await _line(response, {"item": _sent(state, method, await called)})
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Refused as error:
        await _line(response, {"error": codec.error_data(LibraryBusy(error.message, error.hint))})
    except Exception as error:  # whatever ends a call ends it at the other side
        wire.log_bug(error, request_id.get())
        await _line(response, {"error": codec.error_data(error)})
    else:
        await _line(response, {"end": True})
    finally:
        state.asked_at = time.monotonic()


async def _send_events(response: web.StreamResponse, state: State, called: AsyncGenerator[Any, None]) -> None:
    async with aclosing(called) as events:
        async for event in events:
            if isinstance(event, Answered):
                state.metrics.count_answer(event.answer)
            await _line(response, {"item": event})


def _sent(state: State, method: str, value: Any) -> Any:
    """A value as it is sent. Documents that were taken out, vectors and all, stay here."""
    if method != "take_out":
        return value
    kept = codec.Kept(secrets.token_hex(8), value.count, tuple(value.others))
    state.taken[kept.id] = value
    while len(state.taken) > _MOST_TAKEN:
        del state.taken[next(iter(state.taken))]
    return kept


def _taken(state: State, argument: Any) -> Any:
    if not isinstance(argument, codec.Kept):
        return argument
    if argument.id not in state.taken:
        raise NotFound("what was taken out is no longer here", "termrag add PATH")
    return state.taken.pop(argument.id)


async def _line(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(codec.dumps(data) + b"\n")


async def _end_calls(app: web.Application) -> None:
    """Each call in hand ends with a line that says why."""
    state = app[STATE]
    state.stop.set()
    for task in list(state.calls):
        task.cancel()


def _state(request: web.Request) -> State:
    if not is_local(request):
        raise Refused(404, "not_found", "not found")
    return request.app[STATE]
