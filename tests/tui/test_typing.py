"""The input: what sends, what breaks a line, what comes back; and that the whole screen is reached by keys."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events

from termrag.tui.app import TermragApp
from termrag.tui.background import brightness_of, is_light
from termrag.tui.fuzzy import best, score
from termrag.tui.screens.chat import ChatScreen
from termrag.tui.widgets.composer import Composer
from termrag.tui.widgets.sessions import Sessions
from termrag.tui.widgets.sources import Sources
from termrag.tui.widgets.transcript import Transcript

# Keys that terminals, tmux or browsers keep for themselves or cannot tell from others.
FORBIDDEN = {"ctrl+b", "ctrl+a", "ctrl+s", "ctrl+z", "ctrl+h", "ctrl+i", "ctrl+space", "f10", "f11", "ctrl+backslash"}


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter", "ctrl+enter", "shift+\r", "ctrl+\r"])
async def test_every_form_of_a_new_line_breaks_it(open_chat: Any, key: str):
    async with open_chat(library=False) as chat:
        chat.screen.composer.insert("one")
        chat.app.post_message(events.Key(key, None))
        await chat.until(lambda: chat.screen.composer.text == "one\n")
        assert chat.entries == [] or not chat.questions


async def test_a_backslash_before_enter_breaks_the_line(open_chat: Any):
    async with open_chat(library=False) as chat:
        chat.screen.composer.insert("one\\")
        await chat.press("enter", *"two")
        assert chat.screen.composer.text == "one\ntwo"


async def test_pasted_lines_are_not_sent(open_chat: Any):
    async with open_chat(library=False) as chat:
        chat.app.post_message(events.Paste("one\r\ntwo\n"))
        await chat.until(lambda: chat.screen.composer.text)
        assert chat.screen.composer.text.split() == ["one", "two"]
        assert not chat.questions


async def test_nothing_is_sent_where_nothing_is_typed(open_chat: Any):
    async with open_chat(library=False) as chat:
        await chat.press("enter", "space", "enter")
        assert not chat.questions


async def test_the_arrows_bring_back_what_was_asked_and_what_was_being_typed(open_chat: Any):
    async with open_chat("Fine.") as chat:
        await chat.ask("How long is the causeway?")
        await chat.ask("When does the last ferry leave?")
        await chat.press(*"draft", "up")
        assert chat.screen.composer.text == "When does the last ferry leave?"
        await chat.press("up")
        assert chat.screen.composer.text == "How long is the causeway?"
        await chat.press("down", "down")
        assert chat.screen.composer.text == "draft"


async def test_letters_typed_before_anything_has_the_focus_go_to_the_input(open_chat: Any):
    async with open_chat(library=False) as chat:
        chat.screen.set_focus(None)
        await chat.press("w", "h", "y")
        assert chat.screen.composer.text == "why"


async def test_letters_typed_in_the_conversation_go_to_the_input(open_chat: Any):
    async with open_chat("Fine.") as chat:
        await chat.ask("How long is the causeway?")
        chat.screen.transcript.focus()
        await chat.press("w", "h", "y")
        assert chat.screen.composer.text == "why"


async def test_tab_goes_round_and_the_focus_is_seen(open_chat: Any):
    async with open_chat("Fine.", size=(150, 40)) as chat:
        await chat.until(lambda: chat.screen.sessions_pane is not None and chat.screen.sources_pane is not None)
        seen = []
        for _ in range(6):
            seen.append(chat.app.focused.id)
            await chat.press("tab")
        assert set(seen) == {"composer", "sessions-query", "sessions-list", "transcript", "sources"}


async def test_wide_letters_and_joined_signs_do_not_break_the_lines(open_chat: Any):
    strange = "日本語の契約書と👩‍👩‍👧の絵文字 שלום עולם مرحبا " * 6
    async with open_chat(strange, size=(60, 20)) as chat:
        await chat.ask("How long is the causeway?")
        transcript = chat.screen.transcript
        for y in range(round(transcript.virtual_size.height)):
            line = transcript.line_at(y)
            assert line is not None
            assert line.strip.cell_length <= transcript.size.width
        assert "日本語" in chat.text


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 36), (250, 60)])
async def test_the_input_is_in_view_at_every_size(open_chat: Any, size: tuple[int, int]):
    async with open_chat("Fine.", size=size) as chat:
        await chat.ask("How long is the causeway?")
        region = chat.screen.composer.region
        assert region.height >= 3
        assert chat.screen.region.contains_region(region)
        assert chat.screen.transcript.size.height >= 3
        assert "Fine." in chat.text


async def test_a_changing_size_keeps_the_end_in_view_while_an_answer_streams(open_chat: Any):
    async with open_chat(" ".join(f"word{n}" for n in range(40_000))) as chat:
        await chat.type("How long is the causeway?")
        await chat.until(lambda: chat.replies and len(chat.replies[0].plain) > 500)
        for size in ((250, 60), (60, 20), (130, 30), (40, 12), (100, 30)):
            await chat.pilot.resize_terminal(*size)
            await chat.until(lambda: chat.screen.transcript.is_vertical_scroll_end)
        await chat.press("escape")
        await chat.until(lambda: chat.screen.asking is None)


def test_every_binding_has_a_name_and_none_is_a_key_that_never_arrives():
    for owner in (TermragApp, ChatScreen, Transcript, Sources, Sessions, Composer):
        for binding in owner.BINDINGS:
            keys = set(binding.key.split(","))
            assert keys.isdisjoint(FORBIDDEN), binding
            assert not any(key.startswith("ctrl+shift+") for key in keys), binding
            if not binding.show and owner is Composer:
                continue
            assert binding.id, binding
            assert binding.description, binding


async def test_the_palette_reaches_everything_that_a_key_does(open_chat: Any):
    async with open_chat("Fine.") as chat:
        offered = {command.title for command in chat.app.get_system_commands(chat.screen)}
        wanted = {binding.description for binding in ChatScreen.BINDINGS}
        assert wanted <= offered


@pytest.mark.parametrize(
    ("query", "name", "fits"),
    [("hstl", "hostel.md", True), ("md", "hostel.md", True), ("xyz", "hostel.md", False), ("", "x", True)],
)
def test_a_name_fits_where_all_letters_come_in_order(query: str, name: str, fits: bool):
    assert (score(query, name) > 0) is fits


def test_the_nearest_name_comes_first():
    names = ["a/causeway-notes.md", "ferry.md", "fare-tables.md", "old/ferryman.md"]
    assert best("ferry", names, str, 2) == ["ferry.md", "old/ferryman.md"]
    assert best("fe", names, str, 9)[0] == "ferry.md"


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62c", True),
        (b"\x1b]11;rgb:1e1e/1e1e/1e1e\x07\x1b[?62c", False),
        (b"\x1b[?62c", None),
        (b"", None),
    ],
)
def test_a_terminal_tells_its_background(answer: bytes, light: bool | None):
    assert brightness_of(answer) is light


def test_a_hint_of_the_environment_is_believed():
    assert is_light({"COLORFGBG": "0;15"}) is True
    assert is_light({"COLORFGBG": "15;0"}) is False
