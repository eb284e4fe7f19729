"""Many users at once, for a long time: no error of the server's, memory flat, searches quick, overload turned away.

    python bench/load.py [--users 200] [--minutes 10] [--think 10] [--concurrent 8] [--queue 64]

A server in a process of its own, whose scripted model speaks 50 tokens a second, over the sample documents. Each user
has a key of its own and goes on asking, searching, uploading and indexing, with a pause of about `think` seconds after
each. Then all ask at the same moment, three times over: what the queue does not hold is refused with 429 and the time
to come again. Targets: no status of 500 and above, p99 of searches at most 250 ms, and no more memory in the last
quarter than in the second, but for 5 %. The last line sums up; the exit code is 1 if a target was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from serving import ROOT, Running, home, serving, settings
from termrag.rag import Rag
from termrag.server.keys import Keys

SAYS = (
    "The keeper of the light counts the birds every morning, and writes their number into the book with the weather of "
    "the day. In winter he counts them twice, because the days are short and the gulls come late."
)
QUESTIONS = ("How many birds were collected?", "When does the ferry leave in winter?", "What does rye bread cost?")
SAMPLES = ROOT / "tests" / "samples"
NOTES = 40  # names under which texts are indexed, again and again
MOST_GROWTH = 1.05
MOST_SEARCH_S = 0.25
PATIENCE_S = 120


@dataclass
class Seen:
    """What the users met."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    broken: Counter[str] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)

    def note(self, what: str, status: int, seconds: float) -> None:
        self.statuses[what, status] += 1
        if status < 400:
            self.seconds.setdefault(what, []).append(seconds)

    def quantile(self, what: str, share: float) -> float:
        """NaN where there is none."""
        times = sorted(self.seconds.get(what, ()))
        return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")

    @property
    def growth(self) -> float:
        """The memory of the last quarter over that of the second."""
        quarter = len(self.memory_mb) // 4
        if not quarter:
            return 1.0
        return statistics.median(self.memory_mb[-quarter:]) / statistics.median(self.memory_mb[quarter : 2 * quarter])


@dataclass
class User:
    """One key, and what is done with it."""

    client: aiohttp.ClientSession
    headers: dict[str, str]
    seen: Seen
    chance: random.Random

    async def live(self, until: float, think_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(0, think_s))
        while time.monotonic() < until:
            await self.chance.choices((self.search, self.ask, self.upload, self.index), (50, 35, 10, 5))[0]()
            await asyncio.sleep(self.chance.expovariate(1 / think_s))

    async def search(self) -> None:
        query = f"{self.chance.choice(QUESTIONS)} {self.chance.randint(1, 9)}"
        await self._send("search", "/api/v1/search", json={"query": query})

    async def ask(self) -> None:
        question = f"{self.chance.choice(QUESTIONS)} Say it for day {self.chance.randint(1, 999)}."
        body = {"question": question, "stream": self.chance.random() < 0.7}
        await self._send("ask", "/api/v1/generate", json=body)

    async def upload(self) -> None:
        form = aiohttp.FormData()
        form.add_field("question", "How many birds does the page count?")
        text = f"# Page {self.chance.randint(1, 999)}\n\n" + "The page counts 12 birds. " * self.chance.randint(1, 200)
        form.add_field("file", text.encode(), filename="page.md", content_type="text/markdown")
        await self._send("upload", "/api/v1/generate/upload", data=form)

    async def index(self) -> None:
        number = self.chance.randint(1, NOTES)
        text = f"# Note {number}\n\nOn day {self.chance.randint(1, 999)} the wind was from the east. " * 5
        await self._send("index", "/api/v1/vectors", json={"name": f"note {number}", "text": text})

    async def _send(self, what: str, path: str, **body: Any) -> None:
        begun = time.monotonic()
        try:
            async with self.client.post(path, headers=self.headers, **body) as response:
                text = await response.read()
                status = response.status
                if b"event: error\n" in text:
                    status = json.loads(text.rpartition(b"event: error\ndata: ")[2])["status"]
                if status == 429 and int(response.headers["Retry-After"]) < 1:
                    self.seen.broken["429 without a time"] += 1
            self.seen.note(what, status, time.monotonic() - begun)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.seen.broken[f"{what} {type(error).__name__}"] += 1


@asynccontextmanager
async def prepared(
    folder: Path, models: dict[str, Any], server: dict[str, Any], documents: Path = SAMPLES
) -> AsyncIterator[Running]:
    """A server over `documents`."""
    paths = home(folder)
    scripted = {"engine": "scripted", "script": SAYS, "script_tokens_per_s": 50.0}
    openai = {"url": models.pop("url")} if "url" in models else {}
    config = settings(
        {
            "models": scripted | models,
            "openai": openai,
            "retrieval": {"gate": 0.0},
            "server": {"log": "json"} | server,
        },
        paths,
    )
    async with Rag(config, paths) as rag:
        if not openai:
            async for _ in rag.pull(config.models.embedding):
                pass
        async for _ in rag.ingest([documents], wait=True):
            pass
    async with serving(paths) as running:
        yield running


async def trial(running: Running, users: int, seconds: float, think_s: float) -> tuple[Seen, Seen]:
    """Everyday work for so long, then the rush; what was met in each."""
    keys = Keys(running.paths.config / "keys.json")
    everyday, rush = Seen(), Seen()
    async with aiohttp.ClientSession(
        running.url,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
    ) as client:
        made = [keys.create(f"user {number}", ("read", "ask", "write"))[1] for number in range(users)]
        everyone = [
            User(client, {"Authorization": f"Bearer {key}"}, everyday, random.Random(number))
            for number, key in enumerate(made)
        ]
        watching = asyncio.create_task(_watch(running, everyday, seconds / 100))
        until = time.monotonic() + seconds
        await asyncio.gather(*(user.live(until, think_s) for user in everyone))
        watching.cancel()
        for user in everyone:
            user.seen = rush
        for _ in range(3):
            await asyncio.gather(*(user.ask() for user in everyone))
    return everyday, rush


async def _watch(running: Running, seen: Seen, every_s: float) -> None:
    while True:
        seen.memory_mb.append(running.memory_mb)
        await asyncio.sleep(every_s)


def report(everyday: Seen, rush: Seen) -> dict[str, Any]:
    """The figures, and whether they are as they should be."""
    counts = everyday.statuses + rush.statuses
    errors = sum(count for (_, status), count in counts.items() if status >= 500)
    broken = everyday.broken + rush.broken
    search_s = everyday.quantile("search", 0.99)
    return {
        "requests": sum(everyday.statuses.values()),
        "statuses": {f"{what} {status}": count for (what, status), count in sorted(everyday.statuses.items())},
        "rush": {str(status): count for (_, status), count in sorted(rush.statuses.items())},
        "broken": dict(broken),
        "errors": errors,
        "search_ms": {f"p{round(q * 100)}": round(everyday.quantile("search", q) * 1000, 1) for q in (0.5, 0.9, 0.99)},
        "ask_p99_s": round(everyday.quantile("ask", 0.99), 2),
        "memory_mb": [round(everyday.memory_mb[0]), round(everyday.memory_mb[-1])] if everyday.memory_mb else [],
        "growth": round(everyday.growth, 3),
        "good": not errors
        and not broken
        and search_s <= MOST_SEARCH_S
        and everyday.growth <= MOST_GROWTH
        and rush.statuses["ask", 429] > 0
        and rush.statuses["ask", 200] > 0,
        "load": round(os.getloadavg()[0], 1),
    }


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--think", type=float, default=10)
    parser.add_argument("--concurrent", type=int, default=8)
    parser.add_argument("--queue", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tr-") as folder:
        server = {"concurrent": options.concurrent, "queue": options.queue}
        async with prepared(Path(folder), {}, server) as running:
            found = report(*await trial(running, options.users, options.minutes * 60, options.think))
    print(json.dumps(found))
    return 0 if found["good"] else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
