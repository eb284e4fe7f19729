"""Questions: answered at once, as server-sent events, or over a WebSocket; with documents, text or files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import ValidationError

from termrag.errors import NotFound
from termrag.events import Answered, AskEvent
from termrag.records import Answer, Sampling
from termrag.server import shapes, streams, uploads, wire
from termrag.server.auth import LOCAL_USER
from termrag.server.checking import adapter
from termrag.server.faults import Refused
from termrag.server.filters import filters_of
from termrag.server.log import log
from termrag.server.middlewares import caller_of, count_address, request_id
from termrag.server.operations import Call, Operation, Scope
from termrag.server.runs import Run, key_of

if TYPE_CHECKING:
    from termrag.rag import Rag


async def generate(call: Call) -> Any:
    """Answer a question."""
    return await _respond(call, await begin(call, call.body), stream=call.body.stream)


async def generate_upload(call: Call) -> Any:
    """Answer a question from the files of a form, or from these as documents that are kept."""
    async with uploads.received(call, shapes.GenerateUpload) as (fields, files):
        if not files:
            raise NotFound("the form has no file", "curl -F question=… -F file=@notes.pdf")
        body = shapes.Generate(
            question=fields.question, session=fields.session, sampling=fields.sampling, stream=fields.stream
        )
        if fields.keep:
            _may_keep(call)
            documents = await uploads.keep(call, files)
            body = replace(body, filters=shapes.FilterBody(documents=tuple(documents)))
            run = await begin(call, body)
        else:
            run = await begin(call, body, attached=[str(file) for file in files])
        return await _respond(call, run, stream=fields.stream)


def _may_keep(call: Call) -> None:
    """A question that leaves documents behind is a write: allowed and noted as one. Raises Refused (403)."""
    caller = caller_of(call.request)
    if not caller.may(Scope.WRITE):
        raise Refused(403, "forbidden", "this key has no scope write", "termrag keys create --scope write")
    log("audit").info("keep_upload", request_id=request_id.get(), status=200, caller=caller.name)


async def resume(call: Call) -> web.StreamResponse:
    """Go on with an answer's events after a lost connection."""
    run = call.state.runs.find(call.path("run"), caller_of(call.request).name)
    if run is None:
        raise NotFound("there is no such answer, or no longer", "ask again")
    return await streams.send_run(call.request, call.state.runs, run, streams.after_of(call.request, call.query.after))


async def stop(call: Call) -> Answer | None:
    """End an answer now; what came is kept where the question is."""
    run = call.state.runs.find(call.path("run"), caller_of(call.request).name)
    if run is None:
        raise NotFound("there is no such answer, or no longer", "ask again")
    call.state.runs.stop(run, caller_of(call.request).name)
    return None


async def begin(call: Call, body: shapes.Generate, *, attached: list[str] | None = None) -> Run:
    """Start computing an answer. Raises Refused (429) if too many wait, NotFound for documents or sessions."""
    return await compute(
        call,
        body.question,
        is_shared=not (body.session or attached),
        kept_in=body.session,
        sampling=sampling_of(call, body.sampling),
        parent=body.parent,
        filters=await filters_of(call.rag, body.filters),
        context=body.text or None,
        context_name=body.text_name,
        attached=tuple(attached or ()),
        general=body.general,
    )


async def compute(
    call: Call,
    question: str,
    *,
    is_shared: bool,
    sampling: Sampling,
    kept_in: str = "",
    library: Rag | None = None,
    **options: Any,
) -> Run:
    """Start an answer as soon as it is the caller's turn; `options` are those of the façade, that of the library served
    or another `library`. Where `is_shared`, equal questions at the same time have one answer. Raises Refused (429) if
    too many wait, NotFound for the session that it is kept in."""
    state, caller, rag = call.state, caller_of(call.request), library or call.rag
    same = await _same(rag, question, sampling, options) if is_shared else ""
    if (joined := state.runs.join(same, caller.name)) is not None:
        return joined
    place = state.turnstile.place(caller.name)
    try:
        session = await _session(call, kept_in)
    except BaseException:
        place.leave()
        raise

    async def ask() -> AsyncGenerator[AskEvent, None]:
        async with place:
            state.asked_at = time.monotonic()
            events = rag.ask(question, sampling=sampling, session=session, **options)
            with state.traces.answer() as span:
                async with aclosing(events):
                    async for event in events:
                        if isinstance(event, Answered):
                            state.metrics.count_answer(event.answer)
                            state.traces.answered(span, event.answer)
                        yield event
            state.asked_at = time.monotonic()

    return state.runs.start(ask, owner=caller.name, request_id=request_id.get(), same=same, at_end=place.leave)


def sampling_of(call: Call, body: shapes.SamplingBody) -> Sampling:
    given = {name: value for name, value in asdict(body).items() if value not in (None, ())}
    return replace(call.rag.sampling(), **given)


async def _session(call: Call, wanted: str) -> str | None:
    if not wanted:
        return None
    if wanted == "new":
        return (await call.rag.start_session()).id
    return (await call.rag.session(wanted)).info.id


async def _same(rag: Rag, question: str, sampling: Sampling, options: dict[str, Any]) -> str:
    """Equal for questions that have the same answer; empty where each has one of its own, drawn by chance."""
    if sampling.temperature:
        return ""
    is_apart = options.get("general") or options.get("context") is not None
    version = 0 if is_apart else await rag.library_version()
    config, place = rag.config, (rag.paths.collection, version)
    return key_of(question, sampling, sorted(options.items()), place, config.models, config.openai, config.retrieval)


async def _respond(call: Call, run: Run, *, stream: bool) -> Any:
    if stream or "text/event-stream" in call.request.headers.get("Accept", ""):
        return await streams.send_run(call.request, call.state.runs, run)
    return await call.state.runs.result(run)


# --- the same over a WebSocket -----------------------------------------------------------------------------------


async def ws(call: Call) -> web.WebSocketResponse:
    """A conversation over a WebSocket: `{"type": "generate", …}`, `{"type": "stop"}`, `{"type": "resume", "run": …,
    "after": …}`; answers come as the events of a stream with their number in `id`."""
    socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=int(call.state.settings.body_mb * (1 << 20)))
    await socket.prepare(call.request)
    call.state.sockets.add(socket)
    sending: asyncio.Task[None] | None = None
    run: Run | None = None
    try:
        async for message in socket:
            if message.type is not web.WSMsgType.TEXT:
                break
            before = run
            try:
                _still_welcome(call)
                run, after = await _wanted(call, message.data, run)
            except Exception as error:
                await socket.send_str(wire.error_event(error, request_id.get()))
                continue
            if run is None:
                if sending is not None and before is not None and not (before.is_over or before.is_given_up):
                    sending.cancel()  # it goes on for others
                    await socket.send_str('{"type":"stopped"}')
                continue
            if sending is not None:
                await asyncio.gather(sending, return_exceptions=True)
            sending = asyncio.create_task(_forward(call, socket, run, after))
    finally:
        if sending is not None:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return socket


def _still_welcome(call: Call) -> None:
    """A message counts like a request: its key may be revoked by now, or its minute be full. Raises Refused."""
    count_address(call.request)
    caller = call.state.auth.caller(call.request)
    if caller != LOCAL_USER:
        call.state.rate.take(caller.name)


async def _wanted(call: Call, text: str, current: Run | None) -> tuple[Run | None, int]:
    """The run that a message asks for; None for one that only stops."""
    try:
        data = adapter(dict[str, Any]).validate_json(text)
        kind = data.pop("type", "generate")
        if kind == "stop":
            if current is not None:
                call.state.runs.stop(current, caller_of(call.request).name)
            return None, 0
        if kind == "resume":
            found = call.state.runs.find(str(data.get("run", "")), caller_of(call.request).name)
            if found is None:
                raise NotFound("there is no such answer, or no longer", "ask again")
            return found, adapter(shapes.Resume).validate_python({"after": data.get("after", 0)}).after
        body = adapter(shapes.Generate).validate_python(data)
    except ValidationError as error:
        raise wire.invalid(error) from None
    return await begin(call, body), 0


async def _forward(call: Call, socket: web.WebSocketResponse, run: Run, after: int) -> None:
    events = call.state.runs.events(run, after)
    async with aclosing(events):
        async for item in events:
            await socket.send_str(f'{{"id":{item.number},{item.data[1:]}')


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/generate",
        generate,
        "Answer a question from the documents",
        "ask",
        Scope.ASK,
        body=shapes.Generate,
        result=Answer,
        streams=True,
    ),
    Operation(
        "POST",
        "/api/v1/generate/upload",
        generate_upload,
        "Answer a question from uploaded files",
        "ask",
        Scope.ASK,
        multipart=shapes.GenerateUpload,
        result=Answer,
        streams=True,
    ),
    Operation(
        "GET",
        "/api/v1/generate/{run}/events",
        resume,
        "Go on with a stream after a lost connection",
        "ask",
        Scope.ASK,
        query=shapes.Resume,
        media_type="text/event-stream",
    ),
    Operation("DELETE", "/api/v1/generate/{run}", stop, "Stop an answer", "ask", Scope.ASK, status=204),
    Operation(
        "GET",
        "/api/v1/ws",
        ws,
        "Ask over a WebSocket",
        "ask",
        Scope.ASK,
        status=101,
        media_type="",
    ),
)
