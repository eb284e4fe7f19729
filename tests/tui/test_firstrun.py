"""The first run: from nothing to an answer in three steps, each of which may fail, wait or be left out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from embedding_endpoint import Endpoint
from engines.endpoint_server import running_server
from models.conftest import FakeHub
from termrag.paths import default_paths
from termrag.records import Verdict
from tui.conftest import Chat

LENGTH = "The causeway to the Calf is 420 metres long."
FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"w" * 3_000_000}
NEW = {"models": {"engine": "llamacpp"}, "generation": {"max_tokens": 300}}


def told(chat: Chat, step: int) -> str:
    return str(chat.app.screen.query_one(f"#first-told-{step}").content)


async def first_run(chat: Chat) -> Any:
    await chat.until(lambda: type(chat.app.screen).__name__ == "FirstRunScreen" and chat.app.screen.models)
    return chat.app.screen


async def test_three_steps_lead_to_the_first_answer(open_chat: Any, notes: Path, vectors: Endpoint):
    with running_server(LENGTH) as server:
        async with open_chat(library=False, openai={"embedding_url": vectors.url}, **NEW) as chat:
            screen = await first_run(chat)
            await chat.press("end", "enter")
            await chat.until(lambda: len(chat.app.screen_stack) == 3)
            chat.app.screen.query_one("#line").value = server.url
            await chat.press("enter")
            await chat.until(lambda: type(chat.app.screen).__name__ == "Picker" and chat.app.screen.shown)
            await chat.press("enter")
            await chat.until(lambda: screen.done[0])
            assert chat.app.focused.id == "first-input-1"
            chat.app.focused.value = str(notes)
            await chat.press("enter")
            await chat.until(lambda: screen.done[1])
            assert "3 files are indexed" in told(chat, 1)
            chat.app.screen.query_one("#first-input-2").value = "How long is the causeway to the Calf?"
            await chat.press("enter")
            await chat.until(lambda: chat.app.screen is chat.screen and chat.replies and chat.screen.asking is None)
            assert chat.replies[0].answer.verdict is Verdict.GROUNDED
            assert "420 metres" in chat.text


async def test_a_question_waits_for_the_model_that_is_still_fetched(
    open_chat: Any, hub: FakeHub, hub_model: Any, hub_shelf: Any
):
    names = {"models": {"engine": "mlx", "chat": "tiny", "starter": "tiny"}}
    shelf = hub_shelf(hub_model(FILES, pinned=set(FILES)))
    async with open_chat(library=False, shelf=shelf, **names) as chat:
        hub.slow_s = 0.02
        screen = await first_run(chat)
        await chat.press("enter")
        await chat.until(lambda: "%" in told(chat, 0))
        screen.query_one("#first-input-2").focus()
        await chat.press(*"why", "enter")
        await chat.until(lambda: "as soon as" in told(chat, 2))
        hub.slow_s = 0.0
        await chat.until(lambda: chat.app.screen is chat.screen)
        assert shelf.info("tiny").is_here
        assert [question.question for question in chat.questions] == ["why"]


async def test_a_server_that_does_not_answer_is_told_in_place(open_chat: Any):
    async with open_chat(library=False, **NEW) as chat:
        screen = await first_run(chat)
        await chat.press("end", "enter")
        await chat.until(lambda: len(chat.app.screen_stack) == 3)
        chat.app.screen.query_one("#line").value = "http://127.0.0.1:9/v1"
        await chat.press("enter")
        await chat.until(lambda: "cannot be reached" in told(chat, 0))
        assert not screen.done[0]


async def test_a_path_that_is_not_there_is_told_and_a_begun_one_completed(open_chat: Any, notes: Path):
    async with open_chat(library=False, **NEW) as chat:
        screen = await first_run(chat)
        field = screen.query_one("#first-input-1")
        field.focus()
        field.value = "/nowhere/at/all"
        await chat.press("enter")
        await chat.until(lambda: "is not there" in told(chat, 1))
        field.value = ""
        await chat.press(*f"{notes}/caus")
        await chat.until(lambda: field._suggestion.endswith("causeway.md"))
        await chat.press("right")
        assert field.value == f"{notes}/causeway.md"


async def test_escape_leaves_it_out_and_it_does_not_come_back(open_chat: Any):
    async with open_chat(library=False, **NEW) as chat:
        await first_run(chat)
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)
        chat.screen.look()
        await asyncio.wait_for(chat.app.workers.wait_for_complete(), 20)
        assert chat.app.screen is chat.screen
        assert "Nothing is indexed yet" in chat.text


async def test_whoever_has_documents_or_a_model_does_not_see_it(open_chat: Any):
    async with open_chat(**NEW) as chat:
        await chat.until(lambda: "documents are indexed" in chat.text)
        await asyncio.wait_for(chat.app.workers.wait_for_complete(), 20)
        assert chat.app.screen is chat.screen
    assert default_paths().library.exists()
