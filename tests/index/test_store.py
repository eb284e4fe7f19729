"""What every store has to do, through the protocol alone."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index.qdrant_server import QdrantServer
from index.store_kinds import NAMES, REAL_URL, Kind, at
from termrag.errors import ConfigError, LibraryMismatch, StoreUnavailable
from termrag.ledger import Ledger
from termrag.records import Filters, IndexedChunk, Row
from termrag.stores import Identity, Store, discard_store, open_store
from termrag.stores.recall import recall

IDENTITY = Identity("embedder-a", 4, "1/256", "1")
Open = Callable[[], Store]


def vector(*values: float) -> NDArray[np.float32]:
    padded = np.array([*values, *[0.0] * (4 - len(values))], dtype=np.float32)
    return padded / np.linalg.norm(padded)


def row(
    document: str,
    position: int,
    words: str,
    *,
    path: str = "/docs/a.md",
    direction: Sequence[float] = (1.0,),
    modified_ns: int = 1_000,
) -> Row:
    chunk = IndexedChunk(
        document_id=document,
        position=position,
        path=path,
        title="A title",
        heading="One › Two",
        page=position + 1,
        page_label="iv",
        start_line=3,
        end_line=9,
        lines_match=True,
        text=f"text of {words}",
        text_hash=f"hash of {words}",
        content_hash="0123",
        media_type="text/markdown",
        language="en",
        modified_ns=modified_ns,
    )
    return Row(chunk, words, vector(*direction))


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantServer]:
    server = QdrantServer()
    yield server
    server.close()


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    match request.param:
        case "qdrant-http":
            kind = Kind(request.param, at(request.getfixturevalue("server").url))
        case "qdrant-real":
            kind = Kind(request.param, at(REAL_URL))
        case _:
            kind = Kind(request.param)
    yield kind
    discard_store(kind.store, tmp_path / "store", config=kind.config)


@pytest.fixture
def open_again(kind: Kind, tmp_path: Path) -> Open:
    return lambda: kind.open(tmp_path / "store", IDENTITY)


@pytest.fixture
def store(open_again: Open) -> Iterator[Store]:
    store = open_again()
    yield store
    store.close()


def found_by(store: Store, words: str, filters: Filters | None = None) -> list[str]:
    return [found.chunk.chunk_id for found in store.search_terms(words, 50, filters or Filters())]


def test_a_chunk_comes_back_as_it_was_written(store: Store) -> None:
    written = row("d1", 0, "lamp")
    store.replace({"d1": [written]})
    assert store.chunks("d1") == [written.chunk]
    assert store.search_terms("lamp", 5, Filters())[0].chunk == written.chunk
    assert store.search_vector(vector(1), 5, Filters())[0].chunk == written.chunk
    assert list(store.scan()) == [written.chunk]


def test_vector_search_gives_cosines_best_first(store: Store) -> None:
    store.replace({"d1": [row("d1", i, f"w{i}", direction=d) for i, d in enumerate([(0, 1), (1, 0), (1, 1), (-1, 0)])]})
    found = store.search_vector(vector(1), 10, Filters())
    assert [each.chunk.position for each in found] == [1, 2, 0, 3]
    assert [each.score for each in found] == pytest.approx([1, 2**-0.5, 0, -1], abs=1e-5)


def test_word_search_ranks_rare_words_higher_and_any_word_suffices(store: Store) -> None:
    store.replace({"d1": [row("d1", i, "common" if i else "common rare") for i in range(5)]})
    assert found_by(store, "common rare")[0] == "d1#000000"
    assert len(found_by(store, "common rare")) == 5


def test_no_words_find_nothing(store: Store) -> None:
    store.replace({"d1": [row("d1", 0, "lamp")]})
    assert found_by(store, "") == []
    assert found_by(store, "  ") == []


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize(
    "word",
    ['"quoted"', '"', "日本", "本", "c++", ".net", "a-b_c", "(", "[", "~1", "*", "AND", "o'brien", "%", "\\", "İ", "é",
     "e\u0301", "straße", "the", "running", "X" * 40, "+x", "-x", "a:b", "{}", "$", "ﬁ"],
)  # fmt: skip
def test_any_word_is_matched_literally(store: Store, kind: Kind, word: str, is_compacted: bool) -> None:
    if is_compacted and kind.store != "lancedb":
        pytest.skip("words are numbers there, before and after")
    store.replace(
        {"d1": [row("d1", 0, f"before {word} after")], "d2": [row("d2", 0, "run quoted net brien x strasse")]}
    )
    if is_compacted:
        store.maintain(force=True)
    assert found_by(store, word) == ["d1#000000"]


def test_replacing_leaves_nothing_of_the_old_chunks(store: Store) -> None:
    store.replace({"d1": [row("d1", i, f"old{i}") for i in range(5)]})
    store.replace({"d1": [row("d1", 0, "new0"), row("d1", 1, "new1")]})
    assert [chunk.text for chunk in store.chunks("d1")] == ["text of new0", "text of new1"]
    assert found_by(store, "old0 old3 old4") == []
    assert len(store.search_vector(vector(1), 50, Filters())) == 2
    assert store.stats().rows == 2
    assert set(store.vectors("d1")) == {"hash of new0", "hash of new1"}


def test_surplus_rows_stay_invisible_after_compaction_and_may_be_filled_again(store: Store) -> None:
    store.replace({"d1": [row("d1", i, f"old{i}") for i in range(5)]})
    store.replace({"d1": [row("d1", 0, "short")]})
    store.maintain(force=True)
    store.replace({"d1": [row("d1", i, f"long{i}") for i in range(7)]})
    assert [chunk.position for chunk in store.chunks("d1")] == list(range(7))
    assert store.stats().rows == 7


def test_replacing_twice_changes_nothing(store: Store) -> None:
    for _ in range(2):
        store.replace({"d1": [row("d1", 0, "lamp")], "d2": [row("d2", 0, "tide")]})
    assert store.stats().rows == 2
    assert found_by(store, "lamp") == ["d1#000000"]


def test_replacing_with_nothing_removes_the_document(store: Store) -> None:
    store.replace({"d1": [row("d1", 0, "lamp")], "d2": [row("d2", 0, "tide")]})
    store.replace({"d1": [], "d3": [row("d3", 0, "bread")]})
    assert {chunk.document_id for chunk in store.scan()} == {"d2", "d3"}
    store.replace({"d2": []})
    assert {chunk.document_id for chunk in store.scan()} == {"d3"}


def test_deleting_ignores_unknown_ids(store: Store) -> None:
    store.replace({"d'1": [row("d'1", 0, "lamp")], "d2": [row("d2", 0, "tide")]})
    store.delete(["d'1", "nobody"])
    assert {chunk.document_id for chunk in store.scan()} == {"d2"}
    assert found_by(store, "lamp") == []


def test_relocating_keeps_chunks_and_vectors(store: Store) -> None:
    store.replace({"d1": [row("d1", 0, "lamp"), row("d1", 1, "oil")], "d2": [row("d2", 0, "tide")]})
    before = store.vectors("d1")
    store.relocate({"d1": ("/new/place's.md", 77)})
    assert {(chunk.path, chunk.modified_ns) for chunk in store.chunks("d1")} == {("/new/place's.md", 77)}
    assert found_by(store, "oil") == ["d1#000001"]
    after = store.vectors("d1")
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert store.chunks("d2")[0].path == "/docs/a.md"


def test_a_row_without_a_vector_is_found_by_its_words_until_it_is_filled(store: Store) -> None:
    rows = [row("a", 0, "harbour"), row("a", 1, "lamp"), row("b", 0, "tide")]
    store.replace({"a": [replace(each, vector=None) for each in rows[:2]], "b": rows[2:]})

    assert [found.chunk.chunk_id for found in store.search_terms("lamp", 5, Filters())] == ["a#000001"]
    assert [found.chunk.document_id for found in store.search_vector(vector(1), 5, Filters())] == ["b"]
    assert store.vectors("a") == {}

    store.fill(["a", "b", "unknown"], {"hash of lamp": vector(0, 1), "hash of tide": vector(0, 0, 1)})

    assert set(store.vectors("a")) == {"hash of lamp"}
    assert np.allclose(store.vectors("b")["hash of tide"], vector(1)), "what is there already stays"
    assert len(store.chunks("a")) == 2
    assert store.search_vector(vector(0, 1), 1, Filters())[0].chunk.text == "text of lamp"


def test_chosen_positions_of_documents_come_together(store: Store) -> None:
    store.replace({"d1": [row("d1", i, f"w{i}") for i in range(12)]})
    store.replace({"d2": [row("d2", i, f"w{i}") for i in range(3)]})
    found = store.chunks_at({"d1": {11, 2, 40}, "d2": {1}, "nobody": {0}, "d3": set()})
    assert sorted((chunk.document_id, chunk.position) for chunk in found) == [("d1", 2), ("d1", 11), ("d2", 1)]
    assert store.chunks_at({"d1": set()}) == store.chunks_at({}) == []
    assert [chunk.position for chunk in store.chunks("d1")] == list(range(12))
    assert store.chunks("nobody") == []
    assert store.vectors("nobody") == {}


ODD_PATHS = [
    "/docs/o'clock 100%_a.md",
    "/docs/o'clock 100xxa.md",
    "/docs/new\nline.md",
    "/docs/日本語/é.md",
    "/docs/日本語/e\u0301.md",
    "/docs/\udcff\udcfe.txt",
    "/docs/[brackets]*.md",
    "/docs/😀 back\\slash.pdf",
    "/docs/sub/deep/FILE.PDF",
    "/docsabit.md",
]


@pytest.fixture
def odd(store: Store) -> Store:
    store.replace(
        {f"d{i}": [row(f"d{i}", 0, "word", path=path, modified_ns=i * 100)] for i, path in enumerate(ODD_PATHS)}
    )
    return store


def paths_of(store: Store, filters: Filters) -> set[str]:
    by_words = {found.chunk.path for found in store.search_terms("word", 50, filters)}
    by_vector = {found.chunk.path for found in store.search_vector(vector(1), 50, filters)}
    assert by_words == by_vector
    return by_words


@pytest.mark.parametrize("path", ODD_PATHS)
def test_every_path_comes_back_and_can_be_filtered_for(odd: Store, path: str) -> None:
    glob = path.replace("\\", "\\\\").replace("[", "\\[").replace("*", "\\*")
    assert paths_of(odd, Filters(globs=(glob,))) == {path}


@pytest.mark.parametrize(
    ("glob", "count"),
    [("/docs/*.md", 4), ("/docs/**", 9), ("/docs", 9), ("/docs/", 9), ("**/*.pdf", 1), ("*.md", 7),
     ("/docs/sub", 1), ("/docs/??.txt", 0), ("/docs/日本語/*", 2), ("/docs/o'clock 100%_a.md", 1),
     ("sub/**", 1), ("/nothing/*", 0), ("/docs/[a-n]*", 1), ("/docs/[!a-n]*.md", 3)],
)  # fmt: skip
def test_globs_match_as_a_shell_would(odd: Store, glob: str, count: int) -> None:
    assert len(paths_of(odd, Filters(globs=(glob,)))) == count


def test_filters_combine_and_apply_before_the_limit(odd: Store) -> None:
    assert paths_of(odd, Filters(types=("PDF", "txt"))) == {ODD_PATHS[5], ODD_PATHS[7], ODD_PATHS[8]}
    assert paths_of(odd, Filters(after_ns=200, before_ns=400)) == {ODD_PATHS[2], ODD_PATHS[3]}
    assert paths_of(odd, Filters(document_ids=("d1", "d9", "d'"))) == {ODD_PATHS[1], ODD_PATHS[9]}
    assert paths_of(odd, Filters(globs=("/docs/sub", "/docsabit.md"), types=("md",))) == {"/docsabit.md"}
    assert len(odd.search_vector(vector(1), 1, Filters(document_ids=("d9",)))) == 1


def test_an_index_is_found_again_with_the_same_identity(store: Store, open_again: Open) -> None:
    store.replace({"d1": [row("d1", 0, "lamp")]})
    store.close()
    again = open_again()
    assert again.identity() == IDENTITY
    assert found_by(again, "lamp") == ["d1#000000"]


@pytest.mark.parametrize(
    "other",
    [
        Identity("embedder-b", 4, "1/256", "1"),
        Identity("embedder-a", 5, "1/256", "1"),
        Identity("embedder-a", 4, "2/256", "1"),
        Identity("embedder-a", 4, "1/256", "2"),
    ],
)
def test_another_identity_is_refused_with_the_command_that_rebuilds(
    store: Store, kind: Kind, tmp_path: Path, other: Identity
) -> None:
    with pytest.raises(LibraryMismatch) as refused:
        kind.open(tmp_path / "store", other)
    assert refused.value.hint == "termrag add --rebuild"


def test_an_index_that_is_not_there_is_not_made_for_a_reader(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        kind.open(tmp_path / "store", None, create=False)
    assert refused.value.hint == "termrag add PATH"
    assert not (tmp_path / "store").exists()


def test_an_unknown_kind_of_store_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_store("oracle", tmp_path, IDENTITY, create=True)


def test_the_folder_is_private(store: Store, kind: Kind, tmp_path: Path) -> None:
    if not kind.is_in_folder:
        pytest.skip("the index lies elsewhere")
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_a_vector_of_another_dimension_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="shape"):
        store.replace({"d1": [Row(row("d1", 0, "x").chunk, "x", np.ones(5, dtype=np.float32))]})
    with pytest.raises(ValueError, match="shape"):
        store.search_vector(np.ones(5, dtype=np.float32), 5, Filters())


def test_many_small_commits_are_compacted(store: Store, kind: Kind) -> None:
    if kind.store != "lancedb":
        pytest.skip("Qdrant merges its segments by itself")
    for number in range(25):
        store.replace({f"d{number}": [row(f"d{number}", 0, f"w{number}")]})
    assert store.maintain()
    assert store.stats().fragments == 1
    assert store.stats().unindexed_rows == 0
    assert not store.maintain()
    assert found_by(store, "w7") == ["d7#000000"]


def test_a_scan_sees_one_snapshot(store: Store, kind: Kind) -> None:
    if kind.store != "lancedb":
        pytest.skip("Qdrant keeps no versions: a scan sees documents whole, at the moment it comes to them")
    store.replace({f"d{i}": [row(f"d{i}", 0, "w")] for i in range(1500)})
    scan = store.scan()
    next(scan)
    store.delete([f"d{i}" for i in range(1500)])
    assert sum(1 for _ in scan) == 1499


def test_many_chunks_are_written_found_and_counted(store: Store, kind: Kind) -> None:
    # The local mode behind the stand-in compares everything with everything, in Python.
    count, together = (1_000 if kind.name == "qdrant-http" else 4_000), 500
    for start in range(0, count, together):
        numbers = range(start, start + together)
        store.replace({f"d{n}": [row(f"d{n}", 0, f"word{n} all", path=f"/docs/{n % 7}/{n}.md")] for n in numbers})
    store.maintain()
    assert (store.stats().rows, store.stats().documents) == (count, count)
    assert found_by(store, f"word{count - 1}") == [f"d{count - 1}#000000"]
    assert len(store.search_vector(vector(1), 700, Filters())) == 700
    chosen = Filters(globs=("/docs/3/*1.md",), document_ids=("d31", "d3", "d731"))
    assert {found.chunk.document_id for found in store.search_vector(vector(1), 9, chosen)} == {"d31", "d731"}
    assert len({chunk.chunk_id for chunk in store.scan()}) == count
    assert sum(len(batch.rows) for batch in store.rows()) == count


def test_a_hundred_thousand_chunks_are_indexed_and_nothing_is_lost(kind: Kind, tmp_path: Path) -> None:
    if kind.name == "qdrant-http":
        pytest.skip("the local mode behind the stand-in would write for a quarter of an hour")
    count, size, together, dimension = 100_000, 10, 5_000, 64
    store = kind.open(tmp_path / "store", Identity("embedder-a", dimension, "1/256", "1"))
    numbers = np.random.default_rng(3)
    topics = numbers.standard_normal((50, dimension))
    asked = []
    for start in range(0, count, together):
        vectors = topics[numbers.integers(0, 50, together)] + numbers.standard_normal((together, dimension))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        asked.extend(vectors[:3])
        documents: dict[str, list[Row]] = {}
        for at_, near in enumerate(vectors):
            name, position = f"d{(start + at_) // size}", at_ % size
            plain = row(name, position, f"{name} w{position} all", path=f"/docs/{name[-1]}/{name}.md")
            documents.setdefault(name, []).append(replace(plain, vector=near))
        store.replace(documents)
        store.maintain()
    store.maintain(force=True)
    store.delete(["d500"])
    store.replace({"d501": [replace(row("d501", 0, "afterwards"), vector=asked[0])]})
    found = store.stats()
    assert (found.rows, found.documents) == (count - 19, count // size - 1)
    assert found.vector_index
    assert sum(1 for _ in store.scan()) == count - 19
    assert recall(store, asked) >= 0.95
    assert store.search_vector(asked[0], 2, Filters(document_ids=("d501",)))[0].chunk.text == "text of afterwards"
    assert found_by(store, "d9999")[0].startswith("d9999#")
    assert {each[:5] for each in found_by(store, "w3", Filters(globs=("/docs/7/d70?7.md",)))} == {"d7007", "d7017"} | {
        f"d70{tens}7" for tens in range(2, 10)
    }
    assert store.chunks("d500") == []
    store.close()


def test_whole_rows_go_into_another_store(store: Store, kind: Kind, tmp_path: Path) -> None:
    written = {f"d{n}": [row(f"d{n}", at_, f"w{n} w{at_}", direction=(1, n)) for at_ in range(3)] for n in range(70)}
    written["late"] = [replace(row("late", 0, "words only"), vector=None)]
    store.replace(written)
    copy = Kind("lancedb").open(tmp_path / "copy", IDENTITY)
    batches = list(store.rows())
    for batch in batches:
        copy.restore(batch.rows)
    assert {chunk.chunk_id for chunk in copy.scan()} == {chunk.chunk_id for chunk in store.scan()}
    assert copy.chunks("d7") == store.chunks("d7")
    assert np.allclose(copy.vectors("d7")["hash of w7 w1"], written["d7"][1].vector)
    assert copy.vectors("late") == {}
    rest = [each for batch in store.rows(batches[0].position) for each in batch.rows]
    assert len(rest) == 211 - len(batches[0].rows)
    store.delete(["d7"])
    for _ in range(2):
        store.restore([each for batch in copy.rows(document_ids=["d7", "d8"]) for each in batch.rows])
    assert store.stats().rows == 211
    assert set(found_by(store, "w7")) == set(found_by(copy, "w7"))
    store.replace({"d7": [row("d7", 0, "new")]})
    assert [chunk.text for chunk in store.chunks("d7")] == ["text of new"]
    copy.close()


def test_a_lease_has_one_holder_until_it_runs_out(store: Store) -> None:
    soon = time.time() + 60
    assert store.take_lease("/notes", "one", soon).holder == "one"
    assert store.take_lease("/notes", "other", soon).holder == "one"
    assert store.take_lease("/papers", "other", soon).holder == "other"
    assert store.take_lease("/notes", "one", soon + 5).until == pytest.approx(soon + 5)
    store.drop_lease("/notes", "other")
    assert store.take_lease("/notes", "other", soon).holder == "one", "nobody gives up another's lease"
    store.drop_lease("/notes", "one")
    assert store.take_lease("/notes", "other", time.time() - 1).holder == "other"
    assert store.take_lease("/notes", "one", soon).holder == "one", "it had run out"
    assert (store.stats().rows, list(store.scan())) == (0, [])


# --- other processes -------------------------------------------------------------------------------------------------


def _replace_for_a_while(kind: Kind, folder: Path, rounds: int) -> None:
    store = kind.open(folder, IDENTITY)
    for generation in range(1, rounds + 1):
        size = 12 if generation % 2 else 5
        store.replace({"d1": [row("d1", i, f"generation{generation}") for i in range(size)]})


def test_a_reader_sees_a_document_whole_while_another_process_replaces_it(
    store: Store, kind: Kind, tmp_path: Path
) -> None:
    if not kind.takes_other_processes:
        pytest.skip("one process owns the folder")
    store.replace({"d1": [row("d1", i, "generation0") for i in range(5)]})
    writer = multiprocessing.get_context("spawn").Process(
        target=_replace_for_a_while, args=(kind, tmp_path / "store", 40)
    )
    writer.start()
    generations = set()
    while writer.is_alive():
        texts = [chunk.text for chunk in store.chunks("d1")]
        assert len(set(texts)) == 1, "old and new chunks were seen together"
        assert len(texts) == (12 if int(texts[0].removeprefix("text of generation")) % 2 else 5)
        generations.add(texts[0])
    writer.join()
    assert writer.exitcode == 0
    assert len(generations) > 2


def _write_the_same(kind: Kind, folder: Path, library: Path) -> None:
    store = kind.open(folder, IDENTITY)
    ledger = Ledger(library)
    for number in range(15):
        with ledger.lock():
            store.replace({f"d{number}": [row(f"d{number}", i, f"w{i}") for i in range(6)]})


def test_two_writers_of_the_same_new_documents_double_nothing(kind: Kind, tmp_path: Path) -> None:
    if not kind.takes_other_processes:
        pytest.skip("one process owns the folder")
    context = multiprocessing.get_context("spawn")
    arguments = (kind, tmp_path / "store", tmp_path / "library")
    writers = [context.Process(target=_write_the_same, args=arguments) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    store = kind.open(tmp_path / "store", None, create=False)
    ids = [chunk.chunk_id for chunk in store.scan()]
    assert len(ids) == len(set(ids)) == 90


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_leaves_the_index_as_it_was(kind: Kind, small_disk: Path) -> None:
    if kind.name != "lancedb":
        pytest.skip("needs more than a small disk to begin with")
    store = kind.open(small_disk / "store", IDENTITY)
    store.replace({"d1": [row("d1", 0, "lamp")]})
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (2 << 20))
    with pytest.raises(StoreUnavailable) as refused:
        store.replace({"d2": [row("d2", i, f"{os.urandom(9_000).hex()}") for i in range(200)]})
    assert "full" in refused.value.message
    assert refused.value.hint
    assert found_by(store, "lamp") == ["d1#000000"]
    filler.unlink()
    store.replace({"d2": [row("d2", 0, "tide")]})
    assert found_by(store, "tide") == ["d2#000000"]


def test_an_index_whose_files_are_gone_is_unavailable(store: Store, kind: Kind, tmp_path: Path) -> None:
    if not kind.is_in_folder:
        pytest.skip("the index lies elsewhere")
    store.replace({"d1": [row("d1", 0, "lamp")]})
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(StoreUnavailable) as refused:
        store.replace({"d1": [row("d1", 0, "oil")]})
    assert refused.value.hint
