"""Answers on their way: each is computed once, kept while it is written, and may be listened to by several, or again
from where a client lost it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from termrag.events import Answered, AskEvent
from termrag.records import Answer
from termrag.server import faults, wire

Ask = Callable[[], AsyncGenerator[AskEvent, None]]

_KEPT_S = 60.0  # a finished answer may be fetched again for so long


@dataclass(frozen=True, slots=True)
class Item:
    """One event as it goes over the wire; `number` counts from 1."""

    number: int
    type: str
    data: str


@dataclass(slots=True)
class Run:
    """One answer. `owners` are who may listen, and how often each has asked for it."""

    id: str
    owners: Counter[str]
    items: list[Item] = field(default_factory=list)
    answer: Answer | None = None
    error: BaseException | None = None
    is_over: bool = False
    is_given_up: bool = False
    listeners: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def add(self, kind: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        self.items.append(Item(len(self.items) + 1, kind, text))
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        self.error, self.is_over = error, True
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    async def listen(self, after: int = 0) -> AsyncGenerator[list[Item], None]:
        """Events from number `after` + 1 on, until the last; those together that are there."""
        while True:
            more = self._more
            while after < len(self.items):
                items = self.items[after:]
                yield items
                after += len(items)
            if self.is_over:
                return
            await more.wait()


def key_of(*what: object) -> str:
    """A key for `join`, equal for equal values."""
    return hashlib.sha256(repr(what).encode("utf-8", "surrogatepass")).hexdigest()


class Runs:
    """All answers of the last minute, by id. A run that nobody listens to ends after `resume_s`."""

    def __init__(self, resume_s: float) -> None:
        self._resume_s = resume_s
        self._runs: dict[str, Run] = {}
        self._same: dict[str, Run] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def active(self) -> int:
        return sum(not run.is_over for run in self._runs.values())

    def join(self, same: str, owner: str) -> Run | None:
        """The answer in hand to the same question, if there is one; it is the owner's too from now on."""
        run = self._same.get(same) if same else None
        if run is None or run.is_over or run.is_given_up:
            return None
        run.owners[owner] += 1
        return run

    def start(
        self, ask: Ask, *, owner: str, request_id: str, same: str = "", at_end: Callable[[], object] | None = None
    ) -> Run:
        """Begin an answer, which others with the same key `same` may join. `at_end` is called in any case, also if the
        answer never began."""
        run = Run(secrets.token_urlsafe(9), Counter([owner]))
        self._runs[run.id] = run
        if same:
            self._same[same] = run
        run.task = asyncio.create_task(self._write(run, ask, request_id, same))
        if at_end is not None:
            run.task.add_done_callback(lambda _: at_end())
        return run

    def find(self, run_id: str, owner: str) -> Run | None:
        run = self._runs.get(run_id)
        return run if run is not None and owner in run.owners else None

    async def batches(self, run: Run, after: int = 0) -> AsyncGenerator[list[Item], None]:
        """Listen to a run. Who leaves last before its end has `resume_s` to come back."""
        run.listeners += 1
        try:
            async for items in run.listen(after):
                yield items
        finally:
            run.listeners -= 1
            if not run.listeners and not run.is_over:
                self._later(self._resume_s, lambda: self._give_up(run))

    async def events(self, run: Run, after: int = 0) -> AsyncGenerator[Item, None]:
        """The same one by one."""
        async with aclosing(self.batches(run, after)) as batches:
            async for items in batches:
                for item in items:
                    yield item

    async def result(self, run: Run) -> Answer:
        """Wait for the end. Raises what ended it. Leaving early counts as a client that is gone for good."""
        run.listeners += 1
        try:
            async for _ in run.listen(len(run.items)):
                pass
        finally:
            run.listeners -= 1
            if not run.listeners and not run.is_over:
                self._give_up(run)
        if run.error is not None:
            raise run.error
        assert run.answer is not None
        return run.answer

    def stop(self, run: Run, owner: str) -> bool:
        """End an answer now, unless others wait for it too; whether it ends."""
        if run.owners.total() > 1:
            run.owners[owner] -= 1
            run.owners += Counter()  # drops who has none left
            return False
        self._end(run)
        return True

    def _end(self, run: Run) -> None:
        run.is_given_up = True
        if run.task is not None:
            run.task.cancel()

    async def close(self) -> None:
        """End all answers; each listener gets a last event that says so."""
        for timer in self._timers:
            timer.cancel()
        tasks = [run.task for run in self._runs.values() if run.task is not None and not run.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _give_up(self, run: Run) -> None:
        if not run.listeners and not run.is_over:
            self._end(run)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    async def _write(self, run: Run, ask: Ask, request_id: str, same: str) -> None:
        error: BaseException | None = None
        run.add("run", {"type": "run", "id": run.id})
        try:
            async with aclosing(ask()) as events:
                async for event in events:
                    if isinstance(event, Answered):
                        run.answer = event.answer
                    run.add(*wire.ask_event(event))
        except asyncio.CancelledError as cancelled:
            error = cancelled if run.answer is None else None
            run.add("stopped", {"type": "stopped"})
        except Exception as failed:  # the third renderer: whatever ended the answer becomes its last event
            error = failed
            status, fault = faults.fault_of(failed, request_id)
            run.add("error", {"type": "error", "status": status, **faults.data(fault)})
        finally:
            run.end(error)
            if same and self._same.get(same) is run:
                del self._same[same]
            self._later(_KEPT_S, lambda: self._runs.pop(run.id, None))
        if error is not None and not isinstance(error, asyncio.CancelledError):
            wire.log_bug(error, request_id)
