"""What clients of OpenAI's API expect under /v1: chat completions, models, embeddings."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from termrag import collections
from termrag.errors import NotFound
from termrag.server import completions, faults, streams
from termrag.server import openai_shapes as shapes
from termrag.server.middlewares import caller_of, request_id
from termrag.server.operations import Call, Operation, Scope
from termrag.server.routes.asking import compute
from termrag.server.runs import Item, Run

if TYPE_CHECKING:
    from termrag.rag import Rag

LIBRARY = "termrag"  # the name of the model that answers from documents
# From then on a client has its status: whatever happens before is told by another one.
_BEGUN = ("reading", "token", "checked", "refused", "answered", "stopped")

_STOPPED = faults.Refused(503, "stopped", "the answer was stopped", "ask again")


async def chat_completions(call: Call) -> Any:
    """Answer the last message: from the documents as model `termrag`, from those of a collection as `termrag:NAME`,
    else from the chat model alone. What the answer rests on stands in the field `termrag`, of a stream in that of its
    last chunk."""
    body: shapes.ChatCompletionRequest = call.body
    asked = completions.asked(body)
    sampling = completions.sampling(body, call.rag.sampling())
    library = await _library(call, body.model)
    run = await compute(
        call,
        asked.question,
        is_shared=True,
        sampling=sampling,
        history=asked.history,
        system=asked.system,
        general=library is None,
        library=library,
    )
    reply = completions.Reply.to(body, run.id, sampling.max_tokens)
    if body.stream:
        return await _stream(call, run, reply)
    return reply.whole(await call.state.runs.result(run))


async def _stream(call: Call, run: Run, reply: completions.Reply) -> web.StreamResponse:
    """Chunks as they come. Who leaves does not come back: the compute ends with the last listener."""
    events = call.state.runs.events(run)
    async with aclosing(events):
        try:
            early = await _early(events)
            if run.error is not None and not isinstance(run.error, asyncio.CancelledError):
                raise run.error
            return await streams.send_data(call.request, _lines(run, reply, early, events))
        finally:
            if run.listeners <= 1 and not run.is_over:
                call.state.runs.stop(run, caller_of(call.request).name)


async def _early(events: AsyncIterator[Item]) -> list[Item]:
    items = []
    async for item in events:
        items.append(item)
        if item.type in _BEGUN or item.type == "error":
            break
    return items


async def _lines(
    run: Run, reply: completions.Reply, early: list[Item], events: AsyncIterator[Item]
) -> AsyncIterator[str]:
    for item in early:
        for chunk in reply.chunks(item):
            yield chunk
    async for item in events:
        for chunk in reply.chunks(item):
            yield chunk
    if run.answer is not None:
        for chunk in reply.last(run.answer):
            yield chunk
    elif run.error is not None:
        error = _STOPPED if isinstance(run.error, asyncio.CancelledError) else run.error
        _, fault = faults.openai_fault(*faults.fault_of(error, request_id.get()))
        yield json.dumps(asdict(fault))
        return
    yield "[DONE]"


async def _library(call: Call, name: str) -> Rag | None:
    """The façade whose documents a model's name means; None for a chat model alone. Raises NotFound for one that means
    nothing."""
    if name == LIBRARY:
        return call.rag
    library, _, collection = name.partition(":")
    if library == LIBRARY and collection and collection != collections.ALL:
        return await call.state.collection(collection)
    if name in _chat_models(call.rag):
        return None
    raise NotFound(f"there is no model {name}", f"There are: {', '.join(await _names(call.rag))}")


def _chat_models(rag: Rag) -> list[str]:
    """Those that are ready or would be loaded."""
    settings = rag.config
    chosen = settings.openai.model if settings.models.engine == "openai" else settings.models.chat
    return list(dict.fromkeys(name for name in (chosen, rag.loaded_model) if name))


async def _names(rag: Rag) -> list[str]:
    """What may be asked: the documents of the library that is served, those of each collection, the chat models."""
    named = await asyncio.to_thread(collections.names, rag.paths.base)
    return [LIBRARY, *(f"{LIBRARY}:{name}" for name in named), *_chat_models(rag)]


# --- models ------------------------------------------------------------------------------------------------------


async def models(call: Call) -> shapes.OpenAIModels:
    """List what a request may name: the documents, those of each collection, the chat model, the embedding model."""
    return shapes.OpenAIModels("list", tuple(await _models(call)))


async def openai_model(call: Call) -> shapes.OpenAIModel:
    """Show one of them."""
    wanted = call.path("model")
    known = {each.id: each for each in await _models(call)}
    if wanted not in known:
        raise NotFound(f"there is no model {wanted}", f"There are: {', '.join(known)}")
    return known[wanted]


async def _models(call: Call) -> list[shapes.OpenAIModel]:
    names = [*await _names(call.rag), call.rag.config.models.embedding]
    return [shapes.OpenAIModel(name, "model", int(call.state.started_at), "termrag") for name in names]


# --- embeddings --------------------------------------------------------------------------------------------------


async def embeddings(call: Call) -> shapes.OpenAIEmbeddings:
    """Vectors of texts, of unit length, by the embedding model in use."""
    body: shapes.EmbeddingRequest = call.body
    name = call.rag.config.models.embedding
    if body.model not in (name, LIBRARY):
        raise NotFound(f"there is no embedding model {body.model}", f"In use: {name}")
    texts = [body.input] if isinstance(body.input, str) else list(body.input)
    if not all(texts):
        raise faults.Refused(422, "invalid", "input: a text is empty", "leave it out")
    async with call.state.turnstile.place(caller_of(call.request).name):
        call.state.asked_at = time.monotonic()
        vectors = await call.rag.embed(texts)
    if body.dimensions not in (None, vectors.shape[1]):
        raise faults.Refused(422, "invalid", f"dimensions: this model makes {vectors.shape[1]}", "leave it out")
    tokens = await call.rag.count_tokens(texts)
    rows = tuple(
        shapes.OpenAIEmbedding("embedding", number, _encoded(vector, body.encoding_format == "base64"))
        for number, vector in enumerate(vectors)
    )
    return shapes.OpenAIEmbeddings("list", name, rows, shapes.EmbeddingUsage(tokens, tokens))


def _encoded(vector: Any, is_base64: bool) -> tuple[float, ...] | str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode() if is_base64 else tuple(vector.tolist())


def _operation(method: str, path: str, handler: Any, summary: str, scope: Scope, **more: Any) -> Operation:
    return Operation(method, f"/v1/{path}", handler, summary, "openai", scope, fault=faults.OpenAIFault, **more)


OPERATIONS = (
    _operation(
        "POST",
        "chat/completions",
        chat_completions,
        "Answer the last message, as OpenAI does",
        Scope.ASK,
        body=shapes.ChatCompletionRequest,
        result=shapes.ChatCompletion,
        streams=True,
    ),
    _operation("GET", "models", models, "List what can be asked", Scope.READ, result=shapes.OpenAIModels),
    _operation("GET", "models/{model}", openai_model, "Show a model", Scope.READ, result=shapes.OpenAIModel),
    _operation(
        "POST",
        "embeddings",
        embeddings,
        "Vectors of texts",
        Scope.ASK,
        body=shapes.EmbeddingRequest,
        result=shapes.OpenAIEmbeddings,
    ),
)
