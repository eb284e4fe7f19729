"""Warm search through termrag against the same hybrid query written straight against LanceDB.

    python bench/search.py [--chunks 100000] [--queries 60]

Both sides embed the question once and ask for the same candidates by vector and by words; the direct side fuses the
ranks in five lines, our side does all that `retrieval.search` does. They alternate query by query; the target is a p95
of at most 1.5 times the direct one. `store / direct` is the part of it that the store answers for. The chunks' vectors
are random points around topics: what is measured is time. Results are JSON lines.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from termrag import analysis
from termrag.config import ModelSettings, OpenAISettings, RetrievalSettings
from termrag.embedders import Embedder, open_embedder
from termrag.models import Shelf
from termrag.records import Filters, IndexedChunk, Row
from termrag.retrieval import search
from termrag.stores import Identity, Store, open_store

ROOT = Path(__file__).resolve().parents[1]
_BATCH = 5_000
_TOPICS = 500


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--chunks", type=int, default=100_000)
    arguments.add_argument("--queries", type=int, default=60)
    options = arguments.parse_args()
    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("all-minilm-l6-v2", "onnx"):
        pass
    embedder = open_embedder(ModelSettings(), OpenAISettings(), shelf, {})
    embedder.load()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        store = fill(Path(folder), embedder, options.chunks)
        emit("filled", seconds=round(time.monotonic() - begun, 1), **vars_of(store))
        compare(Path(folder), store, embedder, options.queries)


def fill(folder: Path, embedder: Embedder, count: int) -> Store:
    identity = Identity(embedder.fingerprint, embedder.dimension, "1/256", analysis.ANALYZER_VERSION)
    store = open_store("lancedb", folder, identity, create=True)
    chance, numbers = random.Random(1), np.random.default_rng(1)
    topics = numbers.standard_normal((_TOPICS, embedder.dimension))
    vocabulary = words_of_the_project()
    for start in range(0, count, _BATCH):
        near = topics[numbers.integers(0, _TOPICS, _BATCH)]
        vectors = (near + 1.2 * numbers.standard_normal(near.shape)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        documents: dict[str, list[Row]] = {}
        for offset in range(min(_BATCH, count - start)):
            number = start + offset
            document = f"{number // 10:032x}"
            text = " ".join(zipf(chance, vocabulary) for _ in range(90))
            rows = documents.setdefault(document, [])
            rows.append(Row(chunk(document, len(rows), text), text.lower(), vectors[offset]))
        store.replace(documents)
    store.maintain(force=True)
    return store


def compare(folder: Path, store: Store, embedder: Embedder, queries: int) -> None:
    import lancedb

    table = lancedb.connect(str(folder)).open_table("chunks")
    chance, vocabulary = random.Random(2), words_of_the_project()
    settings = RetrievalSettings()
    sides: dict[str, Callable[[str], object]] = {
        "direct": lambda question: direct(question, table, embedder, settings.candidates),
        "store": lambda question: through_the_store(question, store, embedder, settings.candidates),
        "termrag": lambda question: search(
            question,
            store=store,
            embed=embedder.embed,
            settings=settings,
            limit=8,
            count_tokens=embedder.count_tokens,
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(queries + 5):
        question = "What does " + " ".join(chance.sample(vocabulary, 5)) + " mean?"
        for name in chance.sample(sorted(sides), len(sides)):
            begun = time.perf_counter()
            sides[name](question)
            if number >= 5:
                taken[name].append(1000 * (time.perf_counter() - begun))
    p50 = {name: statistics.median(values) for name, values in taken.items()}
    p95 = {name: statistics.quantiles(values, n=20)[-1] for name, values in taken.items()}
    for name in ("store", "termrag"):
        emit(
            f"{name} / direct",
            p50=round(p50[name] / p50["direct"], 3),
            p95=round(p95[name] / p95["direct"], 3),
            p95_ms=round(p95[name], 1),
            direct_p95_ms=round(p95["direct"], 1),
            target=1.5,
        )


def direct(question: str, table: Any, embedder: Embedder, candidates: int) -> list[str]:
    """What one would write by hand with the store's own interface."""
    from lancedb.query import MatchQuery

    columns = ["chunk_id", "path", "heading", "page", "start_line", "end_line", "text"]
    vector = embedder.embed([question])[0]
    near = table.search(vector).distance_type("cosine").nprobes(20).refine_factor(10)
    near = near.limit(candidates).select([*columns, "_distance"]).to_list()
    words = MatchQuery(analysis.query_terms(question), "terms")
    worded = table.search(words).limit(candidates).select([*columns, "_score"]).to_list()
    fused: dict[str, float] = {}
    for ranking in (near, worded):
        for rank, row in enumerate(ranking, 1):
            fused[row["chunk_id"]] = fused.get(row["chunk_id"], 0.0) + 1 / (60 + rank)
    return sorted(fused, key=fused.__getitem__, reverse=True)[:8]


def through_the_store(question: str, store: Store, embedder: Embedder, candidates: int) -> int:
    vector = embedder.embed([question])[0]
    near = store.search_vector(vector, candidates, Filters())
    return len(near) + len(store.search_terms(analysis.query_terms(question), candidates, Filters()))


def chunk(document: str, position: int, text: str) -> IndexedChunk:
    return IndexedChunk(
        document_id=document,
        position=position,
        path=f"/notes/folder{document[-2:]}/{document}.md",
        title="",
        heading=f"Part {position}",
        page=None,
        page_label="",
        start_line=10 * position,
        end_line=10 * position + 9,
        lines_match=True,
        text=text,
        text_hash=f"{document}{position}",
        content_hash=document,
        media_type="text/markdown",
        language="en",
        modified_ns=1,
    )


def words_of_the_project() -> list[str]:
    """Distinct words of the project's own sources, and as many made up, the frequent ones first."""
    found: dict[str, int] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for word in path.read_text().split():
            if word.isalpha():
                found[word.lower()] = found.get(word.lower(), 0) + 1
    return [*sorted(found, key=found.__getitem__, reverse=True), *(f"word{number}" for number in range(20_000))]


def zipf(chance: random.Random, vocabulary: list[str]) -> str:
    return vocabulary[int(len(vocabulary) ** chance.random()) - 1]


def vars_of(store: Store) -> dict[str, object]:
    stats = store.stats()
    return {
        "rows": stats.rows,
        "fragments": stats.fragments,
        "vector_index": stats.vector_index,
        "bytes": stats.size_bytes,
    }


def emit(name: str, **values: object) -> None:
    print(json.dumps({"bench": "search", "name": name, **values}), flush=True)


if __name__ == "__main__":
    main()
