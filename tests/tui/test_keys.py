"""Keys: every action has an id, a palette entry and a line in the help; the user's file moves them and its mistakes are
told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from termrag.errors import ConfigError
from termrag.paths import default_paths
from termrag.tui.keys import every_key, problems, read_keys
from termrag.tui.screens.help import lines_of
from tui.conftest import Chat

# Terminals, multiplexers and browsers keep these for themselves, or send something else for them.
FORBIDDEN = {"ctrl+b", "ctrl+a", "ctrl+s", "ctrl+z", "ctrl+backslash", "ctrl+h", "ctrl+i", "f10", "f11"}


def write_keys(text: str) -> Path:
    file = default_paths().keys_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def footer(chat: Chat) -> str:
    return str(chat.app.screen.query_one("KeyLine").content)


async def open_help(chat: Chat) -> Any:
    await chat.press("f1")
    await chat.until(lambda: type(chat.app.screen).__name__ == "HelpScreen" and chat.app.screen.shown)
    return chat.app.screen


def test_every_binding_has_an_id_of_its_place_a_description_and_an_allowed_key():
    keys = every_key()
    assert len(keys) > 60
    for key in keys:
        assert key.description
        assert "." in key.id
        assert FORBIDDEN.isdisjoint(key.keys), key.id


def test_the_keys_of_a_place_do_not_clash_as_they_come():
    assert (
        problems({key.id: ",".join(key.keys) for key in every_key() if key.id.startswith("chat.")}, every_key()) == []
    )


@pytest.mark.parametrize(
    ("text", "keymap"),
    [
        ('"app.help" = "f5"\n', {"app.help": "f5"}),
        ('[app]\nhelp = ["f5", "ctrl+e"]\n', {"app.help": "f5,ctrl+e"}),
        ('app.help = "f5, ctrl+e"\n', {"app.help": "f5,ctrl+e"}),
    ],
)
def test_the_file_may_be_written_in_any_of_the_ways_of_toml(tmp_path: Path, text: str, keymap: dict[str, str]):
    (tmp_path / "keys.toml").write_text(text)
    assert read_keys(tmp_path / "keys.toml") == keymap


@pytest.mark.parametrize("text", ["app.help = \n", "app.help = 5\n", "app.help = []\n", "\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str):
    (tmp_path / "keys.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"keys\.toml"):
        read_keys(tmp_path / "keys.toml")


@pytest.mark.parametrize(
    ("keymap", "says"),
    [
        ({"app.halp": "f5"}, "there is no action app.halp; is app.help meant?"),
        ({"app.help": "ctrl+bogus"}, "app.help: there is no key 'ctrl+bogus'"),
        ({"app.help": "f2"}, "f2 is the key of both app.help and app.settings"),
        ({"chat.copy": "f2"}, "f2 is the key of both app.settings and chat.copy"),
        ({"chat.new": "ctrl+e"}, "ctrl+e edits text in the input, where chat.new would not hear it"),
        ({"message.copy": "r"}, "r is the key of both message.copy and message.regenerate"),
    ],
)
def test_what_is_wrong_with_the_wishes_is_said(keymap: dict[str, str], says: str):
    assert says in problems(keymap, every_key())


def test_two_actions_may_change_keys():
    assert problems({"app.help": "f2", "app.settings": "f1", "help.close": "escape"}, every_key()) == []


async def test_a_key_of_the_user_works_is_shown_and_the_old_one_is_free(open_chat: Any):
    write_keys('app.settings = "f10"\n')
    async with open_chat(size=(140, 40)) as chat:
        await chat.until(lambda: "F10 Settings" in footer(chat))
        await chat.press("f2")
        assert chat.app.screen is chat.screen
        await chat.press("f10")
        await chat.until(lambda: type(chat.app.screen).__name__ == "SettingsScreen")
        assert chat.toasts == []


async def test_messages_name_the_keys_that_the_user_chose(open_chat: Any):
    write_keys('app.documents = "ctrl+d"\nchat.regenerate = "f10"\nmessage.details = "D"\n')
    async with open_chat("It was painted green by elephants from Mars.", library=False) as chat:
        await chat.until(lambda: "Ctrl+D adds documents" in chat.text)
        await chat.ask("Who painted the causeway?")
        await chat.until(lambda: "D says why" in chat.text)


async def test_wrong_wishes_are_told_and_the_right_ones_hold(open_chat: Any):
    write_keys('app.halp = "f10"\napp.settings = "f10"\nchat.copy = "f8"\n')
    async with open_chat() as chat:
        await chat.until(lambda: len(chat.toasts) == 2)
        assert any("app.halp" in toast and "keys.toml" in toast for toast in chat.toasts)
        assert any("f8 is the key of both chat.copy and chat.new" in toast for toast in chat.toasts)
        await chat.press("f10")
        await chat.until(lambda: type(chat.app.screen).__name__ == "SettingsScreen")


async def test_a_file_that_is_no_toml_is_told_and_costs_nothing(open_chat: Any):
    write_keys("app.help = \n")
    async with open_chat() as chat:
        await chat.until(lambda: any("keys.toml" in toast for toast in chat.toasts))
        await open_help(chat)


async def test_help_begins_with_the_focused_pane_and_names_every_key_of_the_screen(open_chat: Any):
    async with open_chat(size=(140, 40)) as chat:
        screen = await open_help(chat)
        lines = [line for line in screen.shown if line is not None]
        assert lines[0].group == "Input"
        named = {line.binding.id for line in lines if line.binding is not None}
        expected = {
            key.id
            for key in every_key()
            if key.id.split(".")[0] in ("app", "chat", "composer", "transcript", "message", "sessions", "sources")
        }
        assert named == expected
        assert any(line.keys == "/export" and line.description == "Export" for line in lines)
        await chat.press("escape")
        chat.screen.transcript.focus()
        screen = await open_help(chat)
        assert next(line for line in screen.shown if line is not None).group == "Conversation"


async def test_help_is_searched_and_does_what_is_chosen(open_chat: Any):
    async with open_chat() as chat:
        screen = await open_help(chat)
        await chat.press(*"dark or")
        await chat.until(lambda: [line.binding.id for line in screen.shown if line] == ["app.dark"])
        await chat.press("enter")
        await chat.until(lambda: chat.app.theme == "termrag-light")
        assert chat.app.screen is chat.screen


async def test_help_shows_the_keys_of_the_user(open_chat: Any):
    write_keys('app.dark = "ctrl+e"\n')
    async with open_chat() as chat:
        screen = await open_help(chat)
        line = next(line for line in screen.shown if line and line.binding and line.binding.id == "app.dark")
        assert line.keys == "^e"


async def test_the_palette_reaches_everything_that_a_key_does(open_chat: Any):
    async with open_chat(size=(140, 40)) as chat:
        commands = list(chat.app.get_system_commands(chat.screen))
        titles = {command.title for command in commands}
        for line in lines_of(chat.screen):
            if line.binding is not None and line.binding.action != "command_palette":
                assert line.description in titles
        await chat.press("ctrl+p")
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.press(*"dark or light")
        await chat.until(lambda: chat.app.screen.query_one("CommandList").option_count)
        await chat.press("enter")
        await chat.until(lambda: chat.app.theme == "termrag-light")


async def test_the_palette_works_on_the_other_panes_too(open_chat: Any):
    async with open_chat() as chat:
        await chat.ask("How long is the causeway to the Calf?")
        command = next(each for each in chat.app.get_system_commands(chat.screen) if each.title == "Ask again")
        command.callback()
        await chat.until(lambda: chat.screen.asking is not None or chat.questions[0].branch != (1, 1))
        await chat.until(lambda: chat.screen.asking is None)
        turn = (await chat.app.rag.session("last")).turns[0]
        assert len(await chat.app.rag.branches(turn.id)) == 2
