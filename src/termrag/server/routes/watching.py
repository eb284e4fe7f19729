"""Watched folders, and the process that watches them."""

from __future__ import annotations

from termrag.server import results, shapes
from termrag.server.operations import Call, Operation, Scope
from termrag.watchstate import WatchedFolder, WatchStatus


async def watch_status(call: Call) -> WatchStatus:
    """What the process that watches this library is at."""
    return await call.rag.watch_status()


async def folders(call: Call) -> results.Folders:
    """The watched folders."""
    return results.Folders(tuple(await call.rag.watched()))


async def watch_folder(call: Call) -> WatchedFolder:
    """Watch a folder of the server's machine."""
    return await call.rag.watch_folder(call.body.path, call.body.include, call.body.exclude)


async def unwatch(call: Call) -> results.Removed:
    """Forget a watched folder; its documents stay."""
    await call.rag.unwatch(call.query.path)
    return results.Removed(1)


_W = "/api/v1/watch"

OPERATIONS = (
    Operation(
        "GET", f"{_W}/status", watch_status, "What the watching process is at", "watch", Scope.READ, result=WatchStatus
    ),
    Operation("GET", f"{_W}/folders", folders, "List the watched folders", "watch", Scope.READ, result=results.Folders),
    Operation(
        "POST",
        f"{_W}/folders",
        watch_folder,
        "Watch a folder",
        "watch",
        Scope.ADMIN,
        body=shapes.Folder,
        result=WatchedFolder,
        status=201,
    ),
    Operation(
        "DELETE",
        f"{_W}/folders",
        unwatch,
        "Forget a watched folder",
        "watch",
        Scope.ADMIN,
        query=shapes.Path,
        result=results.Removed,
    ),
)
