"""What `index verify` finds where ledger and store disagree, and what it makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from embedding_endpoint import Endpoint, served
from index.whole import Home, answers, report, write_notes
from termrag.errors import NotFound, StoreUnavailable
from termrag.indexstate import IndexReport
from termrag.ledger import Ledger
from termrag.records import Row
from termrag.stores import Store, open_store


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture
async def home(tmp_path: Path, endpoint: Endpoint) -> Home:
    home = Home(tmp_path / "home", endpoint)
    await home.add(write_notes(tmp_path / "notes", 12))
    return home


def store_of(home: Home) -> Store:
    return open_store("lancedb", home.paths.library / "lancedb", None, create=False)


def document(home: Home, name: str) -> str:
    with Ledger(home.paths.library) as ledger:
        return next(each.id for each in ledger.documents() if each.path.endswith(f"/{name}"))


def rows_of(store: Store, document_id: str) -> list[Row]:
    return [row for batch in store.rows(document_ids=[document_id]) for row in batch.rows]


def contents(store: Store) -> dict[str, tuple[object, ...]]:
    rows = [row for batch in store.rows() for row in batch.rows]
    return {row.chunk.chunk_id: (row.chunk, row.terms, np.round(row.vector, 4).tolist()) for row in rows}


async def verified(home: Home, *, fix: bool = False) -> IndexReport:
    async with home.open() as rag:
        return await report(rag.verify_index(fix=fix))


def kinds(found: IndexReport) -> list[tuple[str, str, bool]]:
    return sorted((each.kind, Path(each.path).name, bool(each.mended)) for each in found.problems)


async def test_a_sound_library_has_no_problems_and_finds_all(home: Home) -> None:
    found = await verified(home)
    assert found.problems == () and found.is_sound and found.recall == 1.0
    async with home.open() as rag:
        stats = await rag.index_stats()
    assert (found.documents, found.chunks) == (stats.documents, stats.chunks) == (13, stats.stored_chunks)


async def test_each_fault_is_found_and_mended(home: Home) -> None:
    store = store_of(home)
    before = contents(store)
    ids = {name: document(home, name) for name in ("note1.md", "note2.md", "note3.md", "note4.md", "note5.md")}
    store.delete([ids["note1.md"]])  # missing
    rows = rows_of(store, ids["note2.md"])
    stray = [Row(replace(row.chunk, document_id="0" * 32), row.terms, row.vector) for row in rows]
    store.replace({"0" * 32: stray})  # orphan
    doubled = [Row(replace(rows[0].chunk, position=len(rows)), rows[0].terms, rows[0].vector)]
    store.restore(doubled)  # a chunk too many
    store.restore([Row(row.chunk, row.terms, None) for row in rows_of(store, ids["note3.md"])])  # no vectors
    rows = rows_of(store, ids["note4.md"])
    other = [Row(replace(row.chunk, content_hash="0" * 64), row.terms, row.vector) for row in rows]
    store.replace({ids["note4.md"]: other})  # another version
    broken = [Row(row.chunk, row.terms, np.zeros_like(row.vector)) for row in rows_of(store, ids["note5.md"])]
    store.replace({ids["note5.md"]: broken})
    store.close()
    expected = [
        ("counts", "note2.md"), ("differs", "note4.md"), ("missing", "note1.md"), ("orphan", "note2.md"),
        ("vectors", "note3.md"), ("vectors", "note5.md"),
    ]  # fmt: skip
    found = await verified(home)
    assert kinds(found) == [(*each, False) for each in expected] and not found.is_sound
    mended = await verified(home, fix=True)
    assert kinds(mended) == [(*each, True) for each in expected] and mended.is_sound
    again = await verified(home)
    assert again.problems == () and again.recall == 1.0
    store = store_of(home)
    assert contents(store) == before, "the same chunks, words and vectors as before"
    store.close()


async def test_a_fault_whose_file_is_gone_is_settled_without_it(home: Home, tmp_path: Path) -> None:
    lost, shrunk = document(home, "note1.md"), document(home, "note2.md")
    store = store_of(home)
    store.delete([lost])
    rows = rows_of(store, shrunk)
    store.restore([Row(replace(rows[0].chunk, position=len(rows)), rows[0].terms, rows[0].vector)])
    store.close()
    (tmp_path / "notes" / "note1.md").unlink()
    (tmp_path / "notes" / "note2.md").unlink()
    found = await verified(home, fix=True)
    assert kinds(found) == [("counts", "note2.md", True), ("missing", "note1.md", True)]
    assert (await verified(home)).problems == ()
    with Ledger(home.paths.library) as ledger:
        known = {each.id: each.chunks for each in ledger.documents()}
    assert lost not in known and known[shrunk] == len(rows) + 1


async def test_a_run_that_was_cut_short_is_finished(home: Home) -> None:
    cut = document(home, "note6.md")
    with Ledger(home.paths.library) as ledger:
        ledger.begin_again([cut])
    assert kinds(await verified(home)) == [("unfinished", "note6.md", False)]
    assert (await verified(home, fix=True)).is_sound
    assert (await verified(home)).problems == ()


async def test_a_lost_ledger_is_filled_from_the_store(home: Home, endpoint: Endpoint) -> None:
    before = await answers(home)
    for file in home.paths.library.glob("ledger.sqlite*"):
        file.unlink()
    with pytest.raises(NotFound) as refused:
        await verified(home)
    assert refused.value.hint.startswith("termrag index verify --fix")
    embedded = [request["input"] for request in endpoint.requests]
    found = await verified(home, fix=True)
    assert found.is_sound and (found.documents, found.problems) == (13, ())
    assert [request["input"] for request in endpoint.requests if request["input"] != ["dimension"]][1:] == [
        each for each in embedded if each != ["dimension"]
    ][1:], "nothing is embedded again"
    after = await answers(home)
    assert [(each.id, each.path, each.content_hash) for each in after[0]] == [
        (each.id, each.path, each.content_hash) for each in before[0]
    ]
    assert after[1:] == before[1:]


async def test_an_index_that_finds_too_little_is_a_problem(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("termrag.indexing.verify"), "RECALL", 1.01)  # no index is so good
    found = await verified(home)
    assert [each.kind for each in found.problems] == ["recall"] and not found.is_sound
    assert "100.0%" in found.problems[0].detail


async def test_a_library_without_a_store_says_so(home: Home) -> None:
    shutil.rmtree(home.paths.library / "lancedb")
    with pytest.raises(StoreUnavailable):
        await verified(home)
