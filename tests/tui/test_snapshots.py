"""Every screen in its states, as a picture. Conversations are real ones whose times and speeds were set to fixed
figures."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from embedding_endpoint import Endpoint
from termrag.errors import EngineFailed
from termrag.events import Checked, Loading, Reading, Retrieved, Searching, Started, Token
from termrag.paths import Paths
from termrag.rag import Rag
from termrag.sessions.book import SESSIONS_FILE
from termrag.tui.app import TermragApp
from termrag.tui.asking import Asking, Order
from termrag.tui.entries import Question, Reply
from termrag.tui.pulling import Pull
from termrag.tui.screens.add import AddScreen
from termrag.tui.themes import load_themes
from termrag.tui.widgets.paths import PathInput
from tui import snapshots
from tui.conftest import NOTES, Chat, settings

pytestmark = pytest.mark.skipif(
    not snapshots.same_libraries(), reason="drawn by other versions of textual or rich than the stored pictures"
)

LENGTH = "The causeway to the Calf is 420 metres long."
QUESTION = "How long is the causeway to the Calf?"
LONG = f"""{LENGTH} It was built in 1891.

- grey stone, laid by the islanders
- open at low water

```python
def is_open(tide_m: float) -> bool:
    return tide_m < 1.2
```

| place | beds |
|---|---|
| Harbour Hostel | 22 |
"""
PARTIAL = f"{LENGTH} It was painted green by elephants from Mars in 1950."
_MOMENT = 1_763_900_000.0
_THEMES = [*sorted(theme.name for theme in load_themes(Path("/nonexistent"))[0]), "ansi-dark", "ansi-light"]
_WAIT_FOR_THE_USER = ("_lead", "action_theme", "Event.wait")

Opens = Callable[..., AbstractAsyncContextManager[Chat]]


@pytest.fixture
def open_still(vectors: Endpoint, indexed: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """`async with open_still(script, size=…) as chat`: an app that draws the same every time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    @asynccontextmanager
    async def opened(
        script: str = LENGTH, *, size: tuple[int, int] = (100, 30), library: bool = True, **sections: dict[str, Any]
    ) -> AsyncIterator[Chat]:
        paths = Paths(*(Path(name) for name in ("config", "data", "cache", "state", "run")))
        paths.make()
        if library:
            shutil.copytree(indexed, paths.library)
        config = settings(vectors, script, **{"generation": {"max_tokens": 384}, **sections})
        app = TermragApp(config.with_values({"openai": {"url": ""}}, "test"), paths, Rag)
        app.animation_level = "none"
        async with app.run_test(size=size, notifications=True) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: app.is_open)
            await settle(chat)
            yield chat

    return opened


async def settle(chat: Chat) -> None:
    """Wait for all that is at work, but for what waits itself."""
    working = [each for each in chat.app.workers if each.name not in _WAIT_FOR_THE_USER]
    if working:
        await asyncio.wait_for(chat.app.workers.wait_for_complete(working), 30)
    await chat.pilot.pause()


async def shoot(chat: Chat, name: str) -> None:
    snapshots.hold_still(chat.app)
    await chat.pilot.pause()
    snapshots.check(chat.app, name)


async def keep_still(chat: Chat, change: Callable[[dict[str, Any]], None] = lambda data: None) -> None:
    """Put a copy of the conversation with fixed figures in its place; `change` may make more of it."""
    rag = chat.app.rag
    data = json.loads(await rag.export_session("last", "json"))
    await rag.delete_session("last")
    for number, turn in enumerate(data["turns"]):
        turn["asked_at"] = _MOMENT + 60 * number
        if turn["answer"]:
            turn["answer"]["usage"] |= {"tokens_per_second": 41.0, "first_token_s": 0.4}
            turn["answer"]["stages_ms"] = dict.fromkeys(turn["answer"]["stages_ms"], 12.0)
            _number_by_path(turn["answer"])
    change(data)
    info = await rag.import_session(json.dumps(data))
    with closing(sqlite3.connect(chat.app.paths.data / SESSIONS_FILE)) as kept, kept:
        kept.execute("UPDATE sessions SET changed_at = ?", (_MOMENT,))
    chat.screen.open_session(info.id)
    await settle(chat)
    chat.screen.status.tell(speed="41 tokens/s")


def _number_by_path(answer: dict[str, Any]) -> None:
    """Passages that fit equally well come in any order: number them by their documents."""
    answer["passages"].sort(key=lambda passage: passage["path"])
    new = {passage["number"]: number for number, passage in enumerate(answer["passages"], 1)}
    cited = [citation for sentence in answer["sentences"] for citation in sentence["citations"]]
    for each in [*answer["passages"], *cited]:
        each["number"] = new[each["number"]]
    for passage in answer["passages"]:
        passage["score"] = 0.5
    if answer["budget"]:
        _number_lines(answer["budget"])


def _number_lines(budget: dict[str, Any]) -> None:
    """The same for the context ledger; the first passage also pays for what stands before them all."""
    others = [line for line in budget["lines"] if not line["part"].startswith("passage ")]
    names = sorted(line["part"].split(" ", 2)[2] for line in budget["lines"] if line not in others)
    passages = [{"part": f"passage {n} {name}", "tokens": 36, "cut": ""} for n, name in enumerate(names, 1)]
    budget["lines"] = [*others, *passages]
    budget["total"] = sum(line["tokens"] for line in budget["lines"])


async def answered(chat: Chat, question: str = QUESTION, **turn: Any) -> None:
    await chat.ask(question)

    def change(data: dict[str, Any]) -> None:
        data["turns"][-1] |= turn

    await keep_still(chat, change)


# --- the conversation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 20), (100, 30), (150, 40)], ids=["narrow", "medium", "wide"])
async def test_an_empty_conversation(open_still: Opens, size: tuple[int, int]):
    async with open_still(size=size) as chat:
        await shoot(chat, f"empty-{size[0]}")


async def test_an_empty_library(open_still: Opens):
    async with open_still(library=False) as chat:
        await shoot(chat, "no-documents")


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (150, 40)], ids=["least", "narrow", "wide"])
async def test_an_answer(open_still: Opens, size: tuple[int, int]):
    async with open_still(LONG, size=size) as chat:
        await answered(chat)
        await shoot(chat, f"answer-{size[0]}")


@pytest.mark.parametrize("theme", _THEMES)
async def test_every_theme(open_still: Opens, theme: str):
    async with open_still(f"{LONG}\n\nIt was painted green by elephants from Mars.", tui={"theme": theme}) as chat:
        await answered(chat)
        chat.screen.transcript.focus()
        await chat.press("up")
        await shoot(chat, f"theme-{theme}")


async def test_unsupported_sentences(open_still: Opens):
    async with open_still(PARTIAL) as chat:
        await answered(chat)
        await shoot(chat, "unsupported")


async def test_a_refusal(open_still: Opens):
    async with open_still("never said") as chat:
        await answered(chat, "Which quasar spectroscopy pipeline was deployed in Reykjavik?")
        await shoot(chat, "refused")


async def test_an_answer_that_was_stopped(open_still: Opens):
    async with open_still() as chat:
        await answered(chat, state="stopped")
        await shoot(chat, "stopped")


async def test_an_answer_that_was_cut_off(open_still: Opens):
    async with open_still(f"{LENGTH} It was built in 1891 of grey stone.", generation={"max_tokens": 14}) as chat:
        await answered(chat)
        await shoot(chat, "cut-off")


async def test_a_failed_answer(open_still: Opens):
    async with open_still() as chat:
        await answered(chat, state="failed", answer=None, error="refused")
        error = EngineFailed(
            "http://localhost:8000/v1 cannot be reached: refused", "curl http://localhost:8000/v1/models"
        )
        chat.app.report(error, asked=True)
        await shoot(chat, "failed")


async def test_an_answer_whose_source_changed(open_still: Opens, notes: Path):
    def change(data: dict[str, Any]) -> None:
        for sentence in data["turns"][-1]["answer"]["sentences"]:
            for citation in sentence["citations"]:
                citation["content_hash"] = "0" * 64

    async with open_still() as chat:
        await chat.ask(QUESTION)
        await keep_still(chat, change)
        await shoot(chat, "stale")


@pytest.mark.parametrize("stage", ["searching", "loading", "reading", "writing"])
async def test_an_answer_while_it_is_made(open_still: Opens, stage: str):
    async with open_still() as chat:
        await answered(chat)
        assert chat.screen.session_id is not None
        answer = (await chat.app.rag.session(chat.screen.session_id)).turns[0].answer
        question = Question("e8", "And when was it built?", _MOMENT + 60)
        reply = Reply("e9", lambda target: "app.bell")
        reply.asked_at = _MOMENT + 60
        asking = Asking(Order(question.question), question, reply, 384)
        told: dict[str, list[Any]] = {
            "searching": [Searching(question.question)],
            "loading": [Retrieved(answer.passages), Loading("llama-3.2-1b")],
            "reading": [Retrieved(answer.passages), Reading(600, 1200)],
            "writing": [Retrieved(answer.passages), Token(LENGTH), Checked(answer.sentences[0]), Token(" It was")],
        }
        for event in told[stage]:
            assert not isinstance(event, Started)
            asking.take(event)
        asking.flush()
        assert reply.work is not None
        reply.work.began = time.monotonic() + (-0.5 if stage == "searching" else 3600)
        chat.screen.transcript.add(question, reply)
        chat.screen.status.tell(state="answering")
        await shoot(chat, f"making-{stage}")


async def test_questions_that_wait_their_turn(open_still: Opens):
    async with open_still() as chat:
        await answered(chat)
        chat.screen.transcript.add(Question("e9", "And the ferry?", _MOMENT, queued=True))
        chat.screen.composer.insert("What does a bed\ncost?")
        await shoot(chat, "queued")


# --- beside it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["f3", "f4"], ids=["sessions", "sources"])
async def test_panes_on_a_narrow_terminal(open_still: Opens, key: str):
    async with open_still(size=(60, 20)) as chat:
        await answered(chat)
        await chat.press(key)
        await settle(chat)
        await shoot(chat, f"pane-{key}")


async def test_a_source(open_still: Opens):
    async with open_still() as chat:
        await answered(chat)
        chat.screen.transcript.focus()
        await chat.press("1")
        await settle(chat)
        await shoot(chat, "source")


async def test_details(open_still: Opens):
    async with open_still() as chat:
        await answered(chat)
        chat.screen.transcript.focus()
        await chat.press("i")
        await settle(chat)
        await shoot(chat, "details")


# --- other screens ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 20), (120, 36)], ids=["narrow", "wide"])
async def test_settings(open_still: Opens, size: tuple[int, int]):
    async with open_still(size=size) as chat:
        await chat.press("f2")
        await settle(chat)
        await chat.press("slash", *"temperature", "enter")
        await shoot(chat, f"settings-{size[0]}")


async def test_a_setting_that_is_refused(open_still: Opens):
    async with open_still() as chat:
        await chat.press("f2")
        await settle(chat)
        await chat.press("slash", *"temperature", "enter", "enter", "9", "9", "enter")
        await settle(chat)
        await shoot(chat, "settings-refused")


async def test_the_choice_of_a_theme(open_still: Opens):
    async with open_still() as chat:
        chat.app.action_theme()
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.press(*"sand")
        await chat.until(lambda: chat.app.theme == "sand")
        await shoot(chat, "themes")


@pytest.mark.parametrize("size", [(60, 20), (100, 30)], ids=["narrow", "wide"])
async def test_models(open_still: Opens, size: tuple[int, int]):
    async with open_still(size=size) as chat:
        pull = chat.app.pulls._pulls["llama-3.2-1b"] = Pull("llama-3.2-1b", 800_000_000)
        pull.note("model.gguf", 272_000_000)
        forever = chat.app.run_worker(asyncio.Event().wait(), exit_on_error=False)
        await chat.press("f6")
        await chat.until(lambda: getattr(chat.app.screen, "shown", None))
        pull.worker = forever
        await chat.until(lambda: "fetching" in str(chat.app.screen._options.get_option_at_index(1).prompt))
        await shoot(chat, f"models-{size[0]}")
        pull.worker = None


@pytest.mark.parametrize("size", [(60, 20), (100, 30)], ids=["narrow", "wide"])
async def test_documents(open_still: Opens, size: tuple[int, int]):
    async with open_still(library=False, size=size) as chat:
        for name, text in NOTES.items():  # as texts: files have a path of this machine
            async for _ in chat.app.rag.ingest_text(name, text):
                pass
        await chat.press("ctrl+o")
        await chat.until(lambda: getattr(chat.app.screen, "_is_loaded", False))
        await settle(chat)
        await shoot(chat, f"documents-{size[0]}")


async def test_no_documents(open_still: Opens):
    async with open_still(library=False) as chat:
        await chat.press("ctrl+o")
        await chat.until(lambda: getattr(chat.app.screen, "_is_loaded", False))
        await settle(chat)
        await shoot(chat, "documents-none")


@pytest.mark.parametrize("size", [(60, 20), (100, 30)], ids=["narrow", "wide"])
async def test_what_would_be_added(
    open_still: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "papers").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "papers" / name).write_text(text)
        os.utime(tmp_path / "papers" / name, (_MOMENT, _MOMENT))
    (tmp_path / "papers" / "photo.heic").write_bytes(b"\0" * 100)
    async with open_still(library=False, size=size) as chat:
        await chat.press("ctrl+o")
        await chat.until(lambda: getattr(chat.app.screen, "_is_loaded", False))
        await chat.press("a")
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
        path = chat.app.screen.query_one(PathInput)
        path.value = "papers"
        path.cursor_position = len(path.value)
        await chat.until(lambda: getattr(chat.app.screen, "preview", None))
        await settle(chat)
        await shoot(chat, f"add-{size[0]}")


@pytest.mark.parametrize(("key", "name"), [("enter", "preview"), ("i", "formats"), ("w", "watched")])
async def test_beside_the_documents(open_still: Opens, key: str, name: str):
    async with open_still(library=False) as chat:
        for title, text in NOTES.items():
            async for _ in chat.app.rag.ingest_text(title, text):
                pass
        await chat.press("ctrl+o")
        await chat.until(lambda: getattr(chat.app.screen, "_is_loaded", False))
        below = chat.app.screen
        await chat.press(key)
        await chat.until(lambda: chat.app.screen is not below)
        await settle(chat)
        await shoot(chat, f"documents-{name}")


@pytest.mark.parametrize("size", [(60, 20), (100, 30)], ids=["narrow", "wide"])
async def test_help(open_still: Opens, size: tuple[int, int]):
    async with open_still(size=size) as chat:
        await chat.press("f1")
        await settle(chat)
        await shoot(chat, f"help-{size[0]}")


async def test_the_palette(open_still: Opens):
    async with open_still() as chat:
        await chat.press("ctrl+p")
        await chat.until(lambda: chat.app.screen.query_one("CommandList").option_count > 10)
        await shoot(chat, "palette")


@pytest.mark.parametrize("size", [(60, 20), (100, 30)], ids=["narrow", "wide"])
async def test_the_first_run(open_still: Opens, size: tuple[int, int]):
    async with open_still(library=False, size=size, models={"engine": "llamacpp"}) as chat:
        await chat.until(lambda: getattr(chat.app.screen, "models", None))
        await shoot(chat, f"first-run-{size[0]}")


async def test_a_terminal_that_is_too_small(open_still: Opens):
    async with open_still(size=(32, 9)) as chat:
        await chat.until(lambda: type(chat.app.screen).__name__ == "TooSmallScreen")
        await shoot(chat, "too-small")
