"""Rank quality on public collections: nDCG@10 and recall@100 through termrag's own chunks, vectors, store and fusion.

    python bench/retrieval.py --sets xquad-de,cacm [--shared ../shared] [--limit-docs 500] [--queries 200] [--jsonl]

A document scores as its best chunk. Vectors are kept in .bench-cache/ by embedder and text, so that a second run is
quick. `words` and `vectors` are the two legs of the same search, `hybrid` is what termrag
shows, `floor` what it must hold; the baselines are those measured once with plain tools on whole documents.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from termrag.analysis import ANALYZER_VERSION, detect_language, indexable, terms
from termrag.chunking import CHUNKER_VERSION, chunk, word_bound
from termrag.config import ModelSettings, OpenAISettings, RetrievalSettings
from termrag.embedders import Embedder, open_embedder
from termrag.models import Shelf
from termrag.records import Content, Hit, IndexedChunk, Row
from termrag.retrieval import search
from termrag.stores import Identity, Store, open_store

ROOT = Path(__file__).resolve().parents[1]

# nDCG@10 of BM25 alone, MiniLM alone, plain reciprocal rank fusion; then the floor that hybrid search must hold.
BASELINES: dict[str, tuple[float, float, float, float]] = {
    "xquad-en": (0.965, 0.943, 0.968, 0.958),
    "xquad-de": (0.940, 0.702, 0.856, 0.930),
    "xquad-zh": (0.963, 0.239, 0.601, 0.953),
    "xquad-ar": (0.933, 0.038, 0.363, 0.923),
    "cacm": (0.507, 0.457, 0.558, 0.555),
    "cranfield": (0.518, 0.502, 0.552, 0.550),
    "rgb-en-fact": (0.371, 0.423, 0.412, 0.402),
    "clapnq": (0.948, 0.985, 0.976, 0.966),
    "scifact": (0.683, 0.647, 0.718, 0.715),
    "cosqa": (0.384, 0.601, 0.524, 0.556),
    "cmrc2018-zh": (0.984, math.nan, math.nan, 0.974),
}


@dataclass(frozen=True)
class Collection:
    """`documents` are (id, title, text); `judged` maps a query's id to its text and the grades of its documents."""

    name: str
    documents: list[tuple[str, str, str]]
    judged: dict[str, tuple[str, dict[str, float]]]


def main() -> None:
    options = _options()
    embedder = Cached(_embedder(), ROOT / ".bench-cache")
    for name in options.sets.split(","):
        started = time.perf_counter()
        collection = load(options.shared / "eval" / name, options.limit_docs, options.queries)
        with tempfile.TemporaryDirectory(prefix="termrag-bench-") as folder:
            result = run(collection, embedder, Path(folder))
        result["seconds"] = round(time.perf_counter() - started)
        print(json.dumps(result) if options.jsonl else table_line(result), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TERMRAG_SHARED", ROOT / ".." / "shared")))
    parser.add_argument("--sets", default=",".join(BASELINES), help="names of collections, by comma")
    parser.add_argument("--limit-docs", type=int, default=0, help="index only this many, those judged first")
    parser.add_argument("--queries", type=int, default=0, help="ask only this many, evenly spread")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object per collection")
    options = parser.parse_args()
    if not options.jsonl:
        print(
            f"{'set':12} {'docs':>6} {'chunks':>6} {'asked':>5}  {'words':>6} {'vector':>6} {'hybrid':>6} {'floor':>6}"
            f"  {'R@100':>6}  baseline: BM25, vectors, plain fusion"
        )
    return options


# --- collections -----------------------------------------------------------------------------------------------


def load(folder: Path, limit_docs: int, limit_queries: int) -> Collection:
    """Read corpus, queries and judgements; `limit_docs` keeps the judged documents before others."""
    if not (folder / "corpus.jsonl").exists():
        sys.exit(f"{folder}: no such collection; --shared names the folder that holds eval/")
    grades: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        if float(grade) > 0:
            grades.setdefault(query, {})[document] = float(grade)
    queries = [each for each in _json_lines(folder / "queries.jsonl") if each["_id"] in grades]
    if limit_queries:
        queries = queries[:: max(1, len(queries) // limit_queries)][:limit_queries]
    judged = {each["_id"]: (each["text"], grades[each["_id"]]) for each in queries}
    documents = [(each["_id"], each["title"], each["text"]) for each in _json_lines(folder / "corpus.jsonl")]
    if limit_docs:
        wanted = {document for _, each in judged.values() for document in each}
        documents = sorted(documents, key=lambda document: document[0] not in wanted)[:limit_docs]
    return Collection(folder.name, documents, judged)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


# --- the way of the data ---------------------------------------------------------------------------------------


def run(collection: Collection, embedder: Cached, folder: Path) -> dict[str, Any]:
    """Index the collection in a fresh store, ask all its queries, and return the measures."""
    languages: Counter[str] = Counter()
    identity = Identity(embedder.inner.fingerprint, embedder.inner.dimension, CHUNKER_VERSION, ANALYZER_VERSION)
    store = open_store("lancedb", folder / "index", identity, create=True)
    chunks = 0
    for batch in _batches(collection.documents, 500):
        rows = {document[0]: rows_of(document, embedder) for document in batch}
        for each in rows.values():
            languages.update(row.chunk.language for row in each[:1])
            chunks += len(each)
        store.replace(rows)
    store.maintain(force=True)
    library = [code for code, _ in languages.most_common() if code]
    embedder.embed([text for text, _ in collection.judged.values()])
    rankings = [(grades, ask(text, store, embedder, library)) for text, grades in collection.judged.values()]
    store.close()
    return measures(collection, chunks, rankings)


def rows_of(document: tuple[str, str, str], embedder: Cached) -> list[Row]:
    """A document as ingest would write it: cut, analysed, embedded."""
    name, title, text = document
    language = detect_language(f"{title}\n{text}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    made = chunk(Content(text, title=title), word_bound(embedder.inner.count_tokens), 256)
    texts = [indexable(title, each.heading, each.text) for each in made]
    vectors = embedder.embed(texts)
    return [
        Row(
            IndexedChunk(
                document_id=name,
                position=each.position,
                path=f"/{name}.txt",
                title=title,
                heading=each.heading,
                page=None,
                page_label="",
                start_line=each.start_line,
                end_line=each.end_line,
                lines_match=True,
                text=each.text,
                text_hash=hashlib.sha256(seen.encode()).hexdigest(),
                content_hash=digest,
                media_type="text/plain",
                language=language,
                modified_ns=0,
            ),
            terms(seen, language),
            vector,
        )
        for each, seen, vector in zip(made, texts, vectors, strict=True)
    ]


def ask(question: str, store: Store, embedder: Cached, library: Sequence[str]) -> list[Hit]:
    return search(
        question,
        store=store,
        embed=embedder.embed,
        settings=RetrievalSettings(),
        limit=400,
        languages=library,
        count_tokens=embedder.inner.count_tokens,
    )


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# --- vectors ---------------------------------------------------------------------------------------------------


class Cached:
    """An embedder that remembers, on disk, every text it has seen."""

    def __init__(self, inner: Embedder, folder: Path) -> None:
        self.inner = inner
        folder.mkdir(exist_ok=True)
        self._disk = sqlite3.connect(folder / "vectors.sqlite", timeout=60)
        self._disk.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB)")
        self._memory: dict[bytes, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        keys = [hashlib.sha256(f"{self.inner.fingerprint}\0{text}".encode()).digest() for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        missing = {key: text for key, text in by_key.items() if key not in self._memory and not self._recall(key)}
        for batch in _batches(list(missing.items()), 64):
            vectors = self.inner.embed([text for _, text in batch])
            for (key, _), vector in zip(batch, vectors, strict=True):
                self._memory[key] = vector
                self._disk.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (key, vector.tobytes()))
            self._disk.commit()
        return np.array([self._memory[key] for key in keys], np.float32).reshape(len(keys), self.inner.dimension)

    def _recall(self, key: bytes) -> bool:
        row = self._disk.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        if row:
            self._memory[key] = np.frombuffer(row[0], np.float32)
        return bool(row)


def _embedder() -> Embedder:
    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("all-minilm-l6-v2", "onnx"):
        pass
    return open_embedder(ModelSettings(), OpenAISettings(), shelf, {})


# --- measures --------------------------------------------------------------------------------------------------


def measures(
    collection: Collection, chunks: int, rankings: Sequence[tuple[dict[str, float], list[Hit]]]
) -> dict[str, Any]:
    legs = {"words": "bm25_rank", "vectors": "cosine_rank", "hybrid": ""}
    result: dict[str, Any] = {
        "set": collection.name,
        "documents": len(collection.documents),
        "chunks": chunks,
        "queries": len(rankings),
    }
    for name, rank in legs.items():
        ranked = [(grades, documents_of(hits, rank)) for grades, hits in rankings]
        result[f"{name}_ndcg@10"] = mean([ndcg(documents, grades) for grades, documents in ranked])
        result[f"{name}_recall@100"] = mean([recall(documents, grades) for grades, documents in ranked])
    result["vector_weight"] = mean([hits[0].scores.vector_weight for _, hits in rankings if hits])
    bm25, vectors, fused, floor = BASELINES.get(collection.name, (math.nan,) * 4)
    return result | {"baseline_bm25": bm25, "baseline_vectors": vectors, "baseline_fusion": fused, "floor": floor}


def documents_of(hits: Sequence[Hit], rank: str) -> list[str]:
    """Ids of documents by their best chunk, in the order of one leg or, without its name, of the fusion."""
    if rank:
        found = [(getattr(hit.scores, rank), hit) for hit in hits if getattr(hit.scores, rank) is not None]
        hits = [hit for _, hit in sorted(found, key=lambda pair: pair[0])]
    return list(dict.fromkeys(hit.chunk.document_id for hit in hits))


def ndcg(documents: Sequence[str], grades: dict[str, float], depth: int = 10) -> float:
    """Linear gain, logarithmic discount, against the best order possible."""
    gained = sum(grades.get(document, 0.0) / math.log2(rank + 1) for rank, document in enumerate(documents[:depth], 1))
    best = sorted(grades.values(), reverse=True)[:depth]
    return gained / sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, 1))


def recall(documents: Sequence[str], grades: dict[str, float], depth: int = 100) -> float:
    return len(grades.keys() & set(documents[:depth])) / len(grades)


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else math.nan


def table_line(result: dict[str, Any]) -> str:
    holds = "" if result["hybrid_ndcg@10"] >= result["floor"] else "  below the floor"
    return (
        f"{result['set']:12} {result['documents']:6} {result['chunks']:6} {result['queries']:5}  "
        f"{result['words_ndcg@10']:6.3f} {result['vectors_ndcg@10']:6.3f} {result['hybrid_ndcg@10']:6.3f} "
        f"{result['floor']:6.3f}  {result['hybrid_recall@100']:6.3f}  {result['baseline_bm25']:.3f}, "
        f"{result['baseline_vectors']:.3f}, {result['baseline_fusion']:.3f}{holds}"
    )


if __name__ == "__main__":
    main()
