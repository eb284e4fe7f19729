"""Several machines over one store: any number read without a ledger, one at a time writes a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint, served
from index.whole import Home, answers, copied, report, write_notes
from termrag.errors import ConfigError, LibraryBusy, StoreUnavailable
from termrag.events import Answered
from termrag.ledger import Ledger


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture
def machines(tmp_path: Path, endpoint: Endpoint) -> tuple[Home, Home]:
    """Two homes over one bucket."""
    sections = {"lancedb": {"uri": str(tmp_path / "bucket")}}
    return Home(tmp_path / "here", endpoint, sections), Home(tmp_path / "there", endpoint, sections)


async def show_without_ledger(home: Home, expected: int) -> None:
    async with home.open() as rag:
        status = await rag.status()
        assert (status.documents, status.chunks > 0) == (expected, True)
        assert await rag.search("lamp of the harbour")
        answer = [event async for event in rag.ask("Where is the lamp of the harbour?")][-1]
        assert isinstance(answer, Answered) and answer.answer.passages
        assert (await rag.index_stats()).stored_documents == expected
    assert not Ledger.exists(home.paths.library), "a reader leaves no ledger behind"


async def test_a_reader_needs_no_ledger(tmp_path: Path, endpoint: Endpoint) -> None:
    home = Home(tmp_path / "home", endpoint)
    await home.add(write_notes(tmp_path / "notes", 6))
    for file in home.paths.library.glob("ledger.sqlite*"):
        file.unlink()
    await show_without_ledger(home, 7)


async def test_another_machine_reads_what_one_writes(machines: tuple[Home, Home], tmp_path: Path) -> None:
    here, there = machines
    await here.add(write_notes(tmp_path / "notes", 6))
    await show_without_ledger(there, 7)
    mine, theirs = await answers(here), await answers(there)
    assert mine[1:] == theirs[1:]
    (tmp_path / "notes" / "new.md").write_text("# New\n\nThe breakwater was mended with basalt.\n")
    async with there.open() as reader:
        assert not any("basalt" in hit.chunk.text for hit in await reader.search("breakwater basalt"))
        await here.add(tmp_path / "notes")
        assert "basalt" in (await reader.search("breakwater basalt"))[0].chunk.text


async def test_one_machine_writes_a_folder_and_the_other_is_told_which(
    machines: tuple[Home, Home], tmp_path: Path
) -> None:
    here, there = machines
    folder = write_notes(tmp_path / "notes", 3)
    other = write_notes(tmp_path / "other", 2, seed=2)
    async with here.open() as first, there.open() as second:
        await first.watch_folder(folder)
        await second.watch_folder(folder)
        async with aclosing(first.watch()) as events:
            async for event in events:
                if type(event).__name__ == "Finished":
                    break
            with pytest.raises(LibraryBusy) as refused:
                _ = [event async for event in second.sync()]
            assert str(here.paths.library) in refused.value.message and str(folder) in refused.value.message
            await second.unwatch(folder)
            await second.watch_folder(other)
            assert [event async for event in second.sync()], "another folder is free"
        await second.watch_folder(folder)
        _ = [event async for event in second.sync()]
        _ = [event async for event in first.sync()]


async def test_a_rebuild_takes_what_others_wrote_out_only_if_told_so(
    machines: tuple[Home, Home], tmp_path: Path
) -> None:
    here, there = machines
    await here.add(write_notes(tmp_path / "notes", 3))
    async with there.open() as rag:
        with pytest.raises(LibraryBusy) as refused:
            _ = [event async for event in rag.ingest([], rebuild=True)]
        assert "--yes" in refused.value.hint
        assert await rag.search("lamp of the harbour")
        _ = [event async for event in rag.ingest([], rebuild=True, sure=True)]
        with pytest.raises(StoreUnavailable, match="there is no index"):
            await rag.search("lamp of the harbour")


async def test_a_machine_takes_over_a_folder_and_its_documents_keep_their_ids(
    machines: tuple[Home, Home], tmp_path: Path
) -> None:
    here, there = machines
    folder = write_notes(tmp_path / "notes", 4)
    async with here.open() as rag:
        await rag.watch_folder(folder)
        _ = [event async for event in rag.sync()]
        before = {each.id: each.content_hash for each in await rag.documents()}
    await there.add(write_notes(tmp_path / "other", 2, seed=2))
    async with there.open() as rag:
        await rag.watch_folder(folder)
        assert (await report(rag.verify_index(fix=True))).problems == ()
        _ = [event async for event in rag.sync()]
        now = {each.id: each.content_hash for each in await rag.documents() if str(folder) in each.path}
        assert now == before and (await rag.index_stats()).stored_documents == len(before) + 3


async def test_nothing_is_read_into_a_store_that_another_machine_has_filled(
    machines: tuple[Home, Home], tmp_path: Path
) -> None:
    here, there = machines
    await here.add(write_notes(tmp_path / "notes", 3))
    async with here.open() as rag:
        await copied(rag.export_index(tmp_path / "set"))
    async with there.open() as rag:
        with pytest.raises(ConfigError, match=r"holds \d+ chunks already"):
            await copied(rag.import_index(tmp_path / "set"))
    async with here.open() as rag:
        assert (await report(rag.verify_index())).problems == ()


async def test_verify_leaves_the_other_machines_documents_alone(machines: tuple[Home, Home], tmp_path: Path) -> None:
    here, there = machines
    await here.add(write_notes(tmp_path / "notes", 3))
    await there.add(write_notes(tmp_path / "other", 2, seed=2))
    for home in machines:
        async with home.open() as rag:
            found = await report(rag.verify_index(fix=True))
            assert found.problems == ()
            assert (await rag.index_stats()).stored_documents == 7
