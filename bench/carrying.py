"""How fast an index is exported, imported, verified and moved, and how large it is on disk; of chunks of random words.

python bench/carrying.py --chunks 50000
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from termrag.config import Config
from termrag.ledger import Ledger, rebuild
from termrag.paths import Paths
from termrag.rag import Rag
from termrag.records import IndexedChunk, Row
from termrag.stores import open_store

_CHUNKS_PER_DOCUMENT = 10
_DOCUMENTS_PER_COMMIT = 200


class _Home:
    def __init__(self, root: Path) -> None:
        self.paths = Paths(*(root / name for name in ("config", "data", "cache", "state", "run")))

    def open(self) -> Rag:
        return Rag(Config().with_values({"models": {"engine": "scripted"}}, "bench"), self.paths)


def fill(home: _Home, chunks: int) -> None:
    """Documents of ten chunks of about 900 characters, with unit vectors of the embedder's dimension."""
    chance = np.random.default_rng(1)
    words = np.array([f"word{number}" for number in range(20_000)])
    identity = home.open()._parts.identity()
    store = open_store("lancedb", home.paths.library / "lancedb", identity, create=True)
    documents = chunks // _CHUNKS_PER_DOCUMENT
    for start in range(0, documents, _DOCUMENTS_PER_COMMIT):
        batch = {}
        for number in range(start, min(documents, start + _DOCUMENTS_PER_COMMIT)):
            vectors = chance.normal(size=(_CHUNKS_PER_DOCUMENT, identity.dimension)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            batch[f"d{number:08d}"] = [_row(number, at, words, vectors[at], chance) for at in range(len(vectors))]
        store.replace(batch)
        store.maintain()
    store.maintain(force=True)
    with Ledger(home.paths.library) as ledger:
        rebuild(ledger, store)
    store.close()


def _row(number: int, at: int, words: np.ndarray, vector: np.ndarray, chance: np.random.Generator) -> Row:
    text = " ".join(words[np.minimum(chance.zipf(1.3, 100) - 1, len(words) - 1)])
    chunk = IndexedChunk(
        f"d{number:08d}", at, f"/made/{number}.md", "A title", "One", None, "", 1, 9, True, text, f"{number}-{at}",
        f"{number}", "text/markdown", "en", 1,
    )  # fmt: skip
    return Row(chunk, text, vector)


async def measured(name: str, events: AsyncIterator[object], chunks: int) -> None:
    begun = time.perf_counter()
    async for _ in events:
        pass
    seconds = time.perf_counter() - begun
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<10} {seconds:7.1f} s  {chunks / seconds:8.0f} chunks/s  peak {peak_mb:6.0f} MB", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=50_000)
    chunks = parser.parse_args().chunks
    with tempfile.TemporaryDirectory() as folder:
        home, other = _Home(Path(folder) / "home"), _Home(Path(folder) / "other")
        fill(home, chunks)
        async with home.open() as rag:
            stats = await rag.index_stats()
            print(f"{stats.stored_chunks} chunks, {stats.size_bytes / stats.stored_chunks:.0f} bytes each in LanceDB")
            await measured("export", rag.export_index(f"{folder}/set"), chunks)
            await measured("backup", rag.back_up_index(f"{folder}/backup"), chunks)
            await measured("verify", rag.verify_index(), chunks)
            await measured("migrate", rag.migrate_index(f"{folder}/elsewhere"), chunks)
        async with other.open() as rag:
            await measured("import", rag.import_index(f"{folder}/set"), chunks)
        size = sum(file.stat().st_size for file in Path(f"{folder}/set").iterdir())
        print(f"export: {size / chunks:.0f} bytes a chunk")


if __name__ == "__main__":
    asyncio.run(main())
