"""Kept conversations."""

from __future__ import annotations

from aiohttp import web

from termrag.server import results, shapes
from termrag.server.operations import Call, Operation, Scope
from termrag.turns import Session, SessionInfo

_TYPES = {"markdown": "text/markdown", "html": "text/html", "json": "application/json"}


async def sessions(call: Call) -> results.Sessions:
    """List conversations, or find them by their words."""
    query = call.query
    return results.Sessions(tuple(await call.rag.sessions(query.query, limit=query.limit, deleted=query.deleted)))


async def session(call: Call) -> Session:
    """A conversation with its turns."""
    return await call.rag.session(call.path("session"))


async def rename(call: Call) -> SessionInfo:
    """Give a conversation another title."""
    return await call.rag.rename_session(call.path("session"), call.body.title)


async def delete(call: Call) -> SessionInfo:
    """Put a conversation out of sight."""
    return await call.rag.delete_session(call.path("session"))


async def restore(call: Call) -> SessionInfo:
    """Bring a deleted conversation back."""
    return await call.rag.restore_session(call.path("session"))


async def export(call: Call) -> web.Response:
    """A conversation as a file."""
    form = call.query.format
    text = await call.rag.export_session(call.path("session"), form)
    return web.Response(text=text, content_type=_TYPES[form], headers={"Content-Disposition": "attachment"})


_S = "/api/v1/sessions"

OPERATIONS = (
    Operation(
        "GET",
        _S,
        sessions,
        "List or search conversations",
        "sessions",
        Scope.ASK,
        query=shapes.SessionPage,
        result=results.Sessions,
    ),
    Operation("GET", f"{_S}/{{session}}", session, "Show a conversation", "sessions", Scope.ASK, result=Session),
    Operation(
        "PATCH",
        f"{_S}/{{session}}",
        rename,
        "Rename a conversation",
        "sessions",
        Scope.WRITE,
        body=shapes.Title,
        result=SessionInfo,
    ),
    Operation(
        "DELETE", f"{_S}/{{session}}", delete, "Delete a conversation", "sessions", Scope.WRITE, result=SessionInfo
    ),
    Operation(
        "POST", f"{_S}/{{session}}/restore", restore, "Undo the deletion", "sessions", Scope.WRITE, result=SessionInfo
    ),
    Operation(
        "GET",
        f"{_S}/{{session}}/export",
        export,
        "A conversation as a file",
        "sessions",
        Scope.ASK,
        query=shapes.ExportForm,
        media_type="text/markdown",
        other_media_types=("text/html", "application/json"),
    ),
)
