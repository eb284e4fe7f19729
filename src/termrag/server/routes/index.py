"""The index as a whole."""

from __future__ import annotations

from termrag.records import Status
from termrag.server.jobs import Job
from termrag.server.operations import Call, Operation, Scope


async def stats(call: Call) -> Status:
    """What there is: documents, chunks, models."""
    return await call.rag.status()


async def optimize(call: Call) -> Job:
    """Compact and index the store in a job."""
    return call.state.jobs.add("optimize", ())


async def rebuild(call: Call) -> Job:
    """Empty the index and read every document again, in a job."""
    return call.state.jobs.add("rebuild", ())


async def sync(call: Call) -> Job:
    """Make the index equal to all that was added or is watched, in a job."""
    return call.state.jobs.add("sync", ())


_I = "/api/v1/index"

OPERATIONS = (
    Operation("GET", f"{_I}/stats", stats, "What there is", "index", Scope.READ, result=Status),
    Operation("POST", f"{_I}/optimize", optimize, "Compact the store", "index", Scope.ADMIN, result=Job, status=202),
    Operation("POST", f"{_I}/rebuild", rebuild, "Build the index anew", "index", Scope.ADMIN, result=Job, status=202),
    Operation("POST", f"{_I}/sync", sync, "Look at all folders again", "index", Scope.WRITE, result=Job, status=202),
)
