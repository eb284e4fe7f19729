"""Both stores at 10k, 100k or more chunks: writing, indexing, searching, updating; and whether they rank words alike.

    python bench/stores.py [--rows 10000] [--stores lancedb,qdrant] [--updates 1000] [--queries 200]
    python bench/stores.py --stores qdrant --keep FOLDER
    systemd-run --scope -p MemoryMax=2G python bench/stores.py --stores qdrant --search FOLDER/qdrant
    python bench/stores.py --agreement COLLECTION...

Chunks have 384 dimensions and about 90 words, ten to a document; vectors are random points around topics. Qdrant is the
embedded one. Every store is written by a process of its own and searched by another, whose memory is told: `rss` with
the pages of files it has mapped, which the system takes back as it needs them, `own` without. `over_client` is the
processor's time of both legs through the store, against the same two queries written straight against the client,
alternating; the target is at most 1.2. `opened_s` is how long opening takes, `stood_s` how long another thread stood
still meanwhile. `after_updates` is the p95 of the searches between so many single-document updates, against those of an
index that was written beside it and left alone, alternating; the target is at most 1.3.
`--keep` leaves what is written, so that `--search` can be asked alone, in less memory say. `--agreement` takes folders
with corpus.jsonl and queries.jsonl and tells how many of the ten best by words both stores have in common. Results are
JSON lines.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from termrag import analysis
from termrag.records import Filters, IndexedChunk, Row
from termrag.stores import Identity, Store, open_store
from termrag.stores.recall import recall

DIMENSION = 384
CANDIDATES = 100
_TOPICS = 500
_PER_DOCUMENT = 10
_PER_COMMIT = 2_000
_FOLDERS = 20
_LOOKS = 10  # searches between the updates, each time by a share of the questions


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000)
    arguments.add_argument("--stores", default="lancedb,qdrant")
    arguments.add_argument("--updates", type=int, default=1_000)
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--agreement", nargs="*", type=Path, default=[])
    arguments.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments.add_argument("--keep", type=Path, metavar="FOLDER")
    arguments.add_argument("--search", type=Path, metavar="FOLDER")
    options = arguments.parse_args()
    if options.agreement:
        for collection in options.agreement:
            agree(collection)
    elif options.search:
        search(options.stores, options.search, options.rows, options.queries)
    elif options.alone:
        measure(options.stores, options.rows, options.updates, options.queries, options.keep)
    else:
        for kind in options.stores.split(","):
            again = [*sys.argv, "--alone", "--stores", kind]
            subprocess.run([sys.executable, *again], check=True)


class Material:
    """Texts and vectors, the same in every run; others to ask with than to write."""

    def __init__(self, *, is_asked: bool = False) -> None:
        self._topics = np.random.default_rng(0).standard_normal((_TOPICS, DIMENSION))
        self._numbers = np.random.default_rng(2 if is_asked else 1)
        self._chance = random.Random(2 if is_asked else 1)
        vocabulary = [f"w{number}" for number in range(40_000)]
        weights = np.cumsum(1 / np.arange(2, len(vocabulary) + 2))
        self._vocabulary, self._weights = vocabulary, weights.tolist()

    def vectors(self, count: int) -> NDArray[np.float32]:
        near = self._topics[self._numbers.integers(0, _TOPICS, count)]
        vectors = (near + 1.2 * self._numbers.standard_normal(near.shape)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def words(self, count: int) -> str:
        return " ".join(self._chance.choices(self._vocabulary, cum_weights=self._weights, k=count))

    def document(self, number: int) -> list[Row]:
        vectors = self.vectors(_PER_DOCUMENT)
        return [Row(chunk(number, at, text := self.words(90)), text, vectors[at]) for at in range(_PER_DOCUMENT)]

    def documents(self, count: int) -> Iterator[dict[str, list[Row]]]:
        together = _PER_COMMIT // _PER_DOCUMENT
        for start in range(0, count, together):
            yield {name(number): self.document(number) for number in range(start, min(count, start + together))}


def measure(kind: str, rows: int, updates: int, queries: int, keep: Path | None) -> None:
    with nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory() as folder:
        material = Material()
        written(kind, Path(folder) / kind, material, rows).close()
        emit(f"{kind} writer", peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        again = [*sys.argv, "--search", f"{folder}/{kind}"]
        subprocess.run([sys.executable, *again], check=True)
        if updates:
            store = opened(kind, Path(folder) / kind)
            beside = written(kind, Path(folder) / "beside", Material(), rows)
            update(kind, store, beside, material, rows, updates, questions(queries))
            beside.close()
            store.close()


def search(kind: str, folder: Path, rows: int, queries: int) -> None:
    asked = questions(queries)
    with tempfile.TemporaryDirectory() as elsewhere:
        opened(kind, Path(elsewhere)).close()  # so that all is imported
    with standstill() as stood:
        begun = time.perf_counter()
        store = opened(kind, folder)
        store.stats()
        opened_s = time.perf_counter() - begun
    emit(
        kind,
        rows=rows,
        opened_s=round(opened_s, 2),
        stood_s=round(max(stood), 2),
        hybrid=told(searched([store], asked, Filters())[0]),
        filtered=told(searched([store], asked, Filters(globs=("/bench/folder3",)))[0]),
        over_client=against_client(kind, store, asked),
        **resident(),  # before the exact searches, which read every vector
        recall=round(recall(store, [vector for vector, _ in asked[:50]]), 4),
        disk_mb=round(disk_mb(folder)),
        vector_index=store.stats().vector_index,
    )
    store.close()


@contextmanager
def standstill() -> Iterator[list[float]]:
    """Seconds that pass between two turns of another thread."""
    turns, is_over = [0.0], threading.Event()

    def take_turns() -> None:
        last = time.perf_counter()
        while not is_over.wait(0.002):
            now = time.perf_counter()
            turns.append(now - last)
            last = now

    beside = threading.Thread(target=take_turns)
    beside.start()
    try:
        yield turns
    finally:
        is_over.set()
        beside.join()


def opened(kind: str, folder: Path) -> Store:
    return open_store(kind, folder, Identity("bench", DIMENSION, "1/256", analysis.ANALYZER_VERSION), create=True)


def questions(count: int) -> list[tuple[NDArray[np.float32], str]]:
    material = Material(is_asked=True)
    return [(material.vectors(1)[0], material.words(6)) for _ in range(count)]


def written(kind: str, folder: Path, material: Material, rows: int) -> Store:
    """A store with so many rows, indexed."""
    store = opened(kind, folder)
    wrote_s = 0.0
    for documents in material.documents(rows // _PER_DOCUMENT):
        begun = time.perf_counter()
        store.replace(documents)
        store.maintain()
        wrote_s += time.perf_counter() - begun
    begun = time.perf_counter()
    store.maintain(force=True)
    indexed_s = time.perf_counter() - begun
    emit(f"{kind} written", rows=rows, rows_per_s=round(rows / wrote_s), index_s=round(indexed_s, 1))
    return store


def update(
    kind: str,
    store: Store,
    beside: Store,
    material: Material,
    rows: int,
    updates: int,
    asked: list[tuple[NDArray[np.float32], str]],
) -> None:
    chance = random.Random(3)
    taken: list[list[float]] = [[], []]
    way: list[float] = []
    took_s = 0.0
    for number in range(updates):
        which = chance.randrange(rows // _PER_DOCUMENT)
        documents = {name(which): material.document(which)}
        begun = time.perf_counter()
        store.replace(documents)
        store.maintain()
        took_s += time.perf_counter() - begun
        if (number + 1) % (updates // _LOOKS) == 0:
            looks = searched([store, beside], chance.sample(asked, max(10, len(asked) // 4)), Filters())
            way.append(round(statistics.median(looks[0]) / statistics.median(looks[1]), 2))
            for all_of_one, look in zip(taken, looks, strict=True):
                all_of_one.extend(look)
    updated, fresh = told(taken[0]), told(taken[1])
    emit(
        f"{kind} updates",
        updates=updates,
        ms_each=round(1000 * took_s / updates, 1),
        updated=updated,
        fresh=fresh,
        way_p50=way,
        after_updates=round(updated["p95_ms"] / fresh["p95_ms"], 2),
        after_updates_p50=round(updated["p50_ms"] / fresh["p50_ms"], 2),
        target=1.3,
    )


def searched(stores: list[Store], asked: list[tuple[NDArray[np.float32], str]], filters: Filters) -> list[list[float]]:
    """Milliseconds of each question in each store: both legs side by side, as `termrag search` asks for them, the
    stores in turn. The first few warm up."""
    taken: list[list[float]] = [[] for _ in stores]
    with ThreadPoolExecutor(1) as beside:
        for number, (vector, words) in enumerate([*asked[:10], *asked]):
            for at in random.sample(range(len(stores)), len(stores)):
                begun = time.perf_counter()
                by_words = beside.submit(stores[at].search_terms, words, CANDIDATES, filters)
                stores[at].search_vector(vector, CANDIDATES, filters)
                by_words.result()
                if number >= 10:
                    taken[at].append(1000 * (time.perf_counter() - begun))
    return taken


def told(taken: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
    }


def against_client(kind: str, store: Store, asked: list[tuple[NDArray[np.float32], str]]) -> float:
    """The processor's time for both legs through the store, over that of the same by the client: other programs of a
    busy machine do not count."""
    raw = {"lancedb": raw_lance, "qdrant": raw_qdrant}[kind](store)

    def ours(vector: NDArray[np.float32], words: str) -> None:
        store.search_vector(vector, CANDIDATES, Filters())
        store.search_terms(words, CANDIDATES, Filters())

    sides = {"ours": ours, "raw": raw}
    taken: dict[str, list[float]] = {side: [] for side in sides}
    chance = random.Random(4)
    for number, (vector, words) in enumerate([*asked[:10], *asked]):
        for side in chance.sample(sorted(sides), 2):
            begun = time.process_time()
            sides[side](vector, words)
            if number >= 10:
                taken[side].append(time.process_time() - begun)
    return round(statistics.mean(taken["ours"]) / statistics.mean(taken["raw"]), 3)


def raw_lance(store: Any) -> Callable[[NDArray[np.float32], str], None]:
    import lancedb
    from lancedb.query import MatchQuery

    from termrag.stores.lancedb import refine_factor
    from termrag.stores.rows import FOUND_COLUMNS

    refine = refine_factor(CANDIDATES)
    table = lancedb.connect(store._place.target, read_consistency_interval=timedelta(0)).open_table("chunks")

    def ask(vector: NDArray[np.float32], words: str) -> None:
        near = table.search(vector).distance_type("cosine").nprobes(store._nprobes).refine_factor(refine)
        near.limit(CANDIDATES).select([*FOUND_COLUMNS, "_distance"]).to_list()
        table.search(MatchQuery(words, "terms")).limit(CANDIDATES).select([*FOUND_COLUMNS, "_score"]).to_list()

    return ask


def raw_qdrant(store: Any) -> Callable[[NDArray[np.float32], str], None]:
    import qdrant_edge as edge

    from termrag.stores.points import FOUND_FIELDS
    from termrag.stores.points import asked as weights_of
    from termrag.stores.qdrant_index import search_params

    shard = store._collection._engine.shard

    def ask(vector: NDArray[np.float32], words: str) -> None:
        sparse = weights_of(words)
        near = edge.Query.Nearest(vector.tolist(), using="dense")
        worded = edge.Query.Nearest(edge.SparseVector(sparse.indices, sparse.values), using="words")
        for query, params in ((near, search_params(CANDIDATES, exact=False)), (worded, None)):
            request = edge.QueryRequest(limit=CANDIDATES, query=query, params=params, with_payload=FOUND_FIELDS)
            for each in shard.query(request):
                each.payload  # noqa: B018 - it is made when it is asked for

    return ask


def agree(collection: Path) -> None:
    """The words of real texts: how many of the ten best both stores have in common."""
    languages = {"de": ("de",), "zh": ("zh",), "ar": ("ar",)}.get(collection.name.rpartition("-")[2], ("en",))
    documents = {}
    for line in (collection / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        text = analysis.indexable(entry.get("title", ""), "", entry["text"])
        terms = analysis.terms(text, analysis.detect_language(text))
        number = len(documents)
        documents[name(number)] = [Row(chunk(number, 0, entry["text"]), terms, np.ones(4, np.float32) / 2)]
    questions = [json.loads(line)["text"] for line in (collection / "queries.jsonl").read_text("utf-8").splitlines()]
    best: dict[str, list[list[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("lancedb", "qdrant"):
            store = open_store(kind, Path(folder) / kind, Identity("none", 4, "1", "1"), create=True)
            names = list(documents)
            for start in range(0, len(names), 1000):
                store.replace({each: documents[each] for each in names[start : start + 1000]})
            store.maintain(force=True)
            best[kind] = [
                [found.chunk.document_id for found in store.search_terms(words, 10, Filters())]
                for words in (analysis.query_terms(question, languages) for question in questions)
            ]
            store.close()
    pairs = [(one, other) for one, other in zip(best["lancedb"], best["qdrant"], strict=True) if one]
    emit(
        "agreement",
        collection=collection.name,
        questions=len(pairs),
        overlap_at_10=round(statistics.mean(len(set(one) & set(other)) / len(one) for one, other in pairs), 4),
        same_best=round(statistics.mean(one[:1] == other[:1] for one, other in pairs), 4),
    )


def chunk(number: int, position: int, text: str) -> IndexedChunk:
    return IndexedChunk(
        document_id=name(number),
        position=position,
        path=f"/bench/folder{number % _FOLDERS}/{number}.md",
        title=f"Document {number}",
        heading="A heading",
        page=None,
        page_label="",
        start_line=1 + 10 * position,
        end_line=10 + 10 * position,
        lines_match=True,
        text=text,
        text_hash=f"{number:024x}{position:08x}",
        content_hash=f"{number:032x}",
        media_type="text/markdown",
        language="en",
        modified_ns=1_700_000_000_000_000_000 + number,
    )


def name(number: int) -> str:
    return f"{number:032x}"


def resident() -> dict[str, int]:
    """Megabytes of this process in memory: all of them, and those that are not pages of its files."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    except OSError:
        return {}
    return {f"{name}_mb": int(lines[key].split()[0]) // 1024 for name, key in (("rss", "VmRSS"), ("own", "RssAnon"))}


def disk_mb(folder: Path) -> float:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 1e6


def emit(what: str, **values: object) -> None:
    print(json.dumps({"measure": what, **values}), flush=True)


if __name__ == "__main__":
    main()
