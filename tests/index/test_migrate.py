"""From one store to another: nothing is lost, whatever happens on the way."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from contextlib import aclosing
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from embedding_endpoint import Endpoint, served
from index.index_library import hashed
from index.test_store import row
from index.whole import Home, answers, copied, report, write_notes
from termrag.config import load_config
from termrag.errors import ConfigError, LibraryBusy
from termrag.ledger import Ledger, rebuild, watch_lock
from termrag.records import Row
from termrag.stores import open_store


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture
async def home(tmp_path: Path, endpoint: Endpoint) -> Home:
    home = Home(tmp_path / "home", endpoint)
    await home.add(write_notes(tmp_path / "notes", 40))
    return home


async def test_a_moved_index_gives_the_same_answers_and_is_in_use(home: Home, tmp_path: Path) -> None:
    before = await answers(home)
    elsewhere = tmp_path / "elsewhere"
    async with home.open() as rag:
        done, _ = await copied(rag.migrate_index(str(elsewhere)))
        assert rag.config.lancedb.uri == str(elsewhere)
        assert (await rag.index_stats()).place == str(elsewhere)
        assert await rag.search("lamp of the harbour")
    assert done.chunks == sum(each.chunks for each in before[0]) and done.documents == len(before[0])
    assert load_config(home.paths.config_file, {}).lancedb.uri == str(elsewhere)
    assert str(home.paths.library / "lancedb") in done.notes[0] and "stays" in done.notes[0]
    assert (home.paths.library / "lancedb").is_dir()
    assert await answers(home) == before


async def test_there_and_back_again_with_the_source_dropped(home: Home, tmp_path: Path) -> None:
    before = await answers(home)
    async with home.open() as rag:
        done, _ = await copied(rag.migrate_index(str(tmp_path / "elsewhere"), drop_source=True))
    assert "gone" in done.notes[0] and not (home.paths.library / "lancedb" / "chunks.lance").exists()
    async with home.open() as rag:
        await copied(rag.migrate_index("lancedb", drop_source=True))
    assert not (tmp_path / "elsewhere" / "chunks.lance").exists()
    assert load_config(home.paths.config_file, {}).lancedb.uri == ""
    assert await answers(home) == before


def contents(home: Home) -> dict[str, tuple[object, ...]]:
    """Every row as the library's store has it."""
    config = home.config()
    folder = home.paths.library / config.library.store
    store = open_store(config.library.store, folder, None, create=False, config=config)
    rows = [row for batch in store.rows() for row in batch.rows]
    store.close()
    return {row.chunk.chunk_id: (row.chunk, row.terms, np.round(row.vector, 3).tolist()) for row in rows}


async def test_to_qdrant_and_back_nothing_is_lost(home: Home) -> None:
    before, rows = await answers(home), contents(home)
    async with home.open() as rag:
        done, _ = await copied(rag.migrate_index("qdrant"))
        assert (await rag.index_stats()).store == "qdrant"
        assert (await report(rag.verify_index())).problems == ()
    assert home.config().library.store == "qdrant" and done.chunks == len(rows)
    assert contents(home) == rows
    there = await answers(home)
    assert there[0] == before[0]
    assert [[chunk for chunk, _ in each[:3]] for each in there[2::4]] == [
        [chunk for chunk, _ in each[:3]] for each in before[2::4]
    ], "the nearest vectors are the same"
    shutil.rmtree(home.paths.library / "lancedb")
    async with home.open() as rag:
        await copied(rag.migrate_index("lancedb", drop_source=True))
    assert contents(home) == rows
    back = await answers(home)
    assert back[0] == before[0]
    for query in range(4):  # chunks of equal scores may stand in another order
        for place, score in ((2, "cosine"), (3, "bm25")):
            scores = [sorted(getattr(hit[1], score) for hit in each[4 * query + place]) for each in (before, back)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert not (home.paths.library / "qdrant").exists()


async def test_what_changes_meanwhile_is_in_the_copy(home: Home, tmp_path: Path) -> None:
    async with home.open() as rag, aclosing(rag.migrate_index(str(tmp_path / "elsewhere"))) as events:
        changed = False
        async for event in events:
            if getattr(event, "stage", "") == "copying chunks":
                if not changed:
                    (tmp_path / "notes" / "note1.md").unlink()
                    (tmp_path / "notes" / "note2.md").write_text("# New\n\nThe wick is new in the copy too.\n")
                    (tmp_path / "notes" / "note3.md").rename(tmp_path / "notes" / "moved.md")
                    await home.add(tmp_path / "notes")
                changed = True
    assert changed
    now = await answers(home)
    shutil.rmtree(home.paths.library / "lancedb")
    assert await answers(home) == now
    paths = {Path(each.path).name for each in now[0]}
    assert "moved.md" in paths and "note1.md" not in paths
    async with home.open() as rag:
        assert any("new in the copy" in hit.chunk.text for hit in await rag.search("wick new copy"))


def fill(home: Home, documents: int) -> None:
    """Documents of ten chunks, put straight into store and ledger."""
    store = open_store("lancedb", home.paths.library / "lancedb", None, create=False)

    def rows(n: int) -> list[Row]:
        made = [row(f"d{n}", at, f"wick{n} stone{at}", path=f"/made/{n}.md") for at in range(10)]
        return [Row(each.chunk, each.terms, np.resize(hashed(each.terms), 32)) for each in made]

    store.replace({f"d{n}": rows(n) for n in range(documents)})
    with Ledger(home.paths.library) as ledger:
        rebuild(ledger, store)
    store.close()


def _migrate(root: Path, endpoint_url: str, target: str, steps: multiprocessing.Queue[int]) -> None:
    """What `termrag index migrate` does, in a process of its own that tells of every step."""
    import asyncio

    import termrag.indexing.migrate  # noqa: F401 - the submodule, not the function

    import_module("termrag.indexing.migrate")._COMMIT = 1000  # many steps

    async def work() -> None:
        endpoint = Endpoint(port=int(endpoint_url.split(":")[2].split("/")[0]))
        async with Home(root, endpoint).open() as rag:
            async for event in rag.migrate_index(target):
                steps.put(getattr(event, "done", -1))

    asyncio.run(work())


async def test_killed_at_any_step_it_goes_on_where_it_was(home: Home, tmp_path: Path, endpoint: Endpoint) -> None:
    fill(home, 1200)
    before = await answers(home)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lancedb.index", "index.whole", "termrag.rag"])
    target = tmp_path / "elsewhere"
    reached: list[int] = []
    for kills in (2, 4, 3):
        steps = context.Queue()
        process = context.Process(target=_migrate, args=(home.root, endpoint.url, str(target), steps))
        process.start()
        seen = [steps.get(timeout=120) for _ in range(kills)]
        process.kill()
        process.join()
        reached += seen
    assert reached == sorted(reached) and reached[0] >= 1000, "each run goes on where the last one was"
    assert await answers(home) == before, "until it is done the old index is in use"
    async with home.open() as rag:
        done, steps_left = await copied(rag.migrate_index(str(target)))
    assert steps_left[0].done >= reached[-1]
    assert done.chunks == sum(each.chunks for each in before[0])
    assert await answers(home) == before
    assert not (home.paths.library / "migration.json").exists()


async def test_left_early_it_can_be_gone_on_with_or_begun_elsewhere(home: Home, tmp_path: Path) -> None:
    before = await answers(home)
    async with home.open() as rag, aclosing(rag.migrate_index(str(tmp_path / "one"))) as events:
        async for _ in events:
            break
    async with home.open() as rag:
        await copied(rag.migrate_index(str(tmp_path / "two")))
    assert await answers(home) == before
    async with home.open() as rag:
        with pytest.raises(ConfigError, match="holds an index of") as refused:
            await copied(rag.migrate_index(str(tmp_path / "one")))
        assert "--yes" in refused.value.hint
        await copied(rag.migrate_index(str(tmp_path / "one"), replace=True))
    assert await answers(home) == before


async def test_what_cannot_be_done_is_said_before_anything_is(home: Home, tmp_path: Path) -> None:
    async with home.open() as rag:
        with pytest.raises(ConfigError, match="already"):
            await copied(rag.migrate_index("lancedb"))
        with pytest.raises(ConfigError, match=r"library\.store"):
            await copied(rag.migrate_index("postgres"))
        with watch_lock(home.paths.library), pytest.raises(LibraryBusy):
            await copied(rag.migrate_index(str(tmp_path / "one")))
    assert not (tmp_path / "one").exists()


async def test_a_copy_with_other_vectors_is_not_switched_to(home: Home, tmp_path: Path) -> None:
    """The copy agrees in everything but a vector: the source stays in use."""
    target = tmp_path / "elsewhere"
    async with home.open() as rag:
        with pytest.raises(Exception, match="another one in the copy"):
            async with aclosing(rag.migrate_index(str(target))) as events:
                async for event in events:
                    if getattr(event, "stage", "") != "comparing":
                        continue
                    config = home.config().with_values({"lancedb": {"uri": str(target)}}, "test")
                    copy = open_store("lancedb", home.paths.library / "lancedb", None, create=False, config=config)
                    rows = [row for batch in copy.rows() for row in batch.rows]
                    copy.restore([type(row)(row.chunk, row.terms, np.ascontiguousarray(-row.vector)) for row in rows])
                    copy.close()
    assert load_config(home.paths.config_file, {}).lancedb.uri == ""
