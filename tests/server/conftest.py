"""A real server on loopback over a real library, and clients with keys of every scope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from embedding_endpoint import Endpoint
from termrag.config import Config
from termrag.rag import Rag
from termrag.server.keys import Keys
from termrag.server.log import close_logs
from termrag.server.running import serve

NOTE = "# The lamp\n\nThe lamp of Korrin burns 40 litres of oil a week. The keeper trims the wick at dusk.\n"
SAYS = "The lamp of Korrin burns 40 litres of oil a week."


@dataclass
class Served:
    """A running server: `url` of its port, `socket` of its Unix socket, `key(scope)` makes a key."""

    url: str
    socket: Path
    rag: Rag
    keys: Keys
    stop: Callable[[], Awaitable[None]]

    def key(self, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys.create('test', scopes or ('admin',))[1]}"}

    def client(self, *scopes: str, **options: Any) -> aiohttp.ClientSession:
        headers = self.key(*scopes) if scopes != ("none",) else {}
        return aiohttp.ClientSession(self.url, headers=headers, **options)


async def job_done(client: aiohttp.ClientSession, job: dict[str, Any]) -> dict[str, Any]:
    """Follow a job's events to the last."""
    async with client.get(f"/api/v1/jobs/{job['id']}/events") as response:
        *_, last = [line for line in (await response.text()).splitlines() if line.startswith("data: ")]
    data = json.loads(last.removeprefix("data: "))
    assert isinstance(data, dict)
    return data


Start = Callable[..., Awaitable[Served]]


@pytest.fixture
async def start(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    # The name of a Unix socket may have about a hundred signs.
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="tr-"))
    monkeypatch.setenv("TERMRAG_HOME", str(home))
    note = tmp_path / "notes" / "lamp.md"
    note.parent.mkdir()
    note.write_text(NOTE)
    async with AsyncExitStack() as stack:

        async def begin(says: str = SAYS, *, script_tokens_per_s: float = 0.0, **server: Any) -> Served:
            config = Config().with_values(
                {
                    "models": {"engine": "scripted", "script": says, "embedding": "openai:tiny"}
                    | {"script_tokens_per_s": script_tokens_per_s},
                    "openai": {"url": endpoint.url},
                    "retrieval": {"gate": 0.0},
                    "server": {"port": 0, **server},
                },
                "test",
            )
            rag = await stack.enter_async_context(Rag(config))
            async for _ in rag.ingest([note.parent], wait=True):
                pass
            stop, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
            task = asyncio.create_task(serve(rag, ready=lambda host, port: opened.set_result(port), until=stop))
            done, _ = await asyncio.wait({task, opened}, return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                await task

            async def end() -> None:
                stop.set()
                await task

            stack.push_async_callback(end)
            url = f"http://127.0.0.1:{opened.result()}"
            return Served(url, rag.paths.runtime / "server.sock", rag, Keys(rag.paths.config / "keys.json"), end)

        yield begin
    close_logs()
    import shutil

    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def served(start: Start) -> Served:
    return await start()
