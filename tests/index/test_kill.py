"""What `kill -9` at any moment leaves behind, and that one clean run makes it good."""

from __future__ import annotations

import multiprocessing
import random
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from index.index_library import Library

KILLS = 30


def make_corpus(folder: Path, generation: int) -> None:
    """60 notes of one to nine chunks. Each generation changes a third, renames some, removes some, adds some."""
    chance = random.Random(generation)
    folder.mkdir(exist_ok=True)
    if generation == 0:
        for number in range(60):
            write_note(folder / f"note{number}.md", chance)
        return
    present = sorted(folder.glob("*.md"))
    for path in chance.sample(present, 20):
        write_note(path, chance)
    for number, path in enumerate(chance.sample(present, 6)):
        path.rename(folder / f"renamed{generation}-{number}.md")
    for path in chance.sample(sorted(folder.glob("*.md")), 4):
        path.unlink()
    for number in range(4):
        write_note(folder / f"new{generation}-{number}.md", chance)


def write_note(path: Path, chance: random.Random) -> None:
    words = ["harbour", "lamp", "tide", "bread", "keeper", "rope", "north", "salt", "ferry", "oil"]
    paragraphs = [" ".join(chance.choices(words, k=50)) + "." for _ in range(chance.randint(1, 9))]
    path.write_text(f"# {chance.choice(words)} {chance.random()}\n\n" + "\n\n".join(paragraphs) + "\n")


def add(library: Path, folder: Path, is_ready: Event) -> None:
    """What `termrag add` does, in a process of its own."""
    opened = Library(library)
    opened.store()
    is_ready.set()
    opened.add(folder)
    opened.close()


class Adds:
    """Starts processes from one that has everything imported already."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["lancedb.index", "index.index_library"])

    def start(self, library: Path, folder: Path) -> BaseProcess:
        is_ready = self._context.Event()
        process = self._context.Process(target=add, args=(library, folder, is_ready))
        process.start()
        assert is_ready.wait(timeout=120)
        return process


def assert_equals_clean_rebuild(library: Library, folder: Path, clean: Library) -> None:
    clean.add(folder)
    assert library.contents() == clean.contents()
    stored = {chunk.document_id for chunk in library.store().scan()}
    documents = library.ledger.documents()
    assert stored == {document.id for document in documents}, "the store holds ids that the ledger does not know"
    expected = {document.path: (document.chunks, document.content_hash) for document in clean.ledger.documents()}
    assert {document.path: (document.chunks, document.content_hash) for document in documents} == expected
    assert library.ledger.counts().pending == 0
    chunk_ids = [chunk.chunk_id for chunk in library.store().scan()]
    assert len(chunk_ids) == len(set(chunk_ids))
    for document in documents:
        texts = {chunk.text_hash for chunk in library.store().chunks(document.id)}
        assert texts == set(library.store().vectors(document.id))


def test_killed_at_any_moment_one_clean_run_equals_a_clean_rebuild(tmp_path: Path) -> None:
    chance = random.Random(7)
    folder, home = tmp_path / "notes", tmp_path / "library"
    make_corpus(folder, 0)
    adds = Adds()
    timed = adds.start(tmp_path / "timing", folder)
    begun = time.monotonic()
    timed.join()
    whole_s = time.monotonic() - begun
    killed = 0
    for generation in range(1, KILLS + 1):
        process = adds.start(home, folder)
        process.join(timeout=chance.uniform(0, whole_s if generation == 1 else whole_s / 2))
        killed += process.is_alive()
        process.kill()
        process.join()
        make_corpus(folder, generation)
    library, clean = Library(home), Library(tmp_path / "clean")
    try:
        library.add(folder)
        assert killed >= KILLS // 3
        assert_equals_clean_rebuild(library, folder, clean)
    finally:
        library.close()
        clean.close()


@pytest.mark.parametrize("stage", ["after the intent", "after the store"])
def test_a_commit_cut_short_is_repeated_under_the_same_id(tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "notes"
    make_corpus(folder, 0)
    library = Library(tmp_path / "library")
    library.add(folder)
    before = {document.path: document.id for document in library.ledger.documents()}
    changed = folder / "note3.md"
    changed.write_text("# Another\n\nEverything is different now.\n")
    library.ledger.begin([(before[str(changed)], str(changed))])
    if stage == "after the store":
        library.store().replace({before[str(changed)]: []})
    library.add(folder)
    clean = Library(tmp_path / "clean")
    assert_equals_clean_rebuild(library, folder, clean)
    assert {document.path: document.id for document in library.ledger.documents()} == before
    library.close()
    clean.close()
