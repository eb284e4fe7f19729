"""Qdrant behind a network that fails, and in a folder that one process owns. The server is the stand-in of
`qdrant_server`: real sockets and qdrant-client on this side, qdrant-client's local mode behind them."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from embedding_endpoint import Endpoint
from index.index_library import IDENTITY as LIBRARY_IDENTITY
from index.index_library import Library
from index.qdrant_server import Answer, QdrantServer, failed
from index.store_kinds import Kind, at
from index.test_store import IDENTITY, found_by, row, vector
from termrag.config import Config, QdrantSettings
from termrag.errors import ConfigError, StoreBusy, StoreUnavailable, StoreUnreachable
from termrag.events import Finished, Indexed, Notice
from termrag.rag import Rag
from termrag.records import Filters
from termrag.stores import open_store
from termrag.stores.conditions import equals
from termrag.stores.line import Fault, Line
from watch.watched import config_for, contents, paths_in


@pytest.fixture
def server() -> Iterator[QdrantServer]:
    server = QdrantServer()
    yield server
    server.close()


@pytest.fixture
def kind(server: QdrantServer) -> Kind:
    return Kind("qdrant-http", at(server.url))


def settings(kind: Kind, **values: Any) -> Kind:
    return Kind(kind.name, kind.config.with_values({"qdrant": values}, "test"))


# --- what is tried again ---------------------------------------------------------------------------------------------


class RefusedError(Exception):
    """What a client raises."""


def line(fault: Fault) -> tuple[Line, list[float]]:
    waits: list[float] = []
    return Line("http://there", lambda error: fault if isinstance(error, RefusedError) else None, waits.append), waits


PASSING = Fault(StoreUnreachable("it does not answer"), passes=True)


def test_a_write_is_tried_longer_and_longer_and_then_given_up() -> None:
    tried, waits = line(PASSING)
    with pytest.raises(StoreUnreachable):
        tried.write(lambda: (_ for _ in ()).throw(RefusedError()))
    assert len(waits) == 4
    assert all(0.1 * 2**n <= wait <= 0.3 * 2**n for n, wait in enumerate(waits))


def test_a_server_that_asks_for_time_gets_it() -> None:
    tried, waits = line(Fault(StoreUnreachable("overloaded"), passes=True, wait_s=7.0))
    answers = iter([RefusedError(), "done"])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert tried.write(call) == "done"
    assert waits == [7.0]


def test_what_does_not_pass_is_not_tried_again() -> None:
    tried, waits = line(Fault(StoreUnavailable("the key is wrong")))
    with pytest.raises(StoreUnavailable, match="key"):
        tried.write(lambda: (_ for _ in ()).throw(RefusedError()))
    assert waits == []


def test_a_mistake_of_ours_is_not_the_servers() -> None:
    tried, _ = line(PASSING)
    with pytest.raises(ZeroDivisionError):
        tried.read(lambda: 1 // 0)


def test_after_failures_in_a_row_nobody_asks_for_a_while() -> None:
    tried, _ = line(PASSING)
    asked: list[int] = []

    def call() -> None:
        asked.append(1)
        raise RefusedError

    for _ in range(2):
        with pytest.raises(StoreUnreachable):
            tried.read(call)
    so_far = len(asked)
    with pytest.raises(StoreUnreachable, match="has not answered 2 times; the next try is in 1 s"):
        tried.read(call)
    assert len(asked) == so_far


def test_a_writer_that_another_one_overtakes_writes_all_the_same(
    server: QdrantServer, kind: Kind, tmp_path: Path
) -> None:
    """Between its two looks at what is there another begins with the same document, and does not come to its end."""
    store, other = kind.open(tmp_path, IDENTITY), kind.open(tmp_path, IDENTITY)
    asked: list[str] = []

    def before(request: str) -> Answer | None:
        if request.endswith("facet"):
            asked.append(request)
            if len(asked) == 2:
                server.before = lambda late: failed(400, "cut off") if late.endswith("points/batch") else None
                with pytest.raises(StoreUnavailable, match="cut off"):
                    other.replace({"d1": [row("d1", 0, "lamp")]})
                server.before = lambda _: None
        return None

    server.before = before
    store.replace({"d1": [row("d1", 0, "lamp")]})
    assert len(asked) == 2
    assert found_by(store, "lamp") == ["d1#000000"]
    assert store.stats().rows == 1


# --- a server that fails ---------------------------------------------------------------------------------------------


def test_a_write_outlasts_passing_faults(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    store = kind.open(tmp_path, IDENTITY)
    faults = iter(
        [failed(503, "starting"), failed(500, "shard is recovering"), failed(429, "slow", **{"retry-after": "1"})]
    )

    def before(request: str) -> Answer | None:
        return next(faults, None) if request.startswith("PUT") else None

    server.before = before
    store.replace({"d1": [row("d1", 0, "lamp")]})
    assert found_by(store, "lamp") == ["d1#000000"]
    assert next(faults, None) is None


def test_a_search_fails_at_once_and_says_where_and_what_to_do(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    store = kind.open(tmp_path, IDENTITY)
    server.stop()
    begun = time.monotonic()
    with pytest.raises(StoreUnreachable) as refused:
        found_by(store, "lamp")
    assert time.monotonic() - begun < 2
    assert server.url in refused.value.message
    assert "termrag config show" in refused.value.hint


def test_a_server_that_keeps_a_search_waiting_is_given_up(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    store = settings(kind, timeout_s=1.0).open(tmp_path, IDENTITY)
    let_go = threading.Event()

    def before(_: str) -> None:
        let_go.wait(30)

    server.before = before
    with pytest.raises(StoreUnreachable, match="took too long"):
        found_by(store, "lamp")
    let_go.set()


def test_a_wrong_key_is_named_and_never_shown(
    server: QdrantServer, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.api_key = "the right one"
    monkeypatch.setenv("TERMRAG_QDRANT_API_KEY", "sesame-5317")
    with pytest.raises(StoreUnavailable, match="does not accept the API key") as refused:
        kind.open(tmp_path, IDENTITY)
    assert "TERMRAG_QDRANT_API_KEY" in refused.value.hint
    assert "sesame" not in f"{refused.value.message} {refused.value.hint}"
    monkeypatch.setenv("TERMRAG_QDRANT_API_KEY", "the right one")
    kind.open(tmp_path, IDENTITY).close()


def test_a_key_file_has_to_be_private(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    server.api_key = "from a file"
    file = tmp_path / "key"
    file.write_text("from a file\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError) as refused:
        settings(kind, api_key_file=str(file)).open(tmp_path / "store", IDENTITY)
    assert refused.value.hint.startswith("chmod 600")
    file.chmod(0o600)
    settings(kind, api_key_file=str(file)).open(tmp_path / "store", IDENTITY).close()


def test_an_old_server_is_refused(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    server.version = "1.12.4"
    with pytest.raises(StoreUnavailable, match=r"is 1\.12\.4; termrag needs 1\.16"):
        kind.open(tmp_path, IDENTITY)


def test_what_is_no_url_is_a_wrong_setting(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"qdrant\.url"):
        settings(kind, url="localhost:6333").open(tmp_path, IDENTITY)


def test_a_repeated_write_makes_no_new_points(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    store = kind.open(tmp_path, IDENTITY)
    documents = {"d1": [row("d1", at_, f"w{at_}") for at_ in range(3)]}
    store.replace(documents)
    version = store.version()
    collection = kind.config.qdrant.collection
    points = server.points_of(collection)
    server.requests.clear()
    store.replace(documents)
    assert server.points_of(collection) == points
    assert not [each for each in server.requests if each.endswith("points/batch")], "nothing is shown or deleted"
    store.delete(["d1"])
    assert store.version() != version


# --- a restart in the middle -----------------------------------------------------------------------------------------


def notes_in(folder: Path, count: int) -> dict[str, str]:
    folder.mkdir()
    texts = {
        str(folder / f"note{n}.md"): f"# Note {n}\n\nThe keeper wrote word{n} into the book.\n" for n in range(count)
    }
    for path, text in texts.items():
        Path(path).write_text(text)
    return texts


@pytest.mark.parametrize("cut_at", ["PUT points", "points/batch"])
def test_a_restart_in_the_middle_of_an_add_loses_nothing(
    server: QdrantServer, kind: Kind, tmp_path: Path, cut_at: str
) -> None:
    """The request at which the server is cut off is carried out, but its answer is lost."""
    texts = notes_in(tmp_path / "notes", 40)
    library = Library(tmp_path / "library", kind=kind, patience_s=60.0)
    method, _, action = cut_at.rpartition(" ")
    seen: list[str] = []

    def before(request: str) -> None:
        if request.startswith(method) and request.endswith(action):
            seen.append(request)
            if len(seen) == 1:
                server.stop()

    server.before = before
    events = []
    for event in library.stream(tmp_path / "notes"):
        events.append(event)
        if isinstance(event, Notice) and "does not answer" in event.message:
            server.start()
    assert any(isinstance(event, Notice) for event in events), "the run has to say that it waits"
    assert {event.path for event in events if isinstance(event, Indexed)} == set(texts)
    assert sorted(library.contents()) == sorted(texts)
    assert len(list(library.store().scan())) == len(texts)
    assert library.store().stats().rows == len(texts)
    for number in (0, 17, 39):
        found = library.store().search_terms(f"word{number}", 5, Filters())
        assert [each.chunk.path for each in found] == [str(tmp_path / "notes" / f"note{number}.md")]
    library.close()


def test_patience_ends(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    notes_in(tmp_path / "notes", 1)
    library = Library(tmp_path / "library", kind=kind, patience_s=0.0)
    library.store()
    server.stop()
    with pytest.raises(StoreUnreachable):
        library.add(tmp_path / "notes")
    server.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            library.add(tmp_path / "notes")
            break
        except StoreUnreachable:
            time.sleep(0.2)  # the line rests for a second
    assert len(library.contents()) == 1
    library.close()


async def test_a_restart_while_watching_loses_nothing(
    server: QdrantServer, kind: Kind, endpoint: Endpoint, tmp_path: Path
) -> None:
    texts = notes_in(tmp_path / "notes", 3)
    late = tmp_path / "notes" / "late.md"
    values = {
        "library": {"store": "qdrant"},
        "qdrant": {"url": server.url, "collection": kind.config.qdrant.collection},
    }
    config = config_for(endpoint).with_values(values, "test")
    is_down = was_paused = False
    async with asyncio.timeout(90), Rag(config, paths_in(tmp_path / "home")) as rag:
        await rag.watch_folder(tmp_path / "notes")
        async with aclosing(rag.watch()) as events:
            async for event in events:
                if isinstance(event, Finished) and not is_down:
                    is_down = True
                    await asyncio.to_thread(server.stop)
                    late.write_text("# Late\n\nWritten while the server was away.\n")
                if isinstance(event, Notice) and "does not answer" in event.message:
                    was_paused = True
                    server.start()
                if isinstance(event, Indexed) and event.path == str(late):
                    break
        assert was_paused
        assert sorted(await contents(rag)) == sorted([*texts, str(late)])


def test_a_search_loop_outlives_a_restart(server: QdrantServer, kind: Kind, tmp_path: Path) -> None:
    store = kind.open(tmp_path, IDENTITY)
    store.replace({"d1": [row("d1", 0, "lamp")]})
    outcomes: list[str] = []
    refused = threading.Event()
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            try:
                outcomes.append(",".join(found_by(store, "lamp")))
            except StoreUnreachable:
                outcomes.append("unreachable")
                refused.set()

    searching = threading.Thread(target=search)
    searching.start()
    server.stop()
    assert refused.wait(20)
    server.start()
    deadline = time.monotonic() + 20
    while outcomes[-1] == "unreachable" and time.monotonic() < deadline:
        stop.wait(0.05)
    stop.set()
    searching.join()
    assert set(outcomes) == {"d1#000000", "unreachable"}
    assert outcomes[-1] == "d1#000000"


# --- the mirror ------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirrored(kind: Kind) -> Kind:
    return Kind(kind.name, kind.config.with_values({"library": {"fallback": "lancedb"}}, "test"))


def test_answers_come_from_the_mirror_and_it_is_said(server: QdrantServer, mirrored: Kind, tmp_path: Path) -> None:
    store = mirrored.open(tmp_path / "qdrant", IDENTITY)
    store.replace({"d1": [row("d1", 0, "lamp")], "d2": [row("d2", 0, "oil")]})
    store.maintain()  # makes the mirror
    store.replace({"d1": [row("d1", 0, "tide"), row("d1", 1, "salt")]})
    store.delete(["d2"])
    assert store.notice == ""
    server.stop()
    assert found_by(store, "salt") == ["d1#000001"]
    assert found_by(store, "lamp oil") == []
    assert len(store.search_vector(vector(1), 9, Filters())) == 2
    assert len(store.chunks("d1")) == 2
    assert "does not answer" in store.notice or "has not answered" in store.notice
    assert "mirror" in store.notice
    store.close()


def test_a_reader_that_begins_while_the_server_is_away_reads_the_mirror(
    server: QdrantServer, mirrored: Kind, tmp_path: Path
) -> None:
    store = mirrored.open(tmp_path / "qdrant", IDENTITY)
    store.replace({"d1": [row("d1", 0, "lamp")]})
    store.maintain()
    store.close()
    server.stop()
    reader = mirrored.open(tmp_path / "qdrant", IDENTITY, create=False)
    assert found_by(reader, "lamp") == ["d1#000000"]
    assert "mirror" in reader.notice
    with pytest.raises(StoreUnreachable):
        reader.replace({"d1": []})
    assert found_by(reader, "lamp") == ["d1#000000"], "nothing was written meanwhile"
    server.start()
    deadline = time.monotonic() + 20
    while reader.notice and time.monotonic() < deadline:
        found_by(reader, "lamp")
        time.sleep(0.1)  # the line rests for some seconds
    assert reader.notice == ""
    reader.close()


def test_without_a_mirror_nothing_answers(server: QdrantServer, mirrored: Kind, tmp_path: Path) -> None:
    server.stop()
    with pytest.raises(StoreUnreachable):
        mirrored.open(tmp_path / "qdrant", IDENTITY, create=False)


def test_a_mirror_takes_over_what_was_there_before(
    server: QdrantServer, kind: Kind, mirrored: Kind, tmp_path: Path
) -> None:
    plain = kind.open(tmp_path / "qdrant", IDENTITY)
    plain.replace({f"d{n}": [row(f"d{n}", at_, f"w{n}") for at_ in range(3)] for n in range(80)})
    plain.close()
    store = mirrored.open(tmp_path / "qdrant", IDENTITY)
    store.maintain()
    server.stop()
    assert len(found_by(store, "w79")) == 3
    assert store.stats().rows == 240
    store.close()


async def test_a_question_and_the_status_say_that_the_mirror_answers(
    server: QdrantServer, kind: Kind, endpoint: Endpoint, tmp_path: Path
) -> None:
    texts = notes_in(tmp_path / "notes", 3)
    values = {
        "library": {"store": "qdrant", "fallback": "lancedb"},
        "qdrant": {"url": server.url, "collection": kind.config.qdrant.collection},
        "models": {"engine": "scripted", "script": "The keeper wrote word1 into the book."},
    }
    config = config_for(endpoint).with_values(values, "test")
    async with Rag(config, paths_in(tmp_path / "home")) as rag:
        async for _ in rag.ingest([tmp_path / "notes"]):
            pass
        assert (await rag.status()).store_notice == ""
        await asyncio.to_thread(server.stop)
        hits = await rag.search("Who wrote word1 into the book?")
        assert hits[0].chunk.path in texts
        assert any("mirror" in notice for notice in await rag.notices())
        assert "mirror" in (await rag.status()).store_notice
        events = [event async for event in rag.ask("Who wrote word1 into the book?")]
        told = [event.message for event in events if isinstance(event, Notice)]
        answered = [event.answer for event in events if hasattr(event, "answer")]
        assert any("mirror" in notice for notice in [*told, *answered[0].notices])


# --- what a killed writer leaves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qdrant", "qdrant-http"])
def test_a_document_whose_old_chunks_are_left_over_is_read_once(name: str, kind: Kind, tmp_path: Path) -> None:
    store: Any = (kind if name == kind.name else Kind(name)).open(tmp_path / "store", IDENTITY)
    names = [f"d{n}" for n in range(150)]
    store.replace({each: [row(each, at_, f"{each} before") for at_ in range(2)] for each in names})
    collection = store._collection
    show, collection.show = collection.show, lambda shown, removed: show(shown, {"must": [equals("stamp", 2)]})
    store.replace({each: [row(each, at_, f"{each} after") for at_ in range(3)] for each in names[:140]})
    collection.show = show
    expected = {each: [f"text of {each} after"] * 3 for each in names[:140]}
    expected |= {each: [f"text of {each} before"] * 2 for each in names[140:]}
    scanned: dict[str, list[str]] = {}
    for chunk in store.scan():
        scanned.setdefault(chunk.document_id, []).append(chunk.text)
    assert scanned == expected
    moved = [each.chunk.chunk_id for batch in store.rows() for each in batch.rows]
    assert len(moved) == len(set(moved)) == 140 * 3 + 10 * 2
    store.close()


# --- embedded --------------------------------------------------------------------------------------------------------


def test_readers_of_the_same_process_see_a_document_whole(tmp_path: Path) -> None:
    writer = open_store("qdrant", tmp_path / "store", IDENTITY, create=True)
    reader = open_store("qdrant", tmp_path / "store", IDENTITY, create=False)
    writer.replace({"d1": [row("d1", at_, "tide generation0") for at_ in range(5)]})
    done = threading.Event()
    seen: set[str] = set()

    def rewrite() -> None:
        for generation in range(1, 1000):
            if generation > 30 and len(seen) > 2:
                break
            size = 12 if generation % 2 else 5
            writer.replace({"d1": [row("d1", at_, f"tide generation{generation}") for at_ in range(size)]})
        done.set()

    writing = threading.Thread(target=rewrite)
    writing.start()
    while not done.is_set():
        texts = [found.chunk.text for found in reader.search_terms("tide", 50, Filters())]
        whole = [chunk.text for chunk in reader.chunks("d1")]
        for each in (texts, whole):
            assert len(set(each)) == 1, "old and new chunks were seen together"
            assert len(each) == (12 if int(each[0].removeprefix("text of tide generation")) % 2 else 5)
            seen.add(each[0])
    writing.join()
    assert len(seen) > 2
    writer.close()
    reader.close()


def _open_and_tell(folder: Path, told: Any) -> None:
    try:
        open_store("qdrant", folder, IDENTITY, create=False).close()
    except StoreBusy as error:
        told.put((error.message, error.hint))
    else:
        told.put(None)


def test_another_process_learns_who_owns_the_folder(tmp_path: Path) -> None:
    import os

    store = open_store("qdrant", tmp_path / "store", IDENTITY, create=True)
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    other = context.Process(target=_open_and_tell, args=(tmp_path / "store", told))
    other.start()
    message, hint = told.get(timeout=60)
    other.join()
    assert f"process {os.getpid()} owns" in message
    assert hint
    store.close()
    again = context.Process(target=_open_and_tell, args=(tmp_path / "store", told))
    again.start()
    assert told.get(timeout=60) is None
    again.join()


def test_a_half_made_collection_is_made_again(tmp_path: Path) -> None:
    store = open_store("qdrant", tmp_path / "store", IDENTITY, create=True)
    store.close()
    (tmp_path / "store" / "collection.json").unlink()
    store = open_store("qdrant", tmp_path / "store", IDENTITY, create=True)
    store.replace({"d1": [row("d1", 0, "lamp")]})
    assert found_by(store, "lamp") == ["d1#000000"]
    store.close()


def test_weights_follow_when_chunks_become_longer(tmp_path: Path) -> None:
    store = open_store("qdrant", tmp_path / "store", IDENTITY, create=True)
    store.replace({"first": [row("first", 0, "lamp")]})
    store.replace({f"d{n}": [row(f"d{n}", 0, f"lamp {'word ' * 60}")] for n in range(20)})
    before = store.search_terms("lamp", 30, Filters())
    assert store.maintain(force=True)
    after = store.search_terms("lamp", 30, Filters())
    long_before = next(each.score for each in before if each.chunk.document_id == "d1")
    long_after = next(each.score for each in after if each.chunk.document_id == "d1")
    assert long_after > 2 * long_before, "a chunk of usual length must not be taken for a long one"
    store.close()


def test_a_library_lives_in_an_embedded_qdrant(tmp_path: Path) -> None:
    texts = notes_in(tmp_path / "notes", 6)
    library = Library(tmp_path / "library", LIBRARY_IDENTITY, kind=Kind("qdrant"))
    library.add(tmp_path / "notes")
    assert sorted(library.contents()) == sorted(texts)
    moved = tmp_path / "notes" / "moved.md"
    (tmp_path / "notes" / "note0.md").rename(moved)
    (tmp_path / "notes" / "note1.md").unlink()
    library.add(tmp_path / "notes")
    assert str(moved) in library.contents()
    assert len(library.contents()) == 5
    library.close()


def test_settings_say_what_qdrant_needs() -> None:
    assert Config().qdrant == QdrantSettings()
    with pytest.raises(ConfigError):
        Config().with_values({"qdrant": {"quantization": "magic"}}, "test")
