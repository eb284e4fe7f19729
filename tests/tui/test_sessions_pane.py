"""Conversations beside the chat: listed, searched, opened, renamed, deleted and brought back, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from termrag.turns import Freshness

QUESTION = "How long is the causeway to the Calf?"
LENGTH = "The causeway to the Calf is 420 metres long."


def titles(chat: Any) -> list[str]:
    return [session.title for session in chat.screen.sessions_pane.sessions]


async def two_conversations(chat: Any) -> None:
    await chat.ask(QUESTION)
    await chat.press("f8")
    await chat.ask("How much does a bed in the hostel cost?")
    await chat.press("f3")
    await chat.until(lambda: len(titles(chat)) == 2)


async def test_conversations_are_listed_newest_first_and_opened_by_enter(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await two_conversations(chat)
        assert titles(chat)[1].startswith("How long")
        await chat.press("down", "enter")
        await chat.until(lambda: chat.questions and chat.questions[0].question == QUESTION)
        assert LENGTH in chat.text
        assert chat.app.focused is chat.screen.composer
        await chat.ask("When was the causeway built?")
        assert len(chat.questions) == 2
        assert len((await chat.app.rag.session(chat.screen.session_id)).turns) == 2


async def test_the_words_of_a_conversation_find_it(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await two_conversations(chat)
        chat.screen.sessions_pane.query_one(Input).focus()
        await chat.press(*"hostel")
        await chat.until(lambda: len(titles(chat)) == 1)
        assert "hostel" in titles(chat)[0]
        await chat.press("enter")
        await chat.until(lambda: chat.app.focused is chat.screen.composer)


async def test_a_conversation_is_renamed(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await two_conversations(chat)
        await chat.press("r")
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        chat.app.screen.query_one(Input).value = "Beds"
        await chat.press("enter")
        await chat.until(lambda: "Beds" in titles(chat))


async def test_a_deleted_conversation_comes_back(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await two_conversations(chat)
        await chat.press("d")
        await chat.until(lambda: len(titles(chat)) == 1)
        assert chat.questions == []
        await chat.press("u")
        await chat.until(lambda: len(titles(chat)) == 2)
        await chat.until(lambda: chat.questions and "hostel" in chat.questions[0].question)


async def test_a_cleared_conversation_comes_back(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        await chat.press("ctrl+l")
        await chat.until(lambda: not chat.questions and any("deleted" in toast for toast in chat.toasts))
        await chat.press("f12")
        await chat.until(lambda: [question.question for question in chat.questions] == [QUESTION])


async def test_a_conversation_is_exported_to_a_new_file(
    open_chat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        for keys in (("enter",), ("enter",), ("down", "down", "enter")):
            await chat.press("ctrl+g")
            await chat.until(lambda: len(chat.app.screen_stack) == 2 and chat.app.screen.shown)
            count = len(list(tmp_path.glob("termrag-*")))
            await chat.press(*keys)
            await chat.until(lambda count=count: len(list(tmp_path.glob("termrag-*"))) > count)
        await chat.until(lambda: len(chat.toasts) == 3)
    markdown = sorted(tmp_path.glob("termrag-*.md"))
    assert [file.name for file in markdown] == [f"{markdown[1].stem}-2.md", markdown[1].name]
    assert LENGTH in markdown[1].read_text()
    assert json.loads(next(tmp_path.glob("termrag-*.json")).read_text())


async def test_an_answer_whose_source_changed_says_so(open_chat: Any, tmp_path: Path):
    note = tmp_path / "pier.md"
    note.write_text("# The pier\n\nThe pier of Skell is 33 metres long and made of oak.\n")
    async with open_chat("The pier of Skell is 33 metres long.") as chat:
        async for _ in chat.app.rag.ingest([note]):
            pass
        await chat.ask("How long is the pier of Skell?")
        assert "changed since" not in chat.text
        note.write_text("# The pier\n\nThe pier of Skell is 40 metres long and made of oak.\n")
        async for _ in chat.app.rag.ingest([note]):
            pass
        chat.screen.open_session("last")
        await chat.until(lambda: chat.replies and chat.replies[0].freshness is Freshness.CHANGED)
        assert "a cited source is changed since" in chat.text


async def test_a_command_may_be_typed_instead_of_its_key(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        await chat.type("/new")
        await chat.until(lambda: not chat.questions)
