"""Scrolling: the end is followed until the user scrolls away, and what is in view stays where it is."""

from __future__ import annotations

from typing import Any

import pytest

from termrag.events import Token
from termrag.records import Answer, Sentence, Support, Verdict
from termrag.tui.asking import Asking, Order
from termrag.tui.entries import Question, Reply
from termrag.turns import Session, SessionInfo, Turn, TurnState


def streaming(chat: Any) -> Asking:
    """An answer that streams as the test feeds it."""
    order = Order("How?")
    asking = Asking(order, Question("q", "How?", 1.7e9), Reply("r", lambda target: "screen.nothing"), 4000)
    chat.screen.transcript.add(asking.question, asking.reply)
    chat.screen.asking = asking
    return asking


async def feed(chat: Any, asking: Asking, count: int, start: int = 0) -> None:
    for n in range(start, start + count):
        asking.take(Token(f"word{n} " + ("\n\n" if n % 40 == 39 else "")))
        if n % 20 == 19:
            chat.screen._tick()
            await chat.pilot.pause()


def top(chat: Any) -> str:
    transcript = chat.screen.transcript
    return transcript.line_at(round(transcript.scroll_y)).text


async def test_the_end_is_followed_until_the_user_scrolls_up_and_again_at_the_end(open_chat: Any):
    async with open_chat(library=False) as chat:
        transcript = chat.screen.transcript
        asking = streaming(chat)
        await feed(chat, asking, 1000)
        assert transcript.is_vertical_scroll_end
        transcript.scroll_up(animate=False)
        await chat.pilot.pause()
        seen, at = top(chat), transcript.scroll_y
        await feed(chat, asking, 400, 1000)
        assert (top(chat), transcript.scroll_y) == (seen, at)
        assert "lines below" in str(transcript.border_subtitle)
        transcript.focus()
        await chat.press("end")
        await feed(chat, asking, 200, 1400)
        assert transcript.is_vertical_scroll_end
        assert not transcript.border_subtitle
        await chat.press("pageup")
        await chat.pilot.pause()
        at = transcript.scroll_y
        assert at < transcript.max_scroll_y
        await feed(chat, asking, 200, 1600)
        assert transcript.scroll_y == at
        chat.screen.asking = None


@pytest.mark.parametrize("scroll", ["action_page_up", "action_scroll_up"])
async def test_text_that_arrives_right_after_a_key_does_not_undo_it(open_chat: Any, scroll: str):
    async with open_chat(library=False) as chat:
        transcript = chat.screen.transcript
        asking = streaming(chat)
        await feed(chat, asking, 600)
        end = transcript.max_scroll_y
        getattr(transcript, scroll)()
        await feed(chat, asking, 200, 600)
        assert transcript.scroll_y < end < transcript.max_scroll_y
        chat.screen.asking = None


async def test_a_growing_input_and_a_new_size_keep_the_end_in_view(open_chat: Any):
    async with open_chat(library=False) as chat:
        asking = streaming(chat)
        await feed(chat, asking, 600)
        chat.screen.composer.fill("\n".join("lines"))
        await chat.until(lambda: chat.screen.transcript.is_vertical_scroll_end)
        await chat.pilot.resize_terminal(70, 20)
        await chat.until(lambda: chat.screen.transcript.is_vertical_scroll_end)
        chat.screen.asking = None


def long_session(turns: int) -> Session:
    def turn(number: int) -> Turn:
        text = f"Answer {number}.\n\n- one\n- two\n\n```python\nx = {number}\n```\n"
        answer = Answer("q", Verdict.GENERAL, text, text, (Sentence(text, Support.NEUTRAL),))
        return Turn(f"t{number}", "s", number, f"Question {number}?", "", TurnState.DONE, 1.7e9, answer)

    return Session(SessionInfo("s", "Long", 1.7e9, 1.7e9, turns), tuple(turn(n) for n in range(turns)))


async def test_a_long_conversation_draws_its_end_first_and_its_beginning_when_it_is_reached(open_chat: Any):
    async with open_chat(library=False) as chat:
        transcript = chat.screen.transcript
        chat.screen.show_session(long_session(300))
        await chat.pilot.pause()
        assert "Answer 299." in chat.text
        drawn = len(transcript.entries) - transcript._drawn_from
        assert drawn <= 40
        assert len(list(chat.screen.query("*"))) < 60
        transcript.focus()
        await chat.press("home")
        await chat.until(lambda: "Question 0?" in (line.text if (line := transcript.line_at(1)) else ""))
        assert transcript.scroll_y == 0


async def test_older_messages_come_in_above_without_moving_what_is_in_view(open_chat: Any):
    async with open_chat(library=False) as chat:
        transcript = chat.screen.transcript
        chat.screen.show_session(long_session(100))
        await chat.pilot.pause()
        before = transcript._drawn_from
        transcript.scroll_to(y=transcript.size.height + 2, animate=False, immediate=True)
        await chat.pilot.pause()
        transcript.scroll_to(y=transcript.size.height - 2, animate=False, immediate=True)
        seen = top(chat)
        await chat.until(lambda: transcript._drawn_from < before)
        await chat.pilot.pause()
        assert top(chat) == seen


async def test_keys_move_from_message_to_message_and_bring_them_into_view(open_chat: Any):
    async with open_chat(library=False) as chat:
        transcript = chat.screen.transcript
        chat.screen.show_session(long_session(30))
        await chat.pilot.pause()
        transcript.focus()
        for _ in range(40):
            await chat.press("k")
        assert isinstance(transcript.current, Question | Reply)
        index = transcript.entries.index(transcript.current)
        assert index == 60 - 40
        await chat.press("down")
        assert transcript.entries.index(transcript.current) == 21
        await chat.press("end")
        assert transcript.current is None
        assert transcript.is_vertical_scroll_end


async def test_another_theme_draws_everything_anew(open_chat: Any):
    async with open_chat(library=False) as chat:
        chat.screen.show_session(long_session(3))
        await chat.pilot.pause()
        before = chat.screen.transcript.line_at(1).strip
        await chat.press("f7")
        await chat.until(lambda: chat.app.theme == "termrag-light")
        await chat.until(lambda: chat.screen.transcript.line_at(1).strip != before)
        await chat.until(lambda: chat.app.settings.tui.theme == "termrag-light")


@pytest.mark.parametrize("width", [20, 40, 100])
async def test_a_table_is_never_wider_than_the_screen(open_chat: Any, width: int):
    rows = (
        "| a long heading | another | third |\n|---|---|---|\n"
        + "| some words that are long | 日本語日本語 | x |\n" * 3
    )
    answer = Answer("q", Verdict.GENERAL, rows, rows, (Sentence(rows, Support.NEUTRAL),))
    turn = Turn("t", "s", 0, "Table?", "", TurnState.DONE, 1.7e9, answer)
    async with open_chat(library=False, size=(width, 24)) as chat:
        chat.screen.show_session(Session(SessionInfo("s", "T", 1.7e9, 1.7e9, 1), (turn,)))
        await chat.pilot.pause()
        transcript = chat.screen.transcript
        widths = [transcript.line_at(y).strip.cell_length for y in range(round(transcript.virtual_size.height))]
        assert max(widths) <= transcript.size.width
