"""What adding, changing, moving and removing files does to a library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from index.index_library import DIMENSION, Library
from termrag.errors import EngineFailed, NotFound
from termrag.events import Embedded, Failed, Finished, Indexed, IngestEvent, Moved, Planned, Removed, Skipped
from termrag.folders import stat_file
from termrag.ingest import Embedding, follow, ingest
from termrag.ingest.commit import commit_failures
from termrag.ingest.plan import Work
from termrag.ingest.prepare import Bad
from termrag.ledger import Ledger, rebuild
from termrag.records import DocumentState, Filters
from termrag.stores import Identity

_E = TypeVar("_E", bound=IngestEvent)


def only(events: Sequence[IngestEvent], kind: type[_E]) -> list[_E]:
    return [event for event in events if isinstance(event, kind)]


def last(events: Sequence[IngestEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def ids(library: Library) -> dict[str, str]:
    return {Path(document.path).name: document.id for document in library.ledger.documents()}


def test_a_folder_is_indexed_with_what_is_known_of_each_file(library: Library, notes: Path) -> None:
    events = library.add(notes)
    assert events[0] == Planned(4, 0, 0, 0, 0, sum(path.stat().st_size for path in notes.rglob("*.md")))
    assert last(events).indexed == 4
    assert last(events).chunks == last(events).embedded == sum(event.chunks for event in only(events, Indexed))
    document = library.ledger.document(str(notes / "lamp.md"))
    assert (document.state, document.media_type, document.language) == (DocumentState.INDEXED, "text/markdown", "en")
    assert document.title == "The lamp"
    assert document.size_bytes == (notes / "lamp.md").stat().st_size
    assert list(library.contents()) == sorted(str(path) for path in notes.rglob("*.md"))


def test_indexed_chunks_are_found_by_word_and_know_their_lines(library: Library, notes: Path) -> None:
    from termrag import analysis

    library.add(notes)
    found = library.store().search_terms(analysis.query_terms("harbour"), 5, Filters())
    assert found[0].chunk.path == str(notes / "harbour.md")
    assert found[0].chunk.lines_match
    assert found[0].chunk.start_line == 1


def test_unchanged_files_are_neither_read_nor_embedded(library: Library, notes: Path) -> None:
    library.add(notes)
    embedded = len(library.embedded)
    events = library.add(notes)
    assert last(events).unchanged == 4
    assert only(events, Indexed) == []
    assert len(library.embedded) == embedded


def test_a_changed_file_replaces_its_chunks_and_keeps_its_id(library: Library, notes: Path) -> None:
    library.add(notes)
    before = ids(library)
    (notes / "lamp.md").write_text("# The lamp\n\nIt was taken down.\n")
    events = library.add(notes)
    assert [event.path for event in only(events, Indexed)] == [str(notes / "lamp.md")]
    assert ids(library) == before
    assert library.contents()[str(notes / "lamp.md")] == ["# The lamp\n\nIt was taken down."]


def test_only_new_chunks_of_a_changed_file_are_embedded(library: Library, notes: Path) -> None:
    paragraphs = [f"# Part {number}\n\n" + f"Sentence of part {number}. " * 12 for number in range(8)]
    (notes / "long.md").write_text("\n\n".join(paragraphs))
    library.add(notes)
    paragraphs[3] = "# Part 3\n\nNow quite another text."
    (notes / "long.md").write_text("\n\n".join(paragraphs))
    (event,) = only(library.add(notes), Indexed)
    assert 0 < event.embedded < event.chunks


def test_a_touched_file_is_not_embedded_again_but_gets_its_new_time(library: Library, notes: Path) -> None:
    library.add(notes)
    embedded = len(library.embedded)
    os.utime(notes / "lamp.md", ns=(1, 5_000_000_000))
    events = library.add(notes)
    assert last(events).unchanged == 4
    assert len(library.embedded) == embedded
    assert library.ledger.document(str(notes / "lamp.md")).modified_ns == 5_000_000_000
    assert library.store().chunks(ids(library)["lamp.md"])[0].modified_ns == 5_000_000_000


def test_a_file_written_twice_within_one_tick_of_the_clock_is_compared_again(library: Library, notes: Path) -> None:
    tick = time.time_ns() + 60_000_000_000
    for text in ("First.", "Again."):
        (notes / "lamp.md").write_text(text)
        os.utime(notes / "lamp.md", ns=(tick, tick))
        library.add(notes)
        assert library.contents()[str(notes / "lamp.md")] == [text]


def test_a_renamed_file_is_moved_not_reindexed(library: Library, notes: Path) -> None:
    library.add(notes)
    before, embedded = ids(library), len(library.embedded)
    (notes / "lamp.md").rename(notes / "sub" / "light.md")
    events = library.add(notes)
    assert only(events, Moved) == [Moved(str(notes / "lamp.md"), str(notes / "sub" / "light.md"))]
    assert last(events).moved == 1
    assert ids(library)["light.md"] == before["lamp.md"]
    assert library.store().chunks(before["lamp.md"])[0].path == str(notes / "sub" / "light.md")
    assert len(library.embedded) == embedded


def test_a_renamed_folder_moves_all_that_is_in_it(library: Library, notes: Path) -> None:
    library.add(notes)
    before, embedded = ids(library), len(library.embedded)
    notes.rename(notes.with_name("elsewhere"))
    events = library.add(notes.with_name("elsewhere"))
    assert last(events).moved == 4
    assert ids(library) == before
    assert len(library.embedded) == embedded


def test_a_file_copied_to_another_disk_and_deleted_here_is_moved(library: Library, notes: Path) -> None:
    library.add(notes)
    before, embedded = ids(library), len(library.embedded)
    (notes / "light.md").write_bytes((notes / "lamp.md").read_bytes())  # another inode, another time
    (notes / "lamp.md").unlink()
    events = library.add(notes)
    assert (last(events).moved, last(events).removed) == (1, 0)
    assert ids(library)["light.md"] == before["lamp.md"]
    assert len(library.embedded) == embedded


def test_what_is_written_through_a_hard_link_whose_folder_then_moves_is_read_under_every_name(
    library: Library, notes: Path
) -> None:
    lamp, twin, moved = notes / "lamp.md", notes / "sub" / "twin.md", notes / "moved"
    os.link(lamp, twin)
    library.add(notes)
    with twin.open("a") as file:
        file.write("\nThe wick is trimmed at dusk.\n")
    (notes / "sub").rename(moved)

    touched = {str(twin), str(notes / "sub"), str(moved)}
    list(ingest([notes], ledger=library.ledger, tools=library.tools(), touched=touched))

    assert "at dusk" in str(library.contents()[str(lamp)])
    assert "at dusk" in str(library.contents()[str(moved / "twin.md")])


def test_of_several_copies_of_what_is_gone_one_is_the_old_document_and_none_is_lost(
    library: Library, notes: Path
) -> None:
    tide = notes / "sub" / "tide.md"
    library.add(notes)
    before, text = ids(library)["tide.md"], tide.read_text()
    tide.unlink()
    copies = [notes / f"copy{number}.md" for number in range(3)]
    for copy in copies:
        copy.write_text(text)

    events = library.add(notes)

    assert {str(copy) for copy in copies} <= library.contents().keys()
    assert str(tide) not in library.contents()
    assert sum(ids(library)[copy.name] == before for copy in copies) == 1
    assert (last(events).moved, last(events).indexed, last(events).embedded) == (1, 2, 0)


@pytest.mark.parametrize("is_same_run", [True, False])
def test_a_copy_becomes_a_second_document_and_costs_no_embedding(
    library: Library, notes: Path, is_same_run: bool
) -> None:
    if not is_same_run:
        library.add(notes)
    shutil.copy(notes / "sub" / "tide.md", notes / "copy.md")
    os.link(notes / "lamp.md", notes / "hard link.md")
    library.add(notes)
    assert len(library.embedded) == len(set(library.embedded))
    assert library.contents()[str(notes / "copy.md")] == library.contents()[str(notes / "sub" / "tide.md")]
    assert library.ledger.counts().indexed == 6
    assert ids(library)["copy.md"] != ids(library)["tide.md"]


def test_a_file_that_takes_another_suffix_keeps_its_id_and_is_read_again(library: Library, notes: Path) -> None:
    library.add(notes)
    before = ids(library)
    (notes / "lamp.md").rename(notes / "lamp.txt")
    library.add(notes)
    assert ids(library)["lamp.txt"] == before["lamp.md"]
    assert library.ledger.document(before["lamp.md"]).media_type == "text/plain"


def test_two_files_that_change_places_keep_their_contents_apart(library: Library, notes: Path) -> None:
    library.add(notes)
    embedded = len(library.embedded)
    (notes / "lamp.md").rename(notes / "x")
    (notes / "bread.md").rename(notes / "lamp.md")
    (notes / "x").rename(notes / "bread.md")
    library.add(notes)
    assert "bread" in library.contents()[str(notes / "lamp.md")][0]
    assert "lamp" in library.contents()[str(notes / "bread.md")][0]
    assert len(library.embedded) == embedded


def test_files_that_vanished_below_the_folder_are_removed(library: Library, notes: Path) -> None:
    library.add(notes)
    shutil.rmtree(notes / "sub")
    events = library.add(notes)
    assert only(events, Removed) == [Removed(str(notes / "sub" / "tide.md"))]
    assert str(notes / "sub" / "tide.md") not in library.contents()
    assert library.ledger.counts().indexed == 3


def test_adding_one_folder_removes_nothing_of_another(library: Library, notes: Path, tmp_path: Path) -> None:
    library.add(notes)
    (notes / "lamp.md").unlink()
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("Something else.")
    assert last(library.add(other)).removed == 0


def test_a_folder_that_is_gone_is_a_failure_and_nothing_is_removed(library: Library, notes: Path) -> None:
    library.add(notes)
    shutil.move(notes, notes.with_name("away"))
    events = library.add(notes)
    assert [event.path for event in only(events, Failed)] == [str(notes)]
    assert last(events).removed == 0
    assert library.ledger.counts().indexed == 4


def test_a_single_file_that_is_gone_is_removed_when_it_is_named(library: Library, notes: Path) -> None:
    library.add(notes / "lamp.md")
    (notes / "lamp.md").unlink()
    events = library.add(notes / "lamp.md")
    assert only(events, Removed) == [Removed(str(notes / "lamp.md"))]


def test_an_empty_folder_on_another_device_is_taken_for_an_unmounted_disk(library: Library, notes: Path) -> None:
    library.add(notes)
    entries = library.ledger.entries(below=str(notes))
    library.ledger.touch([replace(entry, device=entry.device + 1) for entry in entries.values()])
    shutil.rmtree(notes)
    notes.mkdir()
    assert last(library.add(notes)).removed == 0
    assert library.ledger.counts().indexed == 4


def test_a_file_ignored_from_now_on_is_removed(library: Library, notes: Path) -> None:
    library.add(notes)
    (notes / ".termragignore").write_text("lamp.md\n")
    assert only(library.add(notes), Removed) == [Removed(str(notes / "lamp.md"))]


def test_a_file_named_explicitly_stays_though_it_is_ignored(library: Library, notes: Path) -> None:
    (notes / ".gitignore").write_text("lamp.md\n")
    library.add(notes / "lamp.md")
    events = library.add(notes)
    assert last(events).removed == 0
    assert library.ledger.counts().indexed == 4


def test_a_bad_file_is_one_failed_event_and_the_run_goes_on(library: Library, notes: Path) -> None:
    (notes / "empty.md").write_text("")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    events = library.add(notes)
    assert {Path(event.path).name for event in only(events, Failed)} == {"empty.md", "broken.pdf"}
    assert all(event.message for event in only(events, Failed))
    assert (last(events).failed, last(events).indexed) == (2, 4)
    assert {Path(document.path).name for document in library.ledger.failures()} == {"empty.md", "broken.pdf"}


def test_a_failed_file_is_tried_again_only_when_it_changes_or_is_forced(library: Library, notes: Path) -> None:
    bad = notes / "empty.md"
    bad.write_text("")
    os.utime(bad, ns=(1, 1))
    library.add(notes)
    assert only(library.add(notes), Failed) == []
    assert len(only(library.add(notes, force=True), Failed)) == 1
    bad.write_text("No longer empty.")
    assert [event.path for event in only(library.add(notes), Indexed)] == [str(bad)]
    assert library.ledger.failures() == []


def test_a_file_that_became_unreadable_is_no_longer_found(library: Library, notes: Path) -> None:
    library.add(notes)
    (notes / "lamp.md").write_text("")
    library.add(notes)
    assert str(notes / "lamp.md") not in library.contents()
    assert [Path(document.path).name for document in library.ledger.failures()] == ["lamp.md"]


def test_unknown_types_are_skipped_on_a_walk_and_tried_when_named(library: Library, notes: Path) -> None:
    (notes / "photo.xyz").write_bytes(bytes(range(256)))
    events = library.add(notes)
    assert only(events, Skipped) == [Skipped(str(notes / "photo.xyz"), "not a readable type")]
    assert len(only(library.add(notes / "photo.xyz"), Failed)) == 1


def test_odd_names_are_indexed_and_found_again(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [b"\xff\xfe.txt", b"new\nline.md", "e\u0301.md".encode(), "é.md".encode(), b"it's 100%_.md"]
    for name in names:
        (folder / os.fsdecode(name)).write_text(f"The text of {name!r}.")
    assert last(library.add(folder)).indexed == 5
    assert {os.fsencode(path).rsplit(b"/", 1)[1] for path in library.contents()} == set(names)
    assert last(library.add(folder)).unchanged == 5


def test_force_reads_again_and_embeds_nothing_that_is_known(library: Library, notes: Path) -> None:
    library.add(notes)
    embedded = len(library.embedded)
    events = library.add(notes, force=True)
    assert last(events).indexed == 4
    assert len(library.embedded) == embedded


def test_a_rebuild_reads_and_embeds_everything_under_the_old_ids(library: Library, notes: Path) -> None:
    library.add(notes)
    library.add_text("log.txt", "A line of the log.")
    before, contents, embedded = ids(library), library.contents(), len(library.embedded)
    library.identity = Identity("another", DIMENSION, "1/64", "1")
    events = library.add(rebuild=True)
    assert last(events).indexed == 5
    assert len(library.embedded) == 2 * embedded
    assert ids(library) == before
    assert library.contents() == contents
    assert library.store().identity() == library.identity


# --- texts -----------------------------------------------------------------------------------------------------------


def test_a_text_is_indexed_under_its_name_and_replaced_by_the_next(library: Library, notes: Path) -> None:
    library.add_text("log.txt", "The first text.")
    first = library.ledger.document("stdin:log.txt")
    library.add_text("log.txt", "The second text.")
    library.add(notes)
    assert library.ledger.document("stdin:log.txt").id == first.id
    assert library.contents()["stdin:log.txt"] == ["The second text."]
    assert last(library.add_text("log.txt", "The second text.")).unchanged == 1
    assert "stdin:log.txt" in [document.path for document in library.ledger.documents()]


def test_a_text_without_words_is_a_failure(library: Library) -> None:
    assert len(only(library.add_text("log.txt", "  \n"), Failed)) == 1


# --- removal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["path", "id", "prefix", "folder", "glob", "name glob"])
def test_documents_are_removed_by_any_reference(library: Library, notes: Path, reference: str) -> None:
    library.add(notes)
    tide = library.ledger.document(str(notes / "sub" / "tide.md"))
    text = {
        "path": tide.path,
        "id": tide.id,
        "prefix": tide.id[:8],
        "folder": str(notes / "sub"),
        "glob": str(notes / "s*" / "*.md"),
        "name glob": "t*.md",
    }[reference]
    events = library.remove(text)
    assert only(events, Removed) == [Removed(tide.path)]
    assert last(events).removed == 1
    assert Path(tide.path).exists()
    assert tide.path not in library.contents()
    assert library.ledger.counts().indexed == 3


def test_a_reference_to_nothing_removes_nothing(library: Library, notes: Path) -> None:
    library.add(notes)
    with pytest.raises(NotFound):
        library.remove(str(notes / "lamp.md"), str(notes / "nobody.md"))
    assert library.ledger.counts().indexed == 4


# --- ends before the end ---------------------------------------------------------------------------------------------


def make_many(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"n{number:03d}.md").write_text(f"# Note {number}\n\nWords of note {number}.\n")


def assert_the_rest_follows(library: Library, folder: Path, count: int) -> None:
    assert 0 < library.ledger.counts().indexed <= count
    assert library.ledger.counts().indexed < count or library.ledger.counts().unembedded
    assert library.ledger.counts().pending == 0
    stored = {chunk.document_id for chunk in library.store().scan()}
    assert stored == {document.id for document in library.ledger.documents()}
    embedded = len(library.embedded)
    library.add(folder)
    assert library.ledger.counts().indexed == count
    assert library.ledger.counts().unembedded == 0
    assert len(library.embedded) <= count + 64 or len(library.embedded) - embedded < count


def test_leaving_the_stream_keeps_what_is_finished(library: Library, tmp_path: Path) -> None:
    make_many(tmp_path / "many", 300)
    stream = library.stream(tmp_path / "many")
    for event in stream:
        if isinstance(event, Indexed):
            break
    stream.close()  # type: ignore[attr-defined]
    assert 0 < library.ledger.counts().indexed < 300
    assert_the_rest_follows(library, tmp_path / "many", 300)


def test_ctrl_c_ends_in_a_finished_that_says_so(library: Library, tmp_path: Path) -> None:
    make_many(tmp_path / "many", 300)
    embed = library.embed

    def interrupted(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(library.embedded) >= 192:
            raise KeyboardInterrupt
        return embed(texts)

    library.embed = interrupted  # type: ignore[method-assign]
    events = library.add(tmp_path / "many")
    assert last(events).interrupted
    assert last(events).indexed == len(only(events, Indexed)) > 0
    library.embed = embed  # type: ignore[method-assign]
    assert_the_rest_follows(library, tmp_path / "many", 300)


def test_a_model_that_breaks_is_raised_and_keeps_what_is_finished(library: Library, tmp_path: Path) -> None:
    make_many(tmp_path / "many", 300)
    embed = library.embed

    def broken(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(library.embedded) >= 192:
            return np.full((len(texts), DIMENSION), np.nan, dtype=np.float32)
        return embed(texts)

    library.embed = broken  # type: ignore[method-assign]
    with pytest.raises(EngineFailed):
        library.add(tmp_path / "many")
    library.embed = embed  # type: ignore[method-assign]
    assert_the_rest_follows(library, tmp_path / "many", 300)


# --- ledger and store ------------------------------------------------------------------------------------------------


def test_a_ledger_rebuilt_from_the_store_costs_no_embedding(library: Library, notes: Path) -> None:
    library.add(notes)
    before, embedded = ids(library), len(library.embedded)
    library.ledger.close()
    for file in library.folder.glob("ledger.sqlite*"):
        file.unlink()
    library.ledger = Ledger(library.folder)
    assert rebuild(library.ledger, library.store()) == 4
    assert ids(library) == before
    assert last(library.add(notes)).unchanged == 4
    assert last(library.add(notes)).unchanged == 4
    assert len(library.embedded) == embedded


def test_two_runs_at_once_make_each_file_one_document(library: Library, notes: Path) -> None:
    other = Library(library.folder)
    one, two = library.stream(notes), other.stream(notes)
    assert isinstance(next(one), Planned)
    assert isinstance(next(two), Planned)
    list(one)
    list(two)
    other.close()
    assert library.ledger.counts().indexed == 4
    assert len({chunk.chunk_id for chunk in library.store().scan()}) == sum(1 for _ in library.store().scan())
    assert {chunk.document_id for chunk in library.store().scan()} == set(ids(library).values())


def test_a_run_with_nothing_to_do_loads_nothing_heavy(library: Library, notes: Path) -> None:
    library.add(notes)
    code = (
        "import sys; from pathlib import Path; from index.index_library import Library\n"
        "heavy = {'lancedb', 'pyarrow', 'onnxruntime'}\n"
        "library = Library(Path(sys.argv[1])); events = library.add(Path(sys.argv[2]))\n"
        "assert events[-1].unchanged == 4, events[-1]\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, library.folder, notes],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# --- words first -----------------------------------------------------------------------------------------------------


def test_many_documents_are_found_by_their_words_before_their_vectors_come(library: Library, tmp_path: Path) -> None:
    make_many(tmp_path / "many", 300)
    seen: list[tuple[int, int]] = []
    for event in library.stream(tmp_path / "many"):
        if isinstance(event, Indexed | Embedded):
            counts = library.ledger.counts()
            seen.append((counts.indexed, counts.unembedded))

    assert seen[0] == (256, 256), "the first commit waits for no vector"
    assert library.store().search_terms("note7", 5, Filters()) or library.store().search_terms("7", 5, Filters())
    assert seen[-1] == (300, 0)


def test_vectors_left_for_later_are_computed_newest_first(library: Library, tmp_path: Path) -> None:
    make_many(tmp_path / "many", 100)
    run = ingest([tmp_path / "many"], ledger=library.ledger, tools=library.tools(), follow=False)
    assert last(list(run)).embedded == 0
    assert library.ledger.counts().unembedded == 100
    (tmp_path / "many" / "new.md").write_text("# Newest\n\nWords of the newest note.\n" * 3)
    list(ingest([tmp_path / "many"], ledger=library.ledger, tools=library.tools(), follow=False))

    list(follow(library.ledger, library.tools(), Embedding(library.tools()), once=True))

    waiting = {entry.path for entry in library.ledger.waiting(1000)}
    assert library.ledger.counts().unembedded == len(waiting) == 100 - 64
    assert library.ledger.entry(str(tmp_path / "many" / "new.md")) is not None
    assert str(tmp_path / "many" / "new.md") not in waiting


def test_of_a_changed_document_only_the_changed_chunks_are_embedded(library: Library, notes: Path) -> None:
    library.add(notes)
    before = len(library.embedded)
    tide = notes / "sub" / "tide.md"
    tide.write_text(tide.read_text() + "\n\n# The end\n\nA new ending.\n")

    library.add(notes)

    assert 1 <= len(library.embedded) - before <= 2
    assert len(library.contents()[str(tide)]) > 3


@pytest.mark.parametrize("state", [DocumentState.INDEXED, DocumentState.FAILED])
def test_what_was_planned_before_a_rename_takes_nothing_from_the_renamed(
    library: Library, notes: Path, state: DocumentState
) -> None:
    """Two processes: one plans with a file that it finds bad then, the other has followed its rename meanwhile."""
    library.add(notes)
    old, new = notes / "lamp.md", notes / "light.md"
    planned = library.ledger.entry(str(old))
    file = stat_file(str(old))
    assert planned is not None and file is not None
    old.rename(new)
    library.add(notes)

    bad = Bad(Work(file, replace(planned, state=state)), "lamp.md is empty", "")
    commit_failures([bad], library.ledger, library.tools())
    library.add(notes)

    moved = library.ledger.entry(str(new))
    assert moved is not None and (moved.id, moved.state) == (planned.id, DocumentState.INDEXED)
    assert library.store().chunks(planned.id)
    assert library.store().stats().rows == sum(map(len, library.contents().values()))
