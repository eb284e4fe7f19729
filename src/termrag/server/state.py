"""What the handlers of one server share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakSet

from aiohttp import web

from termrag.collections import DEFAULT, settings_of
from termrag.server.auth import Auth
from termrag.server.jobs import Jobs
from termrag.server.keys import Keys
from termrag.server.limits import RateLimit
from termrag.server.mcp import Endpoint
from termrag.server.metrics import Metrics
from termrag.server.runs import Runs
from termrag.server.traces import Traces
from termrag.server.turns import Turnstile

if TYPE_CHECKING:
    from termrag.config import Config, ServerSettings
    from termrag.rag import Rag
    from termrag.removing import Taken
    from termrag.server.visitors import Visitors


@dataclass(slots=True)
class State:
    """One server's parts. `asked_at` is when the models were last used, by time.monotonic(); `sockets`
    are open WebSockets; `is_loading`: what a search needs is being loaded, so the first would wait."""

    rag: Rag
    settings: ServerSettings
    keys: Keys
    auth: Auth
    runs: Runs
    turnstile: Turnstile
    rate: RateLimit
    by_address: RateLimit
    jobs: Jobs
    metrics: Metrics
    mcp: Endpoint
    traces: Traces
    sockets: WeakSet[web.WebSocketResponse] = field(default_factory=WeakSet)
    address: str = ""  # of the port, once it is open
    is_loading: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)  # set when the server is to end
    visitors: Visitors | None = None  # of the chat in a browser
    taken: dict[str, Taken] = field(default_factory=dict)  # documents that attached processes may bring back
    calls: set[asyncio.Task[object]] = field(default_factory=set)  # of attached processes
    besides: dict[str, Rag] = field(default_factory=dict)  # other collections that were asked, by name
    started_at: float = field(default_factory=time.time)
    asked_at: float = field(default_factory=time.monotonic)
    _beside: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside the requests, until it is done."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def reload(self, config: Config) -> None:
        """Take over new settings between two requests; those in hand go on. Address, connections and the number of
        answers at once stay as they are until a restart. Raises ConfigError, and then nothing has changed."""
        settings = config.server
        auth = Auth(self.keys, settings)
        if settings.requests_per_minute != self.settings.requests_per_minute:
            self.rate = RateLimit(settings.requests_per_minute)
        if settings.address_requests_per_minute != self.settings.address_requests_per_minute:
            self.by_address = RateLimit(settings.address_requests_per_minute)
        self.settings, self.auth = settings, auth
        await self.rag.take_over(config)
        for name, rag in self.besides.items():
            await rag.take_over((await asyncio.to_thread(settings_of, [name], self.rag.paths.base))[0])

    async def collection(self, name: str) -> Rag:
        """The façade of a named library, on this one's threads and with its models. Raises NotFound with the list."""
        if name == (self.rag.paths.collection or DEFAULT):
            return self.rag
        if name not in self.besides:
            rag = await asyncio.to_thread(self.rag.beside, [name])
            self.besides.setdefault(name, rag)
        return self.besides[name]

    async def close(self) -> None:
        """Leave what runs beside, and close what was opened beside the library that is served."""
        for task in self._beside:
            task.cancel()
        for rag in self.besides.values():
            await rag.__aexit__(None, None, None)


def make_state(rag: Rag) -> State:
    """The parts of a server over `rag`. Raises ConfigError."""
    settings = rag.config.server
    keys = Keys(rag.paths.config / "keys.json")
    runs = Runs(settings.resume_s)
    rag.write_at_once(settings.concurrent)
    turnstile = Turnstile(settings.concurrent, settings.queue, settings.queue_s)
    return State(
        rag=rag,
        settings=settings,
        keys=keys,
        auth=Auth(keys, settings),
        runs=runs,
        turnstile=turnstile,
        rate=RateLimit(settings.requests_per_minute),
        by_address=RateLimit(settings.address_requests_per_minute),
        jobs=Jobs(rag, rag.paths.state / "jobs"),
        metrics=Metrics(runs, turnstile),
        mcp=Endpoint(rag),
        traces=Traces(settings.traces_url),
    )
