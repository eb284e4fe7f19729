"""Libraries of one's own behind the façade, each in a home of its own, with vectors from a loopback endpoint."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedding_endpoint import Endpoint
from termrag.config import Config, load_config
from termrag.events import Copied, Copying, Examined
from termrag.indexstate import IndexReport
from termrag.paths import Paths
from termrag.rag import Rag
from termrag.records import Filters

WORDS = ["harbour", "lamp", "tide", "bread", "keeper", "rope", "north", "salt", "ferry", "oil", "wick", "stone"]
QUERIES = ("lamp of the harbour", "salt bread", "keeper ferry north", "naïve Größe 灯塔")


def write_notes(folder: Path, count: int, seed: int = 1) -> Path:
    """Notes of one to nine chunks, one with an odd name, one of them in other scripts."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        paragraphs = [" ".join(chance.choices(WORDS, k=60)) + "." for _ in range(chance.randint(1, 9))]
        text = f"# {chance.choice(WORDS)} {number}\n\n" + "\n\n".join(paragraphs) + "\n"
        (folder / f"note{number}.md").write_text(text)
    (folder / "größe 灯.md").write_text("# Größe\n\nDie Größe ist naïve. 灯塔 在 海边。\n")
    return folder


@dataclass
class Home:
    """One machine's termrag."""

    root: Path
    endpoint: Endpoint
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def paths(self) -> Paths:
        return Paths(*(self.root / name for name in ("config", "data", "cache", "state", "run")))

    def config(self) -> Config:
        base: dict[str, dict[str, Any]] = {
            "models": {"engine": "scripted", "script": "The lamp.", "embedding": "openai:words"},
            "openai": {"embedding_url": self.endpoint.url, "url": self.endpoint.url},
            "documents": {"chunk_tokens": 64},
        }
        return load_config(self.paths.config_file, {}).with_values({**base, **self.sections}, "test")

    def open(self) -> Rag:
        return Rag(self.config(), self.paths)

    async def add(self, folder: Path) -> None:
        async with self.open() as rag:
            async for _ in rag.ingest([folder], wait=True):
                pass

    async def add_text(self, name: str, text: str) -> None:
        async with self.open() as rag:
            async for _ in rag.ingest_text(name, text):
                pass


async def copied(events: Any) -> tuple[Copied, list[Copying]]:
    every = [event async for event in events]
    assert isinstance(every[-1], Copied) and all(isinstance(each, Copying) for each in every[:-1])
    return every[-1], every[:-1]


async def report(events: Any) -> IndexReport:
    every = [event async for event in events]
    assert isinstance(every[-1], Examined)
    return every[-1].report


async def answers(home: Home) -> list[Any]:
    """All that a library shows of itself: documents, and hits with every score."""
    async with home.open() as rag:
        shown: list[Any] = [await rag.documents()]
        for query in QUERIES:
            for mode in ("hybrid", "vector", "text"):
                hits = await rag.search(query, limit=10, mode=mode)  # type: ignore[arg-type]
                shown.append([(hit.chunk, hit.scores) for hit in hits])
            shown.append([hit.chunk for hit in await rag.search(query, filters=Filters(globs=("**/note1*",)))])
        return shown
