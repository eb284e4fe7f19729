"""Export, import, backup and restore: what they carry, and what they refuse."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint, served
from index.whole import Home, answers, copied, write_notes
from termrag.errors import ConfigError, LibraryBusy, LibraryMismatch, NotFound
from termrag.ledger import Ledger, watch_lock
from termrag.records import DocumentState


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Path]]:
    """A library of 40 notes, a file that cannot be read, and a text that came through a pipe; and where the notes
    are."""
    root = tmp_path_factory.mktemp("made")
    folder = write_notes(root / "notes", 40)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nthis is none")
    with served() as endpoint:
        home = Home(root / "full", endpoint)
        asyncio.run(home.add(folder))
        asyncio.run(home.add_text("dmesg.txt", "the keeper of the lamp reports salt in the oil"))
        yield home, folder


@pytest.fixture
def endpoint(made: tuple[Home, Path]) -> Endpoint:
    return made[0].endpoint


@pytest.fixture
def notes(made: tuple[Home, Path]) -> Path:
    return made[1]


@pytest.fixture
def full(made: tuple[Home, Path], tmp_path: Path) -> Home:
    """A copy of it that a test may change."""
    shutil.copytree(made[0].root, tmp_path / "full")
    return Home(tmp_path / "full", made[0].endpoint)


def embedded(endpoint: Endpoint) -> int:
    """How many texts have become vectors; a new process asks for the dimension first."""
    return sum(len(request["input"]) for request in endpoint.requests if request["input"] != ["dimension"])


async def test_an_imported_library_gives_the_same_answers(full: Home, tmp_path: Path, endpoint: Endpoint) -> None:
    other = Home(tmp_path / "other", endpoint)
    async with full.open() as rag:
        done, steps = await copied(rag.export_index(tmp_path / "set"))
        status = await rag.status()
    assert (done.documents, done.chunks) == (status.documents + status.failed, status.chunks)
    assert steps[-1].done == steps[-1].total == status.chunks and not done.notes
    before = embedded(endpoint)
    async with other.open() as rag:
        again, _ = await copied(rag.import_index(tmp_path / "set"))
    assert (again.documents, again.chunks) == (done.documents, done.chunks)
    assert embedded(endpoint) == before, "nothing is embedded again"
    mine, theirs = await answers(full), await answers(other)
    assert mine == theirs and any(mine[1:])
    assert any(each.state is DocumentState.FAILED for each in theirs[0])


async def test_an_import_goes_on_as_a_library_of_its_own(
    full: Home, notes: Path, tmp_path: Path, endpoint: Endpoint
) -> None:
    other = Home(tmp_path / "other", endpoint)
    async with full.open() as rag:
        await copied(rag.export_index(tmp_path / "set"))
    async with other.open() as rag:
        await copied(rag.import_index(tmp_path / "set"))
    before = embedded(endpoint)
    await other.add(notes)
    assert embedded(endpoint) == before, "what did not change since is not embedded again"
    with Ledger(other.paths.library) as ledger:
        text = ledger.document("stdin:dmesg.txt")
        assert ledger.text(text.id) == "the keeper of the lamp reports salt in the oil"


async def test_a_library_that_holds_something_is_replaced_only_if_told_so(full: Home, tmp_path: Path) -> None:
    async with full.open() as rag:
        await copied(rag.export_index(tmp_path / "set"))
    before = await answers(full)
    await full.add_text("later.txt", "the rope came later")
    async with full.open() as rag:
        with pytest.raises(ConfigError, match="holds 43 documents already") as refused:
            await copied(rag.import_index(tmp_path / "set"))
        assert "--yes" in refused.value.hint
    async with full.open() as rag:
        await copied(rag.import_index(tmp_path / "set", replace=True))
    assert await answers(full) == before


async def test_what_is_not_whole_is_refused_before_anything_is_touched(full: Home, tmp_path: Path) -> None:
    before = await answers(full)
    whole = tmp_path / "set"
    async with full.open() as rag:
        await copied(rag.back_up_index(whole))

        async def refuse(change: str) -> str:
            folder = tmp_path / change
            shutil.copytree(whole, folder)
            manifest = folder / "manifest.json"
            if change == "unfinished":
                manifest.unlink()
            elif change == "cut":
                os.truncate(folder / "chunks-00000.parquet", 2000)
            elif change == "missing":
                (folder / "documents.parquet").unlink()
            elif change == "flipped":
                data = bytearray((folder / "chunks-00000.parquet").read_bytes())
                data[len(data) // 2] ^= 1
                (folder / "chunks-00000.parquet").write_bytes(data)
            elif change == "newer":
                manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 99'))
            elif change == "outside":
                manifest.write_text(manifest.read_text().replace("ledger.sqlite", "../ledger.sqlite"))
            elif change == "garbled":
                manifest.write_text("{")
            with pytest.raises(ConfigError) as refused:
                await copied(rag.restore_index(folder, replace=True))
            return refused.value.message

        for change, says in {
            "unfinished": "never finished", "cut": "cut short", "missing": "missing", "flipped": "damaged",
            "newer": "newer", "outside": "outside", "garbled": "damaged",
        }.items():  # fmt: skip
            assert says in await refuse(change), change
        with pytest.raises(NotFound):
            await copied(rag.restore_index(tmp_path / "nowhere"))
        with pytest.raises(ConfigError, match="is a backup"):
            await copied(rag.import_index(whole, replace=True))
        with pytest.raises(ConfigError, match="not empty"):
            await copied(rag.export_index(whole))
    assert await answers(full) == before


async def test_a_library_with_another_embedder_refuses_the_set(full: Home, tmp_path: Path, endpoint: Endpoint) -> None:
    other = Home(tmp_path / "other", endpoint, {"documents": {"chunk_tokens": 128}})
    async with full.open() as rag:
        await copied(rag.export_index(tmp_path / "set"))
    async with other.open() as rag:
        with pytest.raises(LibraryMismatch) as refused:
            await copied(rag.import_index(tmp_path / "set"))
    assert refused.value.hint == "termrag config set documents.chunk_tokens 64"


async def test_a_backup_taken_while_others_write_is_one_moment(full: Home, tmp_path: Path, endpoint: Endpoint) -> None:
    folder, stop = write_notes(tmp_path / "mine", 40), asyncio.Event()

    async def write() -> int:
        rounds = 0
        while not stop.is_set():
            rounds += 1
            write_notes(folder, 40, seed=rounds + 1)
            await full.add(folder)
        return rounds

    writing = asyncio.create_task(write())
    async with full.open() as rag:
        for number in range(3):
            await copied(rag.back_up_index(tmp_path / f"set{number}"))
    stop.set()
    assert await writing >= 1
    for number in range(3):
        other = Home(tmp_path / f"other{number}", endpoint)
        async with other.open() as rag:
            done, _ = await copied(rag.restore_index(tmp_path / f"set{number}"))
            assert not done.notes
        with Ledger(other.paths.library) as ledger:
            counts = ledger.counts()
            by_hash = {each.id: each.content_hash for each in ledger.documents()}
        async with other.open() as rag:
            stats = await rag.index_stats()
            chunks = [chunk for each in by_hash for chunk in await rag.chunks(each)]
        assert stats.stored_chunks == len(chunks) == counts.chunks
        assert {chunk.content_hash == by_hash[chunk.document_id] for chunk in chunks} == {True}


async def test_restore_brings_back_documents_folders_and_answers(full: Home, notes: Path, tmp_path: Path) -> None:
    async with full.open() as rag:
        await rag.watch_folder(notes, ["*.md"])
        await copied(rag.back_up_index(tmp_path / "set"))
    before = await answers(full)
    async with full.open() as rag:
        async for _ in rag.remove([str(notes)]):
            pass
        await rag.unwatch(notes)
        assert len(await rag.documents()) == 1
    async with full.open() as rag:
        with pytest.raises(ConfigError, match="already"):
            await copied(rag.restore_index(tmp_path / "set"))
        await copied(rag.restore_index(tmp_path / "set", replace=True))
        assert [each.include for each in await rag.watched()] == [("*.md",)]
    assert await answers(full) == before


async def test_a_restore_cut_short_is_no_library_and_can_be_done_again(full: Home, tmp_path: Path) -> None:
    before = await answers(full)
    async with full.open() as rag:
        await copied(rag.back_up_index(tmp_path / "set"))
    async with full.open() as rag, aclosing(rag.restore_index(tmp_path / "set", replace=True)) as events:
        async for event in events:
            if event.stage == "reading chunks":  # type: ignore[union-attr]
                break
    with Ledger(full.paths.library) as ledger:
        assert (ledger.counts().indexed, ledger.counts().pending) == (0, len(before[0]))
    async with full.open() as rag:
        await copied(rag.restore_index(tmp_path / "set"))
    assert await answers(full) == before


async def test_nothing_is_replaced_under_a_process_that_watches(full: Home, tmp_path: Path) -> None:
    async with full.open() as rag:
        await copied(rag.back_up_index(tmp_path / "set"))
        with watch_lock(full.paths.library), pytest.raises(LibraryBusy) as refused:
            await copied(rag.restore_index(tmp_path / "set", replace=True))
    assert refused.value.hint == "termrag watch stop"


async def test_an_export_that_is_left_early_leaves_nothing(full: Home, tmp_path: Path) -> None:
    async with full.open() as rag, aclosing(rag.export_index(tmp_path / "set")) as events:
        async for _ in events:
            break
    assert not (tmp_path / "set").exists()


async def test_the_manifest_tells_what_the_files_hold(full: Home, tmp_path: Path) -> None:
    async with full.open() as rag:
        done, _ = await copied(rag.export_index(tmp_path / "set"))
    data = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert data["format"] == 1 and data["kind"] == "export" and data["identity"]["dimension"] == 32
    assert (data["documents"], data["chunks"]) == (done.documents, done.chunks)
    assert sum(each["rows"] for each in data["files"] if each["name"].startswith("chunks-")) == done.chunks
    assert {each["name"] for each in data["files"]} | {"manifest.json"} == {
        each.name for each in (tmp_path / "set").iterdir()
    }
