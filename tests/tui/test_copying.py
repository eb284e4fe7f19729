"""Copies: which way a text goes, and that the toast says so; sources in the user's own programs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from termrag.errors import NotFound
from termrag.records import Passage
from termrag.tui import copying, opening

QUESTION = "How long is the causeway to the Calf?"
LENGTH = "The causeway to the Calf is 420 metres long."


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that write their input to a file named after them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("tmux", "wl-copy", "xclip", "xsel"):
        file = folder / name
        file.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/{name}.arguments\ncat > {tmp_path}/{name}.input\n')
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    ("environ", "way"),
    [
        ({"TMUX": "/tmp/tmux", "DISPLAY": ":0"}, "tmux"),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "wl-copy"),
        ({"DISPLAY": ":0"}, "xclip"),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1.2.3.4"}, ""),
        ({}, ""),
    ],
)
def test_a_copy_goes_the_way_that_the_environment_has(
    environ: dict[str, str], way: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    text = "words, 日本 and\nlines"
    sent = copying.send(text, environ={**environ, "PATH": str(programs)}, fallback=tmp_path / "last.txt")
    assert sent.ways == ((way,) if way else ())
    assert sent.by_terminal
    if way:
        assert (tmp_path / f"{way}.input").read_text() == text
    assert sent.sentence(text).startswith("19 characters sent to " + (f"{way}, terminal" if way else "terminal"))


def test_what_is_too_long_for_a_terminal_goes_to_a_private_file(tmp_path: Path):
    text = "x" * 80_000
    sent = copying.send(text, environ={}, fallback=tmp_path / "state" / "last.txt")
    assert not sent.by_terminal
    assert (tmp_path / "state" / "last.txt").read_text() == text
    assert stat.S_IMODE((tmp_path / "state" / "last.txt").stat().st_mode) == 0o600
    assert "last.txt" in sent.sentence(text)


def test_a_program_that_fails_is_not_named(tmp_path: Path):
    sent = copying.send("x", environ={"TMUX": "1", "PATH": "/nonexistent"}, fallback=tmp_path / "last.txt")
    assert sent.ways == () or sent.ways == ("tmux",)


@pytest.fixture
def in_tmux(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("TMUX", "fake")


async def test_an_answer_a_quote_and_code_are_copied_by_key(open_chat: Any, tmp_path: Path, in_tmux: None):
    copied = tmp_path / "tmux.input"

    def holds(text: str) -> bool:
        return copied.exists() and copied.read_text() == text

    async with open_chat(f"{LENGTH}\n\n```python\nlength = 420\nprint(length)\n```") as chat:
        reply = await chat.ask(QUESTION)
        await chat.press("f9")
        await chat.until(lambda: holds(reply.answer.cited_text))
        assert any("sent to tmux, terminal" in toast for toast in chat.toasts)
        assert (tmp_path / "tmux.arguments").read_text().split() == ["load-buffer", "-w", "-"]
        chat.screen.transcript.focus()
        await chat.press("c")
        await chat.until(lambda: holds("length = 420\nprint(length)"))
        await chat.press("q")
        await chat.until(lambda: copied.read_text().startswith("“") and "(causeway.md:" in copied.read_text())
        await chat.press("up", "up", "y")
        await chat.until(lambda: holds(QUESTION))


async def test_which_of_several_code_blocks_is_asked(open_chat: Any, tmp_path: Path, in_tmux: None):
    async with open_chat(f"{LENGTH}\n\n```\none\n```\n\n```\ntwo\n```") as chat:
        await chat.ask(QUESTION)
        chat.screen.transcript.focus()
        await chat.press("c")
        await chat.until(lambda: len(chat.app.screen_stack) == 2 and chat.app.screen.shown)
        await chat.press("down", "enter")
        await chat.until(lambda: (tmp_path / "tmux.input").exists() and (tmp_path / "tmux.input").read_text() == "two")


async def test_what_the_mouse_marks_is_copied_as_text_without_wrapping(open_chat: Any, tmp_path: Path, in_tmux: None):
    words = "The causeway to the Calf is 420 metres long " + " ".join(f"and{n}" for n in range(30))
    async with open_chat(words, size=(60, 30)) as chat:
        await chat.ask(QUESTION)
        transcript = chat.screen.transcript
        row = next(y for y in range(40) if (line := transcript.line_at(y)) and line.text.startswith("The causeway"))
        top = row - round(transcript.scroll_y)
        await chat.pilot.mouse_down(transcript, offset=(2, top))
        await chat.pilot.hover(transcript, offset=(30, top + 3))
        await chat.pilot.mouse_up(transcript, offset=(57, top + 3))
        await chat.press("ctrl+c")
        await chat.until(
            lambda: (tmp_path / "tmux.input").exists() and "and20" in (tmp_path / "tmux.input").read_text()
        )
        assert "\n" not in (tmp_path / "tmux.input").read_text().strip()


def passage(file: Path, **changes: Any) -> Passage:
    values: dict[str, Any] = {
        "number": 1, "document_id": "d", "path": str(file), "title": "", "heading": "", "page": None, "page_label": "",
        "start_line": 7, "end_line": 9, "lines_match": True, "text": "t", "content_hash": "h",
        "media_type": "text/markdown", "score": 1.0,
    }  # fmt: skip
    return Passage(**{**values, **changes})


def test_a_source_opens_in_the_editor_at_its_line_or_in_the_viewer(tmp_path: Path):
    note, scan = tmp_path / "a note.md", tmp_path / "scan.pdf"
    note.touch()
    scan.touch()
    assert opening.opener(passage(note), 7, {"EDITOR": "vi -R"}).command == ("vi", "-R", "+7", str(note))
    assert opening.opener(passage(note), 7, {"VISUAL": "code", "EDITOR": "vi"}).command == (
        "code",
        "--goto",
        f"{note}:7",
    )
    viewer = tmp_path / "xdg-open"
    viewer.write_text("#!/bin/sh\n")
    viewer.chmod(0o755)
    environ = {"EDITOR": "vi", "DISPLAY": ":0", "PATH": str(tmp_path)}
    chosen = opening.opener(passage(scan, lines_match=False, page=3), 1, environ)
    assert chosen.command[-1] == str(scan)
    assert not chosen.takes_terminal


def test_a_source_that_is_gone_or_cannot_be_opened_says_so(tmp_path: Path):
    with pytest.raises(NotFound, match="not there any more"):
        opening.opener(passage(tmp_path / "gone.md"), 1, {})
    (tmp_path / "scan.pdf").touch()
    with pytest.raises(NotFound, match="nothing here opens"):
        opening.opener(passage(tmp_path / "scan.pdf", lines_match=False), 1, {"PATH": "/nonexistent"})


def test_the_line_of_the_supporting_words_is_counted_in_the_passage():
    found = passage(Path("x.md"), text="one\ntwo\nthree is here\n", start_line=10)
    assert opening.line_of(found, "three is") == 12
    assert opening.line_of(found, "not there") == 10
    assert opening.line_of(passage(Path("x.pdf"), lines_match=False), "t") == 7
