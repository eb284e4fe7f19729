"""A real watcher over a real folder, running in a thread of its own, with embeddings from a loopback endpoint."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from embedding_endpoint import Endpoint
from termrag.config import Config
from termrag.events import Finished, Indexed, Notice
from termrag.paths import Paths
from termrag.rag import Rag

Contents = dict[str, list[str]]


def paths_in(home: Path) -> Paths:
    return Paths(home / "config", home / "data", home / "cache", home / "state", home / "run")


def config_for(endpoint: Endpoint, **watch: float) -> Config:
    settings = {
        "models": {"embedding": "openai:tiny"},
        "openai": {"url": endpoint.url, "timeout_s": 10.0},
        "watch": {"settle_s": 0.05, "sweep_s": 3600.0, **watch},
    }
    return Config().with_values(settings, "test")


async def contents(rag: Rag) -> Contents:
    """Path to the texts of its chunks in order, for every document that was read."""
    found = {}
    for document in await rag.documents():
        if document.state == "indexed":
            found[document.path] = [chunk.text for chunk in await rag.chunks(document.id)]
    return found


async def fresh(home: Path, config: Config, folders: list[Path]) -> Contents:
    """What a library holds that was built from the folders just now."""
    async with Rag(config, paths_in(home)) as rag:
        async for _ in rag.ingest(folders):
            pass
        return await contents(rag)


class Watched:
    """Watches `folders` until it is closed; `events` are what the watcher told."""

    def __init__(self, home: Path, endpoint: Endpoint, folders: list[Path], *, poll: bool = False, **watch: float):
        self.home = home
        self.endpoint = endpoint
        self.folders = folders
        self.config = config_for(endpoint, **watch)
        self.events: list[object] = []
        self.failure = ""
        self._poll = poll
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(60), self.events

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._task = self._loop.create_task(self._watch())
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception:
            self.failure = traceback.format_exc()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _watch(self) -> None:
        async with Rag(self.config, paths_in(self.home)) as self.rag:
            for folder in self.folders:
                await self.rag.watch_folder(folder)
            async with aclosing(self.rag.watch(poll=self._poll)) as events:
                async for event in events:
                    self.events.append(event)
                    if isinstance(event, Finished | Notice):
                        self._ready.set()

    def contents(self) -> Contents:
        """What any other process would read from the library now."""
        return asyncio.run(_read(self.config, self.home))

    def until(self, is_true: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not is_true():
            assert self._thread.is_alive(), self.failure or "the watcher has ended"
            assert time.monotonic() < deadline, (self.contents(), self.events[-20:])
            time.sleep(0.02)

    def until_equal(self, fresh_home: Path, seconds: float = 30.0) -> None:
        """Until the library holds what one would hold that was built from the folders just now."""
        expected = asyncio.run(fresh(fresh_home, self.config, self.folders))
        deadline = time.monotonic() + seconds
        while (found := self.contents()) != expected:
            assert not self.failure, self.failure
            assert time.monotonic() < deadline, f"{_difference(found, expected)}\n{self._account()}"
            time.sleep(0.05)

    def _account(self) -> str:
        """What the watcher knows and has done, for a test that fails."""
        told = "\n".join(map(str, self.events[-60:]))
        return f"{asyncio.run(_state(self.config, self.home))}\nthe last events:\n{told}"

    def told(self, kind: type) -> list[object]:
        return [event for event in self.events if isinstance(event, kind)]

    def embedded_texts(self) -> int:
        return sum(event.embedded for event in self.events if isinstance(event, Indexed))

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not self.failure, self.failure


async def _read(config: Config, home: Path) -> Contents:
    async with Rag(config, paths_in(home)) as rag:
        return await contents(rag)


async def _state(config: Config, home: Path) -> str:
    async with Rag(config, paths_in(home)) as rag:
        documents = [f"{each.path!r} {each.state} {each.error}" for each in await rag.documents()]
        return "\n".join([str(await rag.watch_status()), *documents])


def _difference(found: Contents, expected: Contents) -> str:
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    other = [path for path in expected.keys() & found.keys() if expected[path] != found[path]]
    return f"missing {missing}, too many {extra}, not the same {other}"
