"""Conversations are on the disk as they happen: through the façade, with the scripted engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from termrag.config import Config
from termrag.errors import ConfigError, EngineFailed, NotFound
from termrag.events import Answered, Started, Token
from termrag.rag import Rag
from termrag.stores.lancedb import LanceStore
from termrag.turns import Freshness, Turn, TurnState

NOTE = "# The lamp\n\nThe lamp of Korrin burns 40 litres of oil a week. The keeper trims the wick at dusk.\n"


def config(endpoint: Endpoint, says: str) -> Config:
    return Config().with_values(
        {
            "models": {"engine": "scripted", "script": says, "embedding": "openai:tiny"},
            "openai": {"url": endpoint.url},
            "retrieval": {"gate": 0.0},
        },
        "test",
    )


async def asked(rag: Rag, question: str, session: str, **options: str | None) -> Turn:
    started = None
    async for event in rag.ask(question, session=session, **options):  # type: ignore[arg-type]
        if isinstance(event, Started):
            started = event.turn
    assert started is not None
    return started


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "notes" / "lamp.md"
    path.parent.mkdir()
    path.write_text(NOTE)
    return path


async def add(rag: Rag, *paths: Path) -> None:
    async for _ in rag.ingest(paths, wait=True):
        pass


@pytest.mark.parametrize("work", ["optimize", "add"])
async def test_who_asks_or_looks_waits_for_no_work_at_the_index(
    work: str, endpoint: Endpoint, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_at_work, may_end = threading.Event(), threading.Event()

    def maintain(_: LanceStore, *, force: bool = False) -> bool:
        is_at_work.set()
        return may_end.wait(60)

    async with asyncio.timeout(60), Rag(config(endpoint, "The lamp of Korrin burns 40 litres of oil a week.")) as rag:
        await add(rag, note)
        monkeypatch.setattr(LanceStore, "maintain", maintain)
        other = note.with_name("other.md")
        other.write_text("The harbour of Korrin freezes in March.\n")
        working = asyncio.create_task(rag.optimize() if work == "optimize" else add(rag, other))
        assert await asyncio.to_thread(is_at_work.wait, 30)

        session = (await rag.start_session()).id
        for question in ("How much oil does the lamp burn?", "And the keeper?"):
            assert (await asked(rag, question, session)).question == question
        assert [event async for event in rag.ask("Who?", attached=[note])]
        assert await rag.search("oil")
        document = await rag.document(str(note))
        (chunk,) = await rag.chunks(document.id)
        assert "Korrin" in chunk.text
        assert await rag.vectors(document.id)
        assert len((await rag.session(session)).turns) == 2
        assert [each.id for each in await rag.sessions()] == [session]
        assert (await rag.status()).documents >= 1
        assert (await rag.index_stats()).chunks >= 1
        assert (await rag.watch_status()).state
        assert await rag.models()
        assert [each.documents >= 1 for each in await rag.collections()] == [True]
        await rag.change("retrieval", "gate", 0.5)
        await rag.notices()
        assert await rag.library_version()
        assert not working.done()
        may_end.set()
        await working


async def test_an_answer_is_kept_with_its_citations_and_read_back_the_same(endpoint: Endpoint, note: Path) -> None:
    async with Rag(config(endpoint, "The lamp of Korrin burns 40 litres of oil a week.")) as rag:
        await add(rag, note)
        info = await rag.start_session()
        events = [event async for event in rag.ask("How much oil does the lamp burn?", session=info.id)]
        session = await rag.session(info.id)

    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Answered)
    (turn,) = session.turns
    assert turn.state is TurnState.DONE
    assert turn.answer is not None
    assert turn.answer.sentences == events[-1].answer.sentences
    assert turn.answer.passages == events[-1].answer.passages
    assert turn.answer.usage == events[-1].answer.usage
    assert turn.answer.budget == events[-1].answer.budget
    assert session.info.title == "How much oil does the lamp burn?"


async def test_a_question_without_a_session_is_not_kept(endpoint: Endpoint, note: Path) -> None:
    async with Rag(config(endpoint, "Forty litres.")) as rag:
        await add(rag, note)
        assert [event async for event in rag.ask("How much oil?")]
        assert await rag.sessions() == []


async def test_an_empty_session_is_not_listed(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "x")) as rag:
        await rag.start_session()
        assert await rag.sessions() == []


async def test_leaving_an_answer_keeps_what_came_as_stopped(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "One two three four five six seven eight nine ten.")) as rag:
        info = await rag.start_session()
        async with aclosing(rag.ask("Count.", session=info.id, general=True)) as events:
            async for event in events:
                if isinstance(event, Token) and "three" in event.text:
                    break
        (turn,) = (await rag.session(info.id)).turns
        assert turn.state is TurnState.STOPPED
        assert turn.answer is not None
        assert turn.answer.text.startswith("One two three")
        assert "ten" not in turn.answer.text


async def test_an_error_keeps_the_question_and_the_reason(endpoint: Endpoint) -> None:
    broken = config(endpoint, "x").with_values({"models": {"engine": "openai"}, "openai": {"model": "none"}}, "test")
    async with Rag(broken) as rag:
        info = await rag.start_session()
        with pytest.raises(EngineFailed):
            await asked(rag, "Will it break?", info.id, general=True)  # type: ignore[arg-type]
        (turn,) = (await rag.session(info.id)).turns
        assert (turn.state, turn.question) == (TurnState.FAILED, "Will it break?")
        assert turn.error


async def test_a_question_asked_anew_makes_a_branch_and_each_can_be_chosen(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "Said.")) as rag:
        info = await rag.start_session()
        first = await asked(rag, "First?", info.id, general=True)  # type: ignore[arg-type]
        second = await asked(rag, "Second?", info.id, general=True)  # type: ignore[arg-type]
        other = await asked(rag, "Second, otherwise?", info.id, parent=first.id, general=True)  # type: ignore[arg-type]

        assert [turn.question for turn in (await rag.session(info.id)).turns] == ["First?", "Second, otherwise?"]
        assert [turn.id for turn in await rag.branches(other.id)] == [second.id, other.id]
        chosen = await rag.choose_branch(second.id)
        assert [turn.question for turn in chosen.turns] == ["First?", "Second?"]
        begun_anew = await asked(rag, "First, otherwise?", info.id, parent="", general=True)  # type: ignore[arg-type]
        assert [turn.id for turn in await rag.branches(first.id)] == [first.id, begun_anew.id]


async def test_sources_that_change_or_go_are_told_and_renames_are_not(endpoint: Endpoint, note: Path) -> None:
    async with Rag(config(endpoint, "The lamp of Korrin burns 40 litres of oil a week.")) as rag:
        await add(rag, note.parent)
        info = await rag.start_session()
        await asked(rag, "How much oil does the lamp burn?", info.id)

        async def freshness() -> Freshness:
            await add(rag, note.parent)
            return (await rag.session(info.id)).turns[0].freshness

        assert await freshness() is Freshness.CURRENT
        moved = note.rename(note.with_name("light.md"))
        assert await freshness() is Freshness.CURRENT
        moved.write_text(NOTE.replace("40", "50"))
        assert await freshness() is Freshness.CHANGED
        moved.unlink()
        assert await freshness() is Freshness.GONE


async def test_sessions_are_found_by_their_words_and_their_title(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "The Petrel sails at nineteen hundred. 灯台は港にある。")) as rag:
        info = await rag.start_session()
        await asked(rag, "When does the ferry leave?", info.id, general=True)  # type: ignore[arg-type]

        for query in ("ferry", "petrel ninet", "灯台は"):
            assert [found.id for found in await rag.sessions(query)] == [info.id], query
        assert "Petrel" in (await rag.sessions("petrel"))[0].snippet
        await rag.rename_session(info.id, "Timetables")
        assert [found.title for found in await rag.sessions("timetab")] == ["Timetables"]
        assert await rag.sessions('") OR 1 --') == []


async def test_a_deleted_session_can_be_brought_back_until_it_is_pruned(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "Said.")) as rag:
        info = await rag.start_session()
        await asked(rag, "Anything?", info.id, general=True)  # type: ignore[arg-type]
        await rag.delete_session(info.id)
        assert await rag.sessions() == []
        assert [found.id for found in await rag.sessions(deleted=True)] == [info.id]
        await rag.restore_session(info.id)
        assert [found.id for found in await rag.sessions()] == [info.id]
        assert await rag.prune_sessions() == 0
        await rag.delete_session(info.id)
        assert await rag.prune_sessions() == 1
        with pytest.raises(NotFound):
            await rag.session(info.id)


async def test_a_session_is_meant_by_the_beginning_of_its_id_or_by_last(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "Said.")) as rag:
        with pytest.raises(NotFound, match="no conversation yet"):
            await rag.session("last")
        info = await rag.start_session()
        await asked(rag, "Anything?", info.id, general=True)  # type: ignore[arg-type]
        assert (await rag.session(info.id[:6])).info.id == info.id
        assert (await rag.session("last")).info.id == info.id


async def test_what_was_exported_as_json_is_read_again_with_all_branches(endpoint: Endpoint, note: Path) -> None:
    async with Rag(config(endpoint, "The lamp of Korrin burns 40 litres of oil a week. It is <b>bright</b>.")) as rag:
        await add(rag, note)
        info = await rag.start_session()
        await asked(rag, "How much <oil>?", info.id)
        await asked(rag, "How much, otherwise?", info.id, parent="")
        text = await rag.export_session(info.id, "json")
        copy = await rag.import_session(text)
        again = await rag.export_session(copy.id, "json")
        markdown, html = await rag.export_session(info.id, "markdown"), await rag.export_session(info.id, "html")

        assert len((await rag.session(copy.id)).turns) == 1
        assert copy.id != info.id

    def said(export: str) -> list[tuple[str, object]]:
        return [(turn["question"], turn["answer"]) for turn in json.loads(export)["turns"]]

    assert said(again) == said(text)
    assert "[1]" in markdown
    assert "lamp.md:3" in markdown
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "http" not in html.replace("http-equiv", "")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other", "version": 1}', '{"format": "termrag session"}'])
async def test_what_termrag_did_not_write_is_not_imported(endpoint: Endpoint, text: str) -> None:
    async with Rag(config(endpoint, "x")) as rag:
        with pytest.raises(ConfigError, match="no conversation that termrag wrote"):
            await rag.import_session(text)


async def test_the_file_is_private(endpoint: Endpoint) -> None:
    async with Rag(config(endpoint, "x")) as rag:
        await rag.start_session()
        files = list(rag.paths.data.glob("sessions.sqlite*"))
    assert files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


_ENDLESS = """
import asyncio
from termrag.config import Config
from termrag.rag import Rag

async def main():
    config = Config().with_values({"models": {"engine": "scripted", "script": " ".join(map(str, range(1000)))}}, "x")
    async with Rag(config) as rag:
        info = await rag.start_session()
        print(info.id, flush=True)
        async for _ in rag.ask("Say it.", session=info.id, general=True):
            await asyncio.sleep(0.1)

asyncio.run(main())
"""


async def test_a_killed_process_loses_at_most_the_last_moment(endpoint: Endpoint) -> None:
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS], stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stdout is not None
    session_id = process.stdout.readline().strip()
    async with Rag(config(endpoint, "x")) as rag:
        deadline = time.monotonic() + 30
        while not (turns := (await rag.session(session_id)).turns) or turns[0].answer is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert turns[0].state is TurnState.WRITING
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        (turn,) = (await rag.session(session_id)).turns
        assert turn.state is TurnState.STOPPED
        assert turn.answer is not None
        assert turn.answer.text.startswith("0")
