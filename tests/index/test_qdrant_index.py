"""The index over the vectors of an embedded Qdrant: made beside it from a copy, true to exact search, nothing lost."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from index.test_store import row
from termrag.errors import StoreUnavailable
from termrag.records import Filters, Row
from termrag.stores import Identity, Store, discard_store, open_store, qdrant_embedded, qdrant_engine, qdrant_index
from termrag.stores.recall import recall

ENOUGH = 300
DIMENSION = 32
IDENTITY = Identity("embedder", DIMENSION, "1/256", "1")
WORDS = ["tide", "lamp", "rope", "salt", "ferry", "oil", "north", "keeper"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_index, "ROWS", ENOUGH)
    monkeypatch.setattr(qdrant_embedded, "_WORN_ROWS", 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path)
    yield store
    store.close()


def opened(folder: Path) -> Store:
    return open_store("qdrant", folder / "store", IDENTITY, create=True)


def document(name: str, count: int, seed: int = 0) -> dict[str, list[Row]]:
    chance, numbers = random.Random(f"{name}{seed}"), np.random.default_rng([seed, *name.encode()])
    vectors = numbers.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [row(name, at, " ".join(chance.choices(WORDS, k=6)), path=f"/docs/{name}.md") for at in range(count)]
    return {name: [replace(each, vector=vector) for each, vector in zip(rows, vectors, strict=True)]}


def several(count: int, size: int = 10, seed: int = 0) -> dict[str, list[Row]]:
    return {name: rows for at in range(count) for name, rows in document(f"d{at}", size, seed).items()}


def contents(store: Store) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for chunk in sorted(store.scan(), key=lambda chunk: chunk.position):
        found.setdefault(chunk.document_id, []).append(chunk.text)
    return found


def texts(documents: dict[str, list[Row]]) -> dict[str, list[str]]:
    return {name: [each.chunk.text for each in rows] for name, rows in documents.items()}


def folders(folder: Path) -> list[str]:
    return [each.name for each in (folder / "store").iterdir() if each.is_dir()]


def until_indexed(store: Store) -> None:
    deadline = time.monotonic() + 60
    while not store.stats().vector_index:
        assert time.monotonic() < deadline, "no index was made"
        time.sleep(0.02)


def ranked(store: Store, words: str, filters: Filters) -> list[tuple[str, int, float]]:
    found = store.search_terms(words, 2 * ENOUGH, filters)
    return sorted((each.chunk.document_id, each.chunk.position, round(each.score, 4)) for each in found)


def test_few_vectors_make_no_index(store: Store) -> None:
    store.replace(several(5))
    store.maintain(force=True)
    assert store.stats().vector_index == ""


def test_rows_that_wait_for_their_vectors_make_no_index(store: Store) -> None:
    store.replace({name: [replace(each, vector=None) for each in rows] for name, rows in several(40).items()})
    store.maintain(force=True)
    assert store.stats().vector_index == ""


def test_an_index_finds_what_exact_search_finds_and_changes_nothing_else(store: Store, tmp_path: Path) -> None:
    documents = several(40)
    store.replace(documents)
    asked = [rows[0].vector for rows in several(30, 1, seed=7).values() if rows[0].vector is not None]
    filters = (Filters(), Filters(globs=("/docs/d1*",)), Filters(document_ids=("d3", "d4")))
    words = [ranked(store, "tide lamp", each) for each in filters]
    assert store.maintain(force=True)
    after = store.stats()
    assert (after.vector_index, after.unindexed_rows, after.rows) == ("TurboQuant", 0, 400)
    assert recall(store, asked) >= 0.98
    assert [ranked(store, "tide lamp", each) for each in filters] == words
    for each in filters[1:]:
        found = {hit.chunk.document_id for hit in store.search_vector(asked[0], 50, each)}
        assert found
        assert all(name.startswith("d1") or name in ("d3", "d4") for name in found)
    assert contents(store) == texts(documents)
    for name in ("d0", "d39"):
        kept = store.vectors(name)
        assert all(np.allclose(kept[each.chunk.text_hash], each.vector, atol=1e-6) for each in documents[name][-1:])
    assert len(folders(tmp_path)) == 1
    assert after.size_bytes < 20e6, "room to grow is not copied"
    assert not store.maintain(force=True), "there is nothing left to do"


def test_it_is_made_beside_while_others_read_and_write(store: Store, tmp_path: Path) -> None:
    documents = several(40)
    store.replace(documents)
    assert not store.maintain(), "only who insists waits for it"
    reads = 0
    step = 0
    while not store.stats().vector_index:
        name = f"d{step % 12}"
        changed = document(name, 3 + step % 9, seed=step + 1)
        store.replace(changed)
        documents |= changed
        store.delete([f"d{20 + step % 10}"])
        documents.pop(f"d{20 + step % 10}", None)
        store.relocate({"d30": (f"/moved/{step}.md", step)})
        assert {hit.chunk.text for hit in store.search_vector(changed[name][0].vector, 1, Filters())} == {
            changed[name][0].chunk.text
        }
        reads += len(store.search_terms("tide", 5, Filters()))
        step += 1
        assert step < 20_000, "no index was made"
    assert reads
    assert contents(store) == texts(documents)
    moved = {chunk.path for chunk in store.chunks("d30")}
    store.close()
    again = opened(tmp_path)
    assert again.stats().unindexed_rows > 0, "what was written since is still known"
    assert contents(again) == texts(documents)
    assert {chunk.path for chunk in again.chunks("d30")} == moved == {f"/moved/{step - 1}.md"}
    assert again.stats().vector_index
    again.close()


def test_what_is_written_to_an_index_is_found_and_indexed_in_its_turn(store: Store) -> None:
    store.replace(several(40))
    store.maintain(force=True)
    more = document("late", 120, seed=3)
    store.replace(more)
    assert store.stats().unindexed_rows == 120
    assert store.search_vector(more["late"][7].vector, 1, Filters())[0].chunk.position == 7
    assert store.maintain(force=True)
    assert store.stats().unindexed_rows == 0
    assert store.search_vector(more["late"][7].vector, 1, Filters())[0].chunk.position == 7
    store.delete(["late"])
    assert not [hit for hit in store.search_terms("tide", 600, Filters()) if hit.chunk.document_id == "late"]


def test_an_index_of_much_that_is_deleted_is_made_anew(store: Store) -> None:
    documents = several(60, 20)
    store.replace(documents)
    store.maintain(force=True)
    store.delete([f"d{at}" for at in range(5, 60)])
    assert store.maintain(force=True)
    assert contents(store) == texts({name: documents[name] for name in ("d0", "d1", "d2", "d3", "d4")})
    assert not store.maintain(force=True), "there is nothing left to do"


def test_who_writes_more_than_can_be_noted_waits_and_readers_do_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_engine, "_MOST_NOTED", 20)
    documents = several(40)
    store.replace(documents)
    store.maintain()
    is_written = threading.Event()

    def write() -> None:
        for at in range(20):
            changed = document(f"d{at}", 10, seed=9)
            documents.update(changed)
            store.replace(changed)
        is_written.set()

    writing = threading.Thread(target=write)
    writing.start()
    read_meanwhile = 0
    while not is_written.is_set():
        assert store.search_terms("tide", 5, Filters())
        read_meanwhile += not is_written.is_set()
    writing.join()
    until_indexed(store)
    assert read_meanwhile
    assert contents(store) == texts(documents)


def test_closing_gives_it_up_and_loses_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    documents = several(40)
    store.replace(documents)
    store.maintain()
    store.close()
    assert len(folders(tmp_path)) == 1
    again = opened(tmp_path)
    assert contents(again) == texts(documents)
    again.close()


def test_who_waits_for_it_can_be_interrupted(store: Store) -> None:
    documents = several(40)
    store.replace(documents)
    raised: list[StoreUnavailable] = []

    def insist() -> None:
        try:
            store.maintain(force=True)
        except StoreUnavailable as error:
            raised.append(error)

    waiting = threading.Thread(target=insist)
    waiting.start()
    while waiting.is_alive():
        store.interrupt()
        time.sleep(0.01)
    assert [error.message for error in raised] == ["the vectors were not indexed: it was given up"]
    assert (store.stats().vector_index, contents(store)) == ("", texts(documents))
    assert store.maintain(force=True)
    assert store.stats().vector_index


def test_dropping_gives_it_up(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.replace(several(40))
    store.maintain(force=True)
    store.replace(several(40, seed=2))
    store.maintain()
    store.close()
    discard_store("qdrant", tmp_path / "store")
    again = opened(tmp_path)
    assert contents(again) == {}
    again.replace(several(3))
    assert len(contents(again)) == 3
    again.close()


def test_without_room_it_is_not_made_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    documents = several(40)
    store.replace(documents)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(StoreUnavailable, match="0 MB are free"):
        store.maintain(force=True)
    assert (store.stats().vector_index, len(folders(tmp_path))) == ("", 1)
    store.replace(document("more", 3))
    assert len(contents(store)) == 41
    monkeypatch.undo()
    monkeypatch.setattr(qdrant_index, "ROWS", ENOUGH)
    assert store.maintain(force=True)


def test_a_process_that_cannot_index_leaves_the_store_as_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = several(40)
    store.replace(documents)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(StoreUnavailable, match="ended with 1"):
        store.maintain(force=True)
    assert contents(store) == texts(documents)
    store.replace(document("more", 3))
    assert store.stats().rows == 403


def test_a_collection_of_an_earlier_version_is_indexed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import qdrant_edge as edge

    def earlier(dimension: int) -> edge.EdgeConfig:
        return edge.EdgeConfig(
            vectors={"dense": edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)},
            sparse_vectors={"words": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1_000_000_000),
        )

    def fields() -> dict[str, object]:
        keywords = ("document_id", "revision", "path", "within", "endings")
        whole = edge.IntegerIndexParams(lookup=True, range=True)
        return {
            **{name: edge.KeywordIndexParams() for name in keywords},
            **dict.fromkeys(("position", "modified_ns", "staged"), whole),
        }

    with monkeypatch.context() as patched:
        patched.setattr(qdrant_embedded, "config", earlier)
        patched.setattr(qdrant_embedded, "field_indexes", fields)
        store = opened(tmp_path)
    documents = several(40)
    store.replace(documents)
    assert folders(tmp_path) == ["shard"]
    assert store.maintain(force=True)
    assert store.stats().vector_index
    assert contents(store) == texts(documents)
    assert len(store.search_terms("tide", 400, Filters(document_ids=("d3",)))) > 0
    store.close()


def _index_and_write(folder: Path, is_begun: Event) -> None:
    qdrant_index.ROWS = ENOUGH
    qdrant_embedded._WORN_ROWS = 1
    store = opened(folder)
    store.maintain()
    is_begun.set()
    for seed in range(1, 1_000_000):
        store.replace(document("busy", 5, seed))
        store.maintain()


def test_killed_at_any_moment_everything_is_there_again(tmp_path: Path) -> None:
    chance = random.Random(5)
    documents = several(40)
    store = opened(tmp_path)
    store.replace(documents)
    store.close()
    context = multiprocessing.get_context("forkserver")
    for _ in range(5):
        is_begun = context.Event()
        process = context.Process(target=_index_and_write, args=(tmp_path, is_begun))
        process.start()
        assert is_begun.wait(60)
        time.sleep(chance.uniform(0, 2.5))
        process.kill()
        process.join()
        store = opened(tmp_path)
        found = contents(store)
        busy = found.pop("busy", [])
        assert found == texts(documents)
        assert len(busy) in (0, 5)
        assert len(folders(tmp_path)) == 1
        assert store.search_vector(documents["d5"][2].vector, 1, Filters())[0].chunk.position == 2
        store.close()
