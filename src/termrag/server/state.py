"""What the handlers of one server share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    from termrag.config import ServerSettings
    from termrag.rag import Rag


@dataclass(slots=True)
class State:
    """One server's parts. `asked_at` is when the models were last used, by time.monotonic()."""

    rag: Rag
    settings: ServerSettings
    keys: Keys
    auth: Auth
    runs: Runs
    turnstile: Turnstile
    rate: RateLimit
    jobs: Jobs
    metrics: Metrics
    mcp: Endpoint
    traces: Traces
    started_at: float = field(default_factory=time.time)
    asked_at: float = field(default_factory=time.monotonic)


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
        jobs=Jobs(rag, rag.paths.state / "jobs"),
        metrics=Metrics(runs, turnstile),
        mcp=Endpoint(rag),
        traces=Traces(settings.traces_url),
    )
