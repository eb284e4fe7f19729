"""At rest the watcher gives back what it holds, also in a process where somebody searches meanwhile."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from embedding_endpoint import Endpoint
from termrag import retrieval
from termrag.events import Finished
from termrag.rag import Rag
from termrag.watcher import Rested
from watch.watched import config_for, paths_in


@pytest.mark.parametrize("store", ["lancedb", "qdrant"])
async def test_a_search_goes_on_while_the_watcher_comes_to_rest(
    store: str, notes: Path, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_searching, may_go_on = threading.Event(), threading.Event()
    search = retrieval.search

    def slow(*given: Any, **options: Any) -> Any:
        is_searching.set()
        assert may_go_on.wait(60)
        return search(*given, **options)

    monkeypatch.setattr(retrieval, "search", slow)
    config = config_for(endpoint, idle_s=1.0).with_values({"library": {"store": store}}, "test")
    async with asyncio.timeout(60), Rag(config, paths_in(tmp_path / "home")) as rag:
        await rag.watch_folder(notes)
        searching: asyncio.Task[Any] | None = None
        async with aclosing(rag.watch()) as events:
            async for event in events:
                if isinstance(event, Finished) and searching is None:
                    searching = asyncio.create_task(rag.search("lamp"))
                if isinstance(event, Rested):
                    break
        assert searching is not None
        assert is_searching.is_set()
        may_go_on.set()
        assert "lamp" in (await searching)[0].chunk.text
        assert await rag.search("tide")
