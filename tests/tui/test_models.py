"""The model picker: what is here, fetching with progress, stopping and going on, changing while an answer is written,
removing. Models come from a hub on the loopback."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from typing import Any

from engines.endpoint_server import running_server
from models.conftest import FakeHub
from termrag.models import CatalogueModel, Shelf
from tui.conftest import ENDLESS, Chat

QUESTION = "How long is the causeway to the Calf?"
FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"w" * 3_000_000}


def shelve(chat: Chat, hub_model: Callable[..., CatalogueModel], hub_shelf: Callable[..., Shelf]) -> Shelf:
    """Give the app a catalogue of one small model that the loopback hub has."""
    shelf = hub_shelf(hub_model(FILES, pinned=set(FILES)))
    chat.app.rag._parts._shelf = shelf
    return shelf


async def open_models(chat: Chat) -> Any:
    await chat.press("f6")
    await chat.until(lambda: type(chat.app.screen).__name__ == "ModelsScreen" and chat.app.screen.shown)
    return chat.app.screen


def lines(chat: Chat) -> str:
    options = chat.app.screen._options
    return "\n".join(str(option.prompt) for option in options.options)


async def test_the_catalogue_says_what_is_here_how_large_it_is_and_under_which_licence(open_chat: Any):
    async with open_chat() as chat:
        await open_models(chat)
        for words in ("smollm2-135m", "llama-3.2-1b", "all-minilm-l6-v2", "not here", "807.7 MB", "apache-2.0"):
            assert words in lines(chat)
        await chat.press("slash", *"starter")
        await chat.until(lambda: [entry.name for entry in chat.app.screen.shown][:1] == ["smollm2-135m"])
        await chat.press("escape", "escape")
        await chat.until(lambda: chat.app.screen is chat.screen)


async def test_a_model_is_fetched_with_progress_and_then_answers(
    open_chat: Any,
    hub: FakeHub,
    hub_model: Any,
    hub_shelf: Any,
):
    async with open_chat() as chat:
        shelve(chat, hub_model, hub_shelf)
        await chat.press("escape")
        screen = await open_models(chat)
        screen._options.highlighted = [entry.name for entry in screen.shown].index("tiny")
        await chat.press("enter")
        await chat.until(lambda: chat.app.settings.models.chat == "tiny")
        await chat.until(lambda: "here" in lines(chat).split("tiny")[1][:40] and "● tiny" in lines(chat))
        assert chat.app.pulls.get("tiny").share == 1.0
        assert tomllib.loads(chat.app.paths.config_file.read_text())["models"]["chat"] == "tiny"
        await chat.press("escape")
        reply = await chat.ask(QUESTION)
        assert reply.answer.model == "tiny"


async def test_a_fetch_that_is_stopped_goes_on_from_there(
    open_chat: Any,
    hub: FakeHub,
    hub_model: Any,
    hub_shelf: Any,
):
    async with open_chat() as chat:
        shelf = shelve(chat, hub_model, hub_shelf)
        hub.slow_s = 0.02
        screen = await open_models(chat)
        screen._options.highlighted = [entry.name for entry in screen.shown].index("tiny")
        await chat.press("p")
        await chat.until(lambda: (pull := chat.app.pulls.get("tiny")) and pull.done_bytes > 200_000)
        await chat.until(lambda: "fetching" in lines(chat) and "%" in lines(chat))
        await chat.press("x")
        await chat.until(lambda: not chat.app.pulls.get("tiny").is_running)
        assert not shelf.info("tiny").is_here
        hub.slow_s = 0.0
        await chat.press("r", "p")
        await chat.until(lambda: shelf.info("tiny").is_here and not chat.app.pulls.get("tiny").is_running)
        assert hub.ranges()


async def test_a_fetch_that_fails_says_why_in_its_line(
    open_chat: Any,
    hub: FakeHub,
    hub_model: Any,
    hub_shelf: Any,
):
    async with open_chat() as chat:
        shelve(chat, hub_model, hub_shelf)
        hub.statuses = [403] * 20
        screen = await open_models(chat)
        screen._options.highlighted = [entry.name for entry in screen.shown].index("tiny")
        await chat.press("p")
        await chat.until(lambda: (pull := chat.app.pulls.get("tiny")) and pull.error is not None)
        await chat.until(lambda: chat.toasts)
        await chat.press("r")
        await chat.until(lambda: chat.app.pulls.get("tiny").error.message in lines(chat))


async def test_a_running_answer_ends_on_the_old_model_and_the_next_one_has_the_new(
    open_chat: Any,
    hub: FakeHub,
    hub_model: Any,
    hub_shelf: Any,
):
    async with open_chat(ENDLESS) as chat:
        shelf = shelve(chat, hub_model, hub_shelf)
        await asyncio.to_thread(lambda: list(shelf.pull("tiny", "mlx")))
        await chat.type(QUESTION)
        await chat.until(lambda: chat.replies and len(chat.replies[0].plain) > 100)
        screen = await open_models(chat)
        screen._options.highlighted = [entry.name for entry in screen.shown].index("tiny")
        await chat.press("enter")
        await chat.until(lambda: chat.app.settings.models.chat == "tiny")
        before = len(chat.replies[0].plain)
        await chat.until(lambda: len(chat.replies[0].plain) > before)
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.press("escape")
        await chat.until(lambda: chat.screen.asking is None)
        session = await chat.app.rag.session("last")
        assert session.turns[0].answer.text
        await chat.type("And how old is it?")
        await chat.until(lambda: len(chat.replies) == 2 and len(chat.replies[1].plain) > 20)
        assert chat.app.rag.loaded_model == "tiny"
        await chat.press("escape")
        await chat.until(lambda: chat.screen.asking is None)


async def test_a_model_is_removed_after_a_question(
    open_chat: Any,
    hub: FakeHub,
    hub_model: Any,
    hub_shelf: Any,
):
    async with open_chat() as chat:
        shelf = shelve(chat, hub_model, hub_shelf)
        await asyncio.to_thread(lambda: list(shelf.pull("tiny", "mlx")))
        screen = await open_models(chat)
        screen._options.highlighted = [entry.name for entry in screen.shown].index("tiny")
        await chat.press("d")
        await chat.until(lambda: len(chat.app.screen_stack) == 3)
        await chat.press("enter")
        await chat.until(lambda: chat.app.screen is screen)
        assert shelf.info("tiny").is_here
        await chat.press("d")
        await chat.until(lambda: len(chat.app.screen_stack) == 3)
        await chat.press("down", "enter")
        await chat.until(lambda: not shelf.info("tiny").is_here)
        await chat.until(lambda: any("removed" in toast for toast in chat.toasts))


async def test_the_models_of_the_endpoint_are_listed_and_answer(open_chat: Any):
    with running_server("The causeway to the Calf is 420 metres long.") as server:
        async with open_chat(openai={"url": server.url}, generation={"max_tokens": 300}) as chat:
            screen = await open_models(chat)
            await chat.until(lambda: "scripted" in [entry.name for entry in screen.shown])
            screen._options.highlighted = [entry.name for entry in screen.shown].index("scripted")
            await chat.press("enter")
            await chat.until(lambda: chat.app.settings.models.engine == "openai")
            await chat.press("escape")
            reply = await chat.ask(QUESTION)
            assert reply.answer.engine == "openai"
            assert server.chat_requests()
