"""What adding would do is told before anything is read; what is taken out comes back as it was."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from termrag.candidates import AddPreview, Fate
from termrag.config import Config
from termrag.errors import NotFound
from termrag.events import Finished, Indexed
from termrag.folders import Walk, walking
from termrag.paths import default_paths
from termrag.rag import Rag
from termrag.readers import formats, readable_suffixes
from termrag.records import DocumentState


@pytest.fixture
async def rag(endpoint: Endpoint, home: Path) -> AsyncIterator[Rag]:
    paths = default_paths()
    paths.make()
    config = Config().with_values(
        {
            "models": {"embedding": "openai:words", "engine": "scripted", "script": "x"},
            "openai": {"embedding_url": endpoint.url},
        },
        "test",
    )
    async with Rag(config, paths) as rag:
        yield rag


async def preview(rag: Rag, *paths: Path, subfolders: bool = True) -> AddPreview:
    last = AddPreview()
    async for each in rag.preview_adding(paths, subfolders=subfolders):
        last = each
    assert last.complete
    return last


async def add(rag: Rag, *paths: Path) -> Finished:
    async for event in rag.ingest(paths):
        last = event
    assert isinstance(last, Finished)
    return last


def fates(found: AddPreview) -> dict[str, Fate]:
    return {Path(each.path).name: each.fate for each in found.files}


async def test_nothing_is_read_or_made_for_a_preview(rag: Rag, notes: Path):
    for path in notes.rglob("*.md"):
        path.chmod(0)
    found = await preview(rag, notes)
    assert set(fates(found).values()) == {Fate.NEW}
    assert not rag.paths.library.exists() or not any(rag.paths.library.iterdir())


async def test_every_file_is_told_with_what_would_become_of_it(rag: Rag, notes: Path):
    await add(rag, notes)
    (notes / "lamp.md").write_text("Something else is written here now.")
    (notes / "new.pdf").write_bytes(b"%PDF")
    (notes / "bad.pdf").write_bytes(b"%PDF-1.4 no")
    os.utime(notes / "bad.pdf", ns=(0, 1_700_000_000_000_000_000))
    (notes / "photo.heic").write_bytes(b"x")
    (notes / "empty.md").touch()
    (notes / ".hidden.md").write_text("x")
    await add(rag, notes / "bad.pdf")
    found = await preview(rag, notes)
    assert fates(found) == {
        "harbour.md": Fate.KNOWN,
        "bread.md": Fate.KNOWN,
        "tide.md": Fate.KNOWN,
        "lamp.md": Fate.CHANGED,
        "new.pdf": Fate.NEW,
        "bad.pdf": Fate.FAILED,
        "photo.heic": Fate.UNSUPPORTED,
        "empty.md": Fate.EMPTY,
    }
    assert found.roots == (str(notes),)
    assert {each.format for each in found.files} == {"md", "pdf", "heic"}


async def test_a_file_over_the_limit_is_told(rag: Rag, notes: Path):
    await rag.change("documents", "max_file_mb", 1, save=False)
    with (notes / "huge.txt").open("wb") as file:
        file.truncate(2 << 20)
    assert fates(await preview(rag, notes))["huge.txt"] is Fate.TOO_LARGE


async def test_sub_folders_can_be_left_out_of_a_preview(rag: Rag, notes: Path):
    assert "tide.md" not in fates(await preview(rag, notes, subfolders=False))


async def test_what_is_named_is_tried_unless_it_never_gives_text(rag: Rag, notes: Path):
    (notes / "letter").write_text("x")
    (notes / "photo.heic").write_bytes(b"x")
    assert fates(await preview(rag, notes / "letter", notes / "photo.heic")) == {
        "letter": Fate.NEW,
        "photo.heic": Fate.UNSUPPORTED,
    }
    assert fates(await preview(rag, notes))["letter"] is Fate.UNSUPPORTED


async def test_what_is_not_there_and_what_leads_elsewhere_is_told(rag: Rag, notes: Path, tmp_path: Path):
    (notes / "away").symlink_to(tmp_path)
    found = await preview(rag, notes, tmp_path / "missing")
    assert dict(found.trouble) == {
        str(notes / "away"): "a link out of the folder",
        str(tmp_path / "missing"): "No such file or directory",
    }


def test_a_walk_is_left_folder_by_folder(notes: Path):
    found = Walk()
    steps = walking([notes], found)
    next(steps)
    next(steps)
    assert len(found.files) < 4
    steps.close()


async def test_a_browsed_folder_says_what_would_be_left_out_and_why(rag: Rag, notes: Path, tmp_path: Path):
    (notes / ".gitignore").write_text("build/\nbread.md\n")
    (notes / "build").mkdir()
    (notes / "photo.heic").write_bytes(b"x")
    (notes / "away").symlink_to(tmp_path)
    os.mkfifo(notes / "pipe")
    listed = {entry.name: entry.left_out for entry in await rag.browse(notes)}
    assert listed == {
        "build": "ignored",
        "sub": "",
        "away": "a link",
        "bread.md": "ignored",
        "harbour.md": "",
        "lamp.md": "",
        "photo.heic": "not a readable type",
        "pipe": "a named pipe",
        ".gitignore": "hidden",
    }
    assert list(listed)[:2] == ["build", "sub"]
    with pytest.raises(NotFound):
        await rag.browse(notes / "missing")


def test_every_readable_suffix_is_in_one_group():
    grouped = [suffix for suffixes in formats.GROUPS.values() for suffix in suffixes]
    assert sorted(grouped) == sorted(readable_suffixes())


# --- taking out and bringing back ------------------------------------------------------------------------------------


async def test_what_comes_back_is_what_was_taken_out(rag: Rag, notes: Path):
    await add(rag, notes)
    await add(rag, notes / "lamp.md")
    async for _ in rag.ingest_text("letter", "The letter speaks of a lantern."):
        pass
    before = await rag.documents()
    chunks = {each.id: await rag.chunks(each.id) for each in before}
    vectors = {each.id: await rag.vectors(each.id) for each in before}
    folders = await rag.added_folders()
    taken = await rag.take_out([each.path for each in before] + ["/not/there"])
    assert taken.count == len(before)
    assert not await rag.documents()
    assert not await rag.added_folders()
    back = [event async for event in rag.bring_back(taken)]
    assert sum(isinstance(event, Indexed) for event in back) == len(before)
    assert await rag.documents() == before
    assert {each.id: await rag.chunks(each.id) for each in before} == chunks
    assert {each.id: await rag.vectors(each.id) for each in before} == vectors
    assert await rag.added_folders() == folders
    hits = await rag.search("lantern letter", limit=1, mode="words")
    assert hits[0].chunk.path == "stdin:letter"
    assert (await add(rag, notes)).unchanged == 4


async def test_a_document_that_was_added_again_meanwhile_is_left_as_it_is(rag: Rag, notes: Path):
    await add(rag, notes)
    taken = await rag.take_out([str(notes / "lamp.md")])
    await add(rag, notes)
    again = await rag.document(str(notes / "lamp.md"))
    async for _ in rag.bring_back(taken):
        pass
    assert await rag.document(str(notes / "lamp.md")) == again
    assert len(await rag.documents()) == 4


async def test_what_is_too_much_to_be_kept_comes_back_from_its_files(
    rag: Rag, notes: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("termrag.removing._MOST_CHUNKS", 2)
    await add(rag, notes)
    paths = [each.path for each in await rag.documents()]
    taken = await rag.take_out(paths)
    assert taken.others
    assert not await rag.documents()
    async for _ in rag.bring_back(taken):
        pass
    assert [each.path for each in await rag.documents()] == paths


async def test_a_failed_document_comes_back_as_failed(rag: Rag, notes: Path):
    (notes / "bad.pdf").write_bytes(b"%PDF-1.4 no")
    await add(rag, notes / "bad.pdf")
    before = await rag.documents()
    taken = await rag.take_out([before[0].path])
    assert not await rag.documents()
    async for _ in rag.bring_back(taken):
        pass
    assert await rag.documents() == before
    assert before[0].state is DocumentState.FAILED


# --- reading again ---------------------------------------------------------------------------------------------------


async def test_reading_again_names_nothing_new_and_leaves_the_rest(rag: Rag, notes: Path):
    await add(rag, notes)
    folders = await rag.added_folders()
    before = {each.path: each for each in await rag.documents()}
    events = [event async for event in rag.reindex([str(notes / "lamp.md")])]
    assert [event.path for event in events if isinstance(event, Indexed)] == [str(notes / "lamp.md")]
    after = {each.path: each for each in await rag.documents()}
    assert after[str(notes / "lamp.md")].indexed_at > before[str(notes / "lamp.md")].indexed_at
    assert {path: each for path, each in after.items() if "lamp" not in path} == {
        path: each for path, each in before.items() if "lamp" not in path
    }
    assert await rag.added_folders() == folders
    taken = await rag.take_out([str(notes / "lamp.md")])
    assert taken.roots == []


async def test_reading_again_takes_out_what_is_gone(rag: Rag, notes: Path):
    await add(rag, notes)
    (notes / "lamp.md").unlink()
    async for _ in rag.reindex([str(notes / "lamp.md")]):
        pass
    assert str(notes / "lamp.md") not in [each.path for each in await rag.documents()]


async def test_reading_one_again_keeps_what_a_watched_folder_leaves_out(rag: Rag, notes: Path):
    await rag.watch_folder(notes, (), ("bread.md",))
    async for _ in rag.sync():
        pass
    async for _ in rag.reindex([str(notes / "lamp.md")]):
        pass
    assert {Path(each.path).name for each in await rag.documents()} == {"harbour.md", "lamp.md", "tide.md"}
