"""Whole rows read from a store and put into another, and leases: through the protocol alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.index_library import DIMENSION, hashed
from index.test_store import row
from termrag.config import Config
from termrag.records import Filters, Row
from termrag.stores import Identity, Store, open_store

IDENTITY = Identity("embedder-a", DIMENSION, "1/256", "1")
Open = Callable[[str], Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    stores: list[Store] = []

    def open_named(name: str) -> Store:
        stores.append(open_store("lancedb", tmp_path / name, IDENTITY, create=True))
        return stores[-1]

    yield open_named
    for store in stores:
        store.close()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Open]:
    """One store that several machines reach: each name is a machine with a folder of its own."""
    config = Config().with_values({"lancedb": {"uri": str(tmp_path / "bucket")}}, "test")
    stores: list[Store] = []

    def open_named(name: str) -> Store:
        stores.append(open_store("lancedb", tmp_path / name, IDENTITY, create=True, config=config))
        return stores[-1]

    yield open_named
    for store in stores:
        store.close()


def made(document: str, position: int, words: str) -> Row:
    return replace(row(document, position, words), vector=hashed(words))


def fill(store: Store, documents: int, chunks: int = 5) -> None:
    store.replace(
        {
            f"d{n}": [made(f"d{n}", at, f"lamp{n} tide{at} salt{n * at}") for at in range(chunks)]
            for n in range(documents)
        }
    )


def every(store: Store, after: str = "") -> list[Row]:
    return [each for batch in store.rows(after) for each in batch.rows]


def same(one: Row, other: Row) -> bool:
    vectors = (one.vector is None) == (other.vector is None) and (
        one.vector is None or other.vector is None or np.array_equal(one.vector, other.vector)
    )
    return one.chunk == other.chunk and one.terms == other.terms and vectors


def test_rows_come_back_whole_and_give_the_same_answers_elsewhere(opened: Open) -> None:
    source, target = opened("source"), opened("target")
    fill(source, 40)
    source.replace({"bare": [replace(made("bare", 0, "unembedded"), vector=None)], "d3": [made("d3", 0, "shrunk")]})
    rows = every(source)
    assert len(rows) == source.stats().rows == 39 * 5 + 2
    target.restore(rows[:100])
    target.restore(rows[50:])  # what was there already is not doubled
    back = {each.chunk.chunk_id: each for each in every(target)}
    assert len(back) == len(rows) and all(same(each, back[each.chunk.chunk_id]) for each in rows)
    for words in ("lamp7", "tide3 salt12", "unembedded", "shrunk"):
        found = [
            [(hit.chunk, hit.score) for hit in each.search_terms(words, 20, Filters())] for each in (source, target)
        ]
        assert sorted(found[0], key=str) == sorted(found[1], key=str) and found[0]
        near = [
            [hit.chunk.chunk_id for hit in each.search_vector(hashed(words), 5, Filters())] for each in (source, target)
        ]
        assert near[0] == near[1]


def test_reading_goes_on_where_it_was_left_whatever_happened_since(opened: Open) -> None:
    store = opened("source")
    fill(store, 500)
    before = every(store)
    batches = store.rows()
    first, second = next(batches), next(batches)
    batches.close()  # type: ignore[attr-defined]
    store.delete([f"d{n}" for n in range(250)])
    store.replace({"new": [made("new", 0, "new")]})
    store.maintain(force=True)
    again = every(store, second.position)
    assert [each.chunk for each in (*first.rows, *second.rows, *again)] == [each.chunk for each in before]
    assert len(every(store)) == 250 * 5 + 1
    assert len(every(store, "scan-999999-0:5")) == 250 * 5 + 1, "a snapshot that is gone is read anew"


def test_the_snapshot_is_taken_by_the_call(opened: Open) -> None:
    store = opened("source")
    fill(store, 3)
    batches = store.rows()
    store.delete(["d0"])
    assert sum(len(batch.rows) for batch in batches) == 15


def test_rows_of_some_documents(opened: Open) -> None:
    store = opened("source")
    fill(store, 9)
    found = [each for batch in store.rows(document_ids=["d2", "d5", "none"]) for each in batch.rows]
    assert {each.chunk.document_id for each in found} == {"d2", "d5"} and len(found) == 10


def test_an_exact_search_finds_what_brute_force_finds(opened: Open) -> None:
    store = opened("source")
    fill(store, 60)
    rows = every(store)
    matrix = np.stack([each.vector for each in rows if each.vector is not None])
    query = hashed("lamp7 tide3")
    best = {round(float(score), 4) for score in np.sort(matrix @ query)[-10:]}
    found = store.search_vector(query, 10, Filters(), exact=True)
    assert {round(hit.score, 4) for hit in found} == best


def test_a_lease_has_one_holder_until_it_runs_out(shared: Open) -> None:
    here, there = shared("here"), shared("there")
    assert here.is_shared
    soon = time.time() + 60
    assert here.take_lease("/notes", "here:1", soon).holder == "here:1"
    assert there.take_lease("/notes", "there:2", soon).holder == "here:1"
    assert there.take_lease("/papers", "there:2", soon).holder == "there:2"
    assert here.take_lease("/notes", "here:1", soon + 60).until == pytest.approx(soon + 60)
    there.drop_lease("/notes", "there:2")
    assert there.take_lease("/notes", "there:2", soon).holder == "here:1", "nobody gives up another's lease"
    here.drop_lease("/notes", "here:1")
    assert there.take_lease("/notes", "there:2", soon).holder == "there:2"
    there.take_lease("/notes", "there:2", time.time() - 1)
    assert here.take_lease("/notes", "here:1", soon).holder == "here:1"


def test_of_many_that_ask_at_once_one_gets_the_lease(shared: Open) -> None:
    stores = [shared(f"machine{n}") for n in range(4)]
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = stores[number].take_lease("/notes", f"machine{number}", time.time() + 60).holder

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    stands = stores[0].take_lease("/notes", "nobody", time.time() + 60).holder
    assert set(answers) == {0, 1, 2, 3} and stands in answers.values()
    assert all(holder == stands for holder in answers.values())
