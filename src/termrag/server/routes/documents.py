"""Documents: listed, shown, added by path or upload, removed, read again; and the jobs that do it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from aiohttp import web

from termrag.errors import NotFound
from termrag.records import Document, DocumentState
from termrag.server import results, shapes, streams, uploads
from termrag.server.faults import Refused
from termrag.server.jobs import Job
from termrag.server.middlewares import caller_of
from termrag.server.operations import Call, Operation, Scope


async def documents(call: Call) -> results.Documents:
    """List the documents by path."""
    page = call.query
    found = await call.rag.documents([page.match] if page.match else ())
    if page.failed:
        found = [each for each in found if each.state is DocumentState.FAILED]
    return results.Documents(tuple(found[page.offset : page.offset + page.limit]), len(found))


async def document(call: Call) -> Document:
    """What is known of a document."""
    return await call.rag.document(call.path("document"))


async def text(call: Call) -> results.DocumentText:
    """A document's text, chunk by chunk."""
    found = await call.rag.document(call.path("document"))
    return results.DocumentText(found, tuple(await call.rag.chunks(found.id)))


async def document_status(call: Call) -> results.Processing:
    """How far the processing of a document is."""
    found = await call.rag.document(call.path("document"))
    waiting = [
        each for each in call.state.jobs.all() if each.state in ("waiting", "running") and _concerns(each, found)
    ]
    return results.Processing(
        found.id, found.state, found.chunks, found.unembedded, found.error, found.hint, found.warnings, tuple(waiting)
    )


def _concerns(job: Job, document: Document) -> bool:
    """Whether a job's files include the document's; those that look at everything do."""
    return job.kind in ("sync", "rebuild") or (
        job.kind == "add" and any(Path(document.path).is_relative_to(Path(each).expanduser()) for each in job.target)
    )


async def upload(call: Call) -> Job:
    """Take files and index them in a job."""
    async with uploads.received(call, shapes.Nothing) as (_, files):
        if not files:
            raise NotFound("the form has no file", "curl -F file=@notes.pdf")
        folder = call.rag.paths.data / "uploads"
        kept = [str(await asyncio.to_thread(uploads.put_away, file, folder)) for file in files]
    return call.state.jobs.add("add", tuple(kept))


async def add(call: Call) -> Job:
    """Index files and folders of the server's machine in a job. Raises NotFound for a path that is not there."""
    for path in call.body.paths:
        if not await asyncio.to_thread(os.path.exists, Path(path).expanduser()):
            raise NotFound(f"there is no {path}", "name a file or folder of the server's machine")
    return call.state.jobs.add("add", call.body.paths)


async def remove(call: Call) -> results.Removed:
    """Take a document out of the index; the file stays."""
    found = await call.rag.document(call.path("document"))
    async for _ in call.rag.remove([found.id]):
        pass
    return results.Removed(1)


async def reindex(call: Call) -> Job:
    """Look at a document's file again in a job."""
    found = await call.rag.document(call.path("document"))
    return call.state.jobs.add("add", (found.path,))


async def jobs(call: Call) -> results.Jobs:
    """List the jobs, the newest first."""
    return results.Jobs(tuple(call.state.jobs.all()))


async def job(call: Call) -> Job:
    """How far a job is."""
    return call.state.jobs.job(call.path("job"))


async def job_events(call: Call) -> web.StreamResponse:
    """What a job does, as it happens."""
    call.state.jobs.job(call.path("job"))
    return await streams.send_events(call.request, call.state.jobs.events(call.path("job")))


async def retry(call: Call) -> Job:
    """Do a job again that failed or was cancelled."""
    return call.state.jobs.again(_own(call).id)


async def cancel(call: Call) -> Job:
    """Cancel a job. One that waits never starts; one in hand stops after its file, keeps what is finished, and is
    `cancelling` until then. Compacting is one step, which comes to its end."""
    return call.state.jobs.cancel(_own(call).id)


def _own(call: Call) -> Job:
    """The job, for who might have started it. Raises NotFound, or Refused (403)."""
    job = call.state.jobs.job(call.path("job"))
    if job.is_of_admins and not caller_of(call.request).may(Scope.ADMIN):
        raise Refused(403, "forbidden", "this key has no scope admin", "termrag keys create --scope admin")
    return job


_D, _J = "/api/v1/documents", "/api/v1/jobs"

OPERATIONS = (
    Operation(
        "GET",
        _D,
        documents,
        "List the documents",
        "documents",
        Scope.READ,
        query=shapes.Page,
        result=results.Documents,
    ),
    Operation(
        "POST",
        _D,
        upload,
        "Upload files",
        "documents",
        Scope.WRITE,
        multipart=shapes.Nothing,
        result=Job,
        status=202,
    ),
    Operation(
        "POST",
        f"{_D}/paths",
        add,
        "Index files and folders of the server's machine",
        "documents",
        Scope.ADMIN,
        body=shapes.Paths,
        result=Job,
        status=202,
    ),
    Operation("GET", f"{_D}/{{document}}", document, "Show a document", "documents", Scope.READ, result=Document),
    Operation(
        "GET",
        f"{_D}/{{document}}/text",
        text,
        "A document's text",
        "documents",
        Scope.READ,
        result=results.DocumentText,
    ),
    Operation(
        "GET",
        f"{_D}/{{document}}/status",
        document_status,
        "How far a document is",
        "documents",
        Scope.READ,
        result=results.Processing,
    ),
    Operation(
        "DELETE", f"{_D}/{{document}}", remove, "Remove a document", "documents", Scope.WRITE, result=results.Removed
    ),
    Operation(
        "POST",
        f"{_D}/{{document}}/reindex",
        reindex,
        "Read a document again",
        "documents",
        Scope.WRITE,
        result=Job,
        status=202,
    ),
    Operation("GET", _J, jobs, "List the jobs", "jobs", Scope.READ, result=results.Jobs),
    Operation("GET", f"{_J}/{{job}}", job, "Show a job", "jobs", Scope.READ, result=Job),
    Operation(
        "GET", f"{_J}/{{job}}/events", job_events, "Follow a job", "jobs", Scope.READ, media_type="text/event-stream"
    ),
    Operation("DELETE", f"{_J}/{{job}}", cancel, "Cancel a job", "jobs", Scope.WRITE, result=Job, status=202),
    Operation(
        "POST", f"{_J}/{{job}}/retry", retry, "Do a failed job again", "jobs", Scope.WRITE, result=Job, status=202
    ),
)
