"""What a server says of itself: whether it lives and is ready, its measures, its documentation."""

from __future__ import annotations

import time
from functools import cache
from importlib import resources
from typing import Any

from aiohttp import web

from termrag import __version__
from termrag.errors import TermragError
from termrag.server.jobs import free_mb
from termrag.server.metrics import CONTENT_TYPE
from termrag.server.operations import Call, Operation, Scope
from termrag.server.results import Alive, Ready

_LEAST_FREE_MB = 100


async def live(call: Call) -> Alive:
    """Whether the process answers."""
    return Alive("alive", __version__, round(time.time() - call.state.started_at, 1))


async def ready(call: Call) -> web.Response | Ready:
    """Whether a question could be answered now, with all loaded that its search needs."""
    from termrag.server.wire import json_response

    state = call.state
    try:
        status = await call.rag.status()
        model = "here" if status.model_is_here else "stand-in"
        store = "loading" if state.is_loading else "ok" if status.documents else "empty"
    except TermragError as error:
        model, store = "unknown", error.message
    free = free_mb(call.rag.paths.data)
    disk = "ok" if free > _LEAST_FREE_MB else "full"
    is_ready = store in ("ok", "empty") and disk == "ok"
    result = Ready(
        "ready" if is_ready else "not_ready", model, store, disk, free, state.runs.active, state.turnstile.waiting
    )
    return result if is_ready else json_response(result, 503)


async def metrics(call: Call) -> web.Response:
    """Counts and times in Prometheus' form."""
    return web.Response(body=call.state.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


async def openapi(call: Call) -> web.Response:
    """This document."""
    return web.Response(text=_document(), content_type="application/json")


async def docs(call: Call) -> web.Response:
    """The API to read in a browser."""
    return web.Response(text=_asset("docs.html"), content_type="text/html")


async def asset(call: Call) -> web.Response:
    """Scripts and styles of the pages."""
    kinds = {"docs.js": "text/javascript", "docs.css": "text/css"}
    name = call.path("name")
    if name not in kinds:
        raise web.HTTPNotFound
    return web.Response(text=_asset(name), content_type=kinds[name], headers={"Cache-Control": "max-age=3600"})


@cache
def _document() -> str:
    from termrag.server.openapi import document_text
    from termrag.server.routes import OPERATIONS as ALL

    return document_text(ALL)


@cache
def _asset(name: str) -> str:
    return (resources.files("termrag.server") / "assets" / name).read_text(encoding="utf-8")


def _page(path: str, handler: Any, summary: str, media_type: str) -> Operation:
    return Operation("GET", path, handler, summary, "server", None, media_type=media_type)


OPERATIONS = (
    Operation("GET", "/health", live, "Whether the server answers", "server", None, result=Alive),
    Operation("GET", "/health/live", live, "The same", "server", None, result=Alive),
    Operation(
        "GET", "/health/ready", ready, "Whether a question could be answered", "server", Scope.READ, result=Ready
    ),
    Operation("GET", "/metrics", metrics, "Measures for Prometheus", "server", Scope.READ, media_type="text/plain"),
    _page("/openapi.json", openapi, "This document", "application/json"),
    _page("/docs", docs, "The API to read in a browser", "text/html"),
    Operation(
        "GET",
        "/assets/{name}",
        asset,
        "Scripts and styles of the pages",
        "server",
        None,
        media_type="text/javascript",
        other_media_types=("text/css",),
    ),
)
