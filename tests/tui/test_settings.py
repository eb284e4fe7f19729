"""The settings screen: found, explained, changed, refused, reset; themes are shown before they are chosen; the endpoint
is really asked."""

from __future__ import annotations

import json
import stat
import tomllib
from typing import Any

import pytest

from engines.endpoint_server import running_server
from termrag.config import Config, all_settings
from termrag.tui import options
from tui.conftest import Chat

ROWS = {row.name: row for row in options.rows()}


def told(chat: Chat) -> str:
    return str(chat.app.screen.query_one("#settings-told").content)


def about(chat: Chat) -> str:
    return str(chat.app.screen.query_one("#settings-about").content)


def kept(chat: Chat) -> dict[str, Any]:
    file = chat.app.paths.config_file
    return tomllib.loads(file.read_text()) if file.exists() else {}


async def open_settings(chat: Chat, name: str = "") -> None:
    """Press the key, and put the cursor on a setting by searching for it."""
    await chat.press("f2")
    await chat.until(lambda: type(chat.app.screen).__name__ == "SettingsScreen" and chat.app.screen.row)
    if name:
        await chat.press("slash")
        chat.app.screen.query_one("#settings-query").value = name
        await chat.until(lambda: chat.app.screen.row is not None and chat.app.screen.row.name == name)
        await chat.press("enter")


async def type_value(chat: Chat, text: str) -> None:
    field = chat.app.screen.query_one("#settings-value")
    await chat.until(lambda: field.has_focus)
    field.value = ""
    field.insert_text_at_cursor(text)
    await chat.press("enter")


def test_every_setting_has_a_row_with_its_explanation():
    assert {each.name for each in all_settings()} | {options.API_KEY} == set(ROWS)
    assert all(row.doc and row.label for row in ROWS.values())


@pytest.mark.parametrize(
    ("name", "value", "by", "becomes"),
    [
        ("generation.temperature", 0.2, 1, 0.3),
        ("generation.temperature", 0.0, -1, 0.0),
        ("generation.max_tokens", 384, 1, 394),
        ("generation.max_tokens", 1, -1, 1),
        ("models.context_tokens", 4096, 1, 4196),
        ("models.context_tokens", 1_048_576, 1, 1_048_576),
        ("sessions.save", True, 1, False),
        ("server.log", "console", 1, "json"),
        ("server.log", "console", -1, "json"),
        ("openai.url", "http://x", 1, "http://x"),
    ],
)
def test_arrows_move_a_value_within_its_range(name: str, value: object, by: int, becomes: object):
    assert options.stepped(ROWS[name], value, by) == becomes


def test_what_is_shown_of_a_value_can_be_typed_back():
    config = Config().with_values({"documents": {"exclude": ["*.tmp", "out/"]}}, "test")
    for name, row in ROWS.items():
        if name != options.API_KEY:
            value = options.value_of(row, config)
            assert options.parsed(row, options.shown(value)) == value


async def test_a_value_is_typed_kept_and_in_force_from_the_next_answer_on(open_chat: Any):
    async with open_chat("one two three four five six seven eight nine ten.", generation={"max_tokens": 300}) as chat:
        await open_settings(chat, "generation.max_tokens")
        assert "Longest answer" in about(chat)
        assert "1 to 1,048,576" in about(chat)
        assert "Default: 384" in about(chat)
        await chat.press("enter")
        await type_value(chat, "3")
        await chat.until(lambda: "Saved" in told(chat))
        assert kept(chat)["generation"]["max_tokens"] == 3
        await chat.press("escape", "escape")
        assert chat.app.screen is chat.screen
        reply = await chat.ask("How long is the causeway to the Calf?")
        assert reply.answer.usage.generated_tokens <= 3


@pytest.mark.parametrize(
    ("name", "typed", "says"),
    [
        ("generation.temperature", "9", "at most 5"),
        ("generation.temperature", "warm", "must be a number"),
        ("retrieval.passages", "0", "at least 1"),
        ("retrieval.passages", "2.5", "whole number"),
    ],
)
async def test_an_invalid_value_is_told_in_place_and_not_kept(open_chat: Any, name: str, typed: str, says: str):
    async with open_chat() as chat:
        before = options.value_of(ROWS[name], chat.app.settings)
        await open_settings(chat, name)
        await chat.press("enter")
        await type_value(chat, typed)
        await chat.until(lambda: says in told(chat))
        assert options.value_of(ROWS[name], chat.app.settings) == before
        assert kept(chat) == {}
        assert chat.app.screen.query_one("#settings-value").value == typed
        assert chat.toasts == []
        await chat.press("escape")
        assert not chat.app.screen.query_one("#settings-value").display


async def test_arrows_toggles_and_choices_change_at_once(open_chat: Any):
    async with open_chat() as chat:
        await open_settings(chat, "generation.temperature")
        await chat.press("right", "right")
        await chat.until(lambda: kept(chat).get("generation", {}).get("temperature") == 0.2)
        await chat.press("escape")
        chat.app.screen.query_one("#settings-query").value = "sessions.recall"
        await chat.until(lambda: chat.app.screen.row.name == "sessions.recall")
        await chat.press("slash", "enter", "enter")
        await chat.until(lambda: kept(chat).get("sessions", {}).get("recall") is True)
        assert chat.app.settings.sessions.recall


async def test_u_brings_the_default_back_and_takes_the_setting_out_of_the_file(open_chat: Any):
    async with open_chat() as chat:
        await open_settings(chat, "generation.temperature")
        await chat.press("right")
        await chat.until(lambda: "temperature" in kept(chat).get("generation", {}))
        await chat.press("u")
        await chat.until(lambda: "temperature" not in kept(chat)["generation"])
        assert chat.app.settings.generation.temperature == 0.0


async def test_a_theme_is_shown_while_the_cursor_is_on_it_and_escape_brings_the_old_one_back(open_chat: Any):
    async with open_chat() as chat:
        await open_settings(chat, "tui.theme")
        await chat.press("enter")
        await chat.until(lambda: len(chat.app.screen_stack) == 3)
        await chat.press(*"dusk")
        await chat.until(lambda: chat.app.theme == "dusk")
        assert kept(chat) == {}
        await chat.press("escape")
        await chat.until(lambda: chat.app.theme == "termrag-dark")
        await chat.press("enter")
        await chat.until(lambda: len(chat.app.screen_stack) == 3)
        await chat.press(*"sand")
        await chat.press("enter")
        await chat.until(lambda: kept(chat).get("tui", {}).get("theme") == "sand")
        assert chat.app.theme == "sand"


async def test_a_search_finds_words_of_explanations(open_chat: Any):
    async with open_chat() as chat:
        await open_settings(chat)
        await chat.press("slash", *"refusal")
        await chat.until(lambda: [row.name for row in chat.app.screen._rows if row] == ["retrieval.gate"])
        await chat.press("escape")
        await chat.until(lambda: len(chat.app.screen._rows) > 50)


async def test_the_connection_is_tested_by_asking_the_endpoint(open_chat: Any):
    with running_server("Hello.") as server:
        async with open_chat(openai={"url": server.url}) as chat:
            await open_settings(chat, "openai.url")
            await chat.press("t")
            await chat.until(lambda: "reachable" in told(chat))
            assert "1 model" in told(chat)
            assert "scripted" in told(chat)
            assert "ms" in told(chat)


async def test_a_connection_that_fails_is_told_in_place(open_chat: Any):
    async with open_chat(openai={"url": "http://127.0.0.1:9/v1"}) as chat:
        await open_settings(chat, "openai.url")
        await chat.press("t")
        await chat.until(lambda: "cannot be reached" in told(chat))
        assert chat.toasts == []


async def test_the_key_is_kept_privately_sent_to_the_endpoint_and_never_shown_whole(open_chat: Any):
    with running_server("Hello.") as server:
        async with open_chat(openai={"url": server.url}) as chat:
            await open_settings(chat, options.API_KEY)
            await chat.press("enter")
            await chat.until(lambda: len(chat.app.screen_stack) == 3)
            await chat.press(*"sk1234567890abcd", "enter")
            file = chat.app.paths.api_key_file
            await chat.until(file.exists)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            await chat.until(lambda: "kept" in told(chat))
            assert chat.app.rag.api_key.endswith("abcd")
            assert "sk1234567890" not in chat.app.export_screenshot()
            await chat.press("t")
            await chat.until(lambda: "reachable" in told(chat))
            assert [headers["Authorization"] for _, headers, _ in server.requests] == ["Bearer sk1234567890abcd"]
            assert "sk1234567890abcd" not in json.dumps(kept(chat))
            await chat.press("u")
            await chat.until(lambda: not file.exists())
            assert chat.app.rag.api_key == ""
