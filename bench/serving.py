"""A termrag server of its own process on loopback, for the benchmarks of the server: started, spoken to, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from termrag.config import Config, load_config
from termrag.paths import Paths
from termrag.server.keys import Keys

ROOT = Path(__file__).parents[1]
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers at `url`."""

    url: str
    paths: Paths
    pid: int

    def client(self, name: str = "bench") -> aiohttp.ClientSession:
        """With a key of its own: another user."""
        key = Keys(self.paths.config / "keys.json").create(name, ("admin",))[1]
        return aiohttp.ClientSession(
            self.url, headers={"Authorization": f"Bearer {key}"}, connector=aiohttp.TCPConnector(limit=0)
        )

    @property
    def memory_mb(self) -> float:
        """Resident, of the server alone."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True, slots=True)
class Timed:
    """One streamed answer, by the client's clock."""

    tokens: int
    first_s: float
    last_s: float
    ended_s: float
    reason: str

    @property
    def rate(self) -> float:
        return (self.tokens - 1) / (self.last_s - self.first_s) if self.last_s > self.first_s else 0.0


def home(folder: Path) -> Paths:
    """Folders of a home whose models are those of this checkout."""
    root = folder / "home"
    paths = Paths(root / "config", root / "data", root / "cache", root / "state", root / "run")
    paths.make()
    models = ROOT / ".cache" / "models"
    models.mkdir(parents=True, exist_ok=True)
    (paths.cache / "models").symlink_to(models)
    return paths


def settings(values: Mapping[str, Mapping[str, Any]], paths: Paths) -> Config:
    """The configuration, written where the server will read it."""
    lines: list[str] = []
    for section, table in values.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    paths.config_file.write_text("\n".join(lines) + "\n")
    return load_config(paths.config_file, {})


@asynccontextmanager
async def serving(paths: Paths) -> AsyncIterator[Running]:
    """`termrag serve` over `paths`, ended by SIGTERM."""
    environ = os.environ | {"TERMRAG_HOME": str(paths.config.parent)}
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "termrag", "serve", "--port", "0"), env=environ, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        begun = time.monotonic()
        while not (found := re.search(rb"http://127\.0\.0\.1:\d+", line := await process.stderr.readline())):
            if not line or time.monotonic() - begun > START_S:
                raise RuntimeError("the server did not start")
        drain = asyncio.create_task(_drain(process.stderr, log))
        running = Running(found[0].decode(), paths, process.pid)
        try:
            await _until_ready(running)
            yield running
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)
            drain.cancel()


async def _until_ready(running: Running) -> None:
    async with running.client("ready") as client:
        while (await client.get("/health/ready")).status != 200:
            await asyncio.sleep(0.05)


async def _drain(stream: asyncio.StreamReader, log: Any) -> None:
    while chunk := await stream.read(1 << 16):
        log.write(chunk)


async def ask(client: aiohttp.ClientSession, question: str, **body: Any) -> Timed:
    """A streamed answer to its end. Raises aiohttp.ClientResponseError for what is refused."""
    begun, first, last, tokens, kind, reason = time.perf_counter(), 0.0, 0.0, 0, "", ""
    async with client.post("/api/v1/generate", json={"question": question, "stream": True, **body}) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"event: "):
                kind = line[7:-1].decode()
            elif line.startswith(b"data: ") and kind == "token":
                last = time.perf_counter()
                first = first or last
            elif line.startswith(b"data: ") and kind in ("answered", "error", "stopped"):
                reason = kind
                if kind == "answered":
                    tokens = json.loads(line[6:])["answer"]["usage"]["generated_tokens"]
    return Timed(tokens, first - begun, last - begun, time.perf_counter() - begun, reason)
