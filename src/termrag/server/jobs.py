"""Long work for clients that do not wait: one job after the other, each kept in a file, so that what was not finished
goes on when the server starts again."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.errors import NotFound, TermragError
from termrag.events import Finished
from termrag.logs import log_bug
from termrag.server.faults import Refused
from termrag.wire import event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from termrag.rag import Rag

KINDS = ("add", "rebuild", "sync", "pull", "optimize")
_MOST_WAITING = 100
_KEPT = 200  # finished jobs
_EVENTS = 200  # shown to who comes late
_OVER = ("done", "failed", "cancelled")
_OF_ADMINS = ("rebuild", "pull", "optimize")
_LEFT = {"running": "waiting", "cancelling": "cancelled"}  # by a server that ended meanwhile


@dataclass(frozen=True, slots=True)
class Job:
    """`state` is waiting, running, cancelling (it stops after the file in hand), done, failed or cancelled. `target` is
    what it works on: paths, or a model's name. `result` is the last event of its work."""

    id: str
    kind: str
    target: tuple[str, ...]
    state: str
    created_at: float
    changed_at: float
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""

    @property
    def is_of_admins(self) -> bool:
        """Whether only who may do everything may start it."""
        return self.kind in _OF_ADMINS


class Jobs:
    """The jobs of one server. `start` takes up what an earlier one left."""

    def __init__(self, rag: Rag, folder: Path) -> None:
        self._rag = rag
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._changed = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._in_hand: asyncio.Task[dict[str, Any]] | None = None
        self._is_ending = False

    def start(self) -> None:
        """Read the kept jobs and work on those that are not finished."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in sorted(self._folder.glob("*.json")):
            with suppress(ValueError, TypeError, KeyError, OSError):
                data = json.loads(file.read_text(encoding="utf-8"))
                job = Job(**{**data, "target": tuple(data["target"])})
                self._jobs[job.id] = replace(job, state=_LEFT.get(job.state, job.state))
        self._jobs = dict(sorted(self._jobs.items(), key=lambda item: item[1].created_at))
        self._worker = asyncio.create_task(self._work())

    def end_streams(self) -> None:
        """The server stops: who follows a job gets a last event, and finds the job again after the next start."""
        self._is_ending = True
        self._wake()

    async def close(self) -> None:
        """Stop the job in hand; it goes on with the next start."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def all(self) -> list[Job]:
        """The newest first."""
        return list(reversed(self._jobs.values()))

    def job(self, job_id: str) -> Job:
        """Raises NotFound."""
        if job_id not in self._jobs:
            raise NotFound(f"there is no job {job_id}", "GET /api/v1/jobs lists them")
        return self._jobs[job_id]

    def add(self, kind: str, target: tuple[str, ...]) -> Job:
        """Put work at the end of the line. Raises Refused (429) if the line is too long."""
        if sum(job.state == "waiting" for job in self._jobs.values()) >= _MOST_WAITING:
            raise Refused(429, "busy", "too many jobs wait already", "try again later", Retry_After="30")
        now = time.time()
        job = Job(secrets.token_hex(6), kind, target, "waiting", now, now)
        self._keep(job)
        return job

    def cancel(self, job_id: str) -> Job:
        """Take a job out of the line, or let the one in hand stop after its file; what is finished stays. Compacting is
        one step, and comes to its end. Raises NotFound, or Refused (409) for one that is over."""
        job = self.job(job_id)
        if job.state in _OVER:
            raise Refused(409, "is_over", f"the job is {job.state}", "GET /api/v1/jobs lists those that are not over")
        if job.state == "waiting":
            self._end(job_id, "cancelled")
        elif job.state == "running":
            self._keep(replace(job, state="cancelling", changed_at=time.time()))
            if self._in_hand is not None and job.kind != "optimize":
                self._in_hand.cancel()
        return self._jobs[job_id]

    def again(self, job_id: str) -> Job:
        """Do a job once more that failed or was cancelled. Raises NotFound, or Refused (409) for any other."""
        job = self.job(job_id)
        if job.state not in ("failed", "cancelled"):
            raise Refused(409, "not_failed", f"the job is {job.state}", "only failed or cancelled jobs are done again")
        self._keep(again := replace(job, state="waiting", changed_at=time.time(), error="", hint=""))
        return again

    async def events(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        """What happened last and what happens until the job's end."""
        told = 0
        while True:
            changed, job = self._changed, self.job(job_id)
            events = self._events.get(job_id, [])
            for each in events[told:]:
                yield each
            told = len(events)
            if job.state in _OVER:
                yield {"type": "job", **asdict(job)}
                return
            if self._is_ending:
                yield {"type": "stopped"}
                return
            await changed.wait()

    # --- the worker ----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            changed = self._changed
            job = next((each for each in self._jobs.values() if each.state == "waiting"), None)
            if job is None:
                await changed.wait()
                continue
            await self._do(job)

    async def _do(self, job: Job) -> None:
        self._keep(replace(job, state="running", changed_at=time.time()))
        self._in_hand = asyncio.create_task(self._carry_out(job))
        try:
            result = await self._in_hand
        except asyncio.CancelledError:
            if self._jobs[job.id].state == "cancelling":
                self._end(job.id, "cancelled")
            if (worker := asyncio.current_task()) is None or worker.cancelling():
                raise  # the server stops
        except TermragError as error:
            self._end(job.id, "failed", error=error.message, hint=error.hint)
        except Exception as error:  # one bad job must not end the others
            log_bug(f"job broke kind={job.kind}", error)
            self._end(job.id, "failed", error="something went wrong here", hint="the log has the details")
        else:
            if result.get("failed") and not result.get("indexed"):
                why = "GET /api/v1/documents?failed=true says why"
                self._end(job.id, "failed", result, error="no file could be read", hint=why)
            else:
                self._end(job.id, "done", result)
        self._forget_old()

    def _end(
        self, job_id: str, state: str, result: dict[str, Any] | None = None, *, error: str = "", hint: str = ""
    ) -> None:
        ended = replace(self._jobs[job_id], state=state, changed_at=time.time(), error=error, hint=hint)
        self._keep(replace(ended, result=result or {}))

    async def _carry_out(self, job: Job) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if job.kind == "optimize":
            return {"changed": await self._rag.optimize()}
        async with aclosing(self._stream(job)) as events:
            async for each in events:
                data = event(each)
                if isinstance(each, Finished):
                    result = data
                self._tell(job.id, data)
        return result

    def _stream(self, job: Job) -> AsyncGenerator[Any, None]:
        streams: dict[str, Callable[[], AsyncGenerator[Any, None]]] = {
            "add": lambda: self._rag.ingest(job.target, wait=True),
            "rebuild": lambda: self._rag.ingest((), rebuild=True, wait=True),
            "sync": lambda: self._rag.sync(),
            "pull": lambda: self._rag.pull(job.target[0]),
        }
        return streams[job.kind]()

    def _tell(self, job_id: str, data: dict[str, Any]) -> None:
        events = self._events.setdefault(job_id, [])
        if len(events) < _EVENTS or data["type"] not in ("progress", "downloading"):
            events.append(data)
        if data["type"] in ("progress", "downloading"):
            self._jobs[job_id] = replace(self._jobs[job_id], progress=data)
        self._wake()

    # --- keeping -------------------------------------------------------------------------------------------------

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        part = self._folder / f".{job.id}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(job), out)
        part.replace(self._folder / f"{job.id}.json")
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _forget_old(self) -> None:
        finished = [job for job in self._jobs.values() if job.state in _OVER]
        for job in finished[:-_KEPT]:
            del self._jobs[job.id]
            self._events.pop(job.id, None)
            (self._folder / f"{job.id}.json").unlink(missing_ok=True)


def free_mb(folder: Path) -> int:
    """Free space where `folder` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free >> 20
