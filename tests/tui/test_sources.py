"""Sources: listed beside the answer, opened where they stand, the supporting words highlighted."""

from __future__ import annotations

from typing import Any

from textual.widgets import Static

from termrag.tui.screens.source import SourceScreen

QUESTION = "How long is the causeway to the Calf?"
LENGTH = "The causeway to the Calf is 420 metres long."


def shown(chat: Any) -> Any:
    return chat.app.screen.query_one("#source-text", Static).visual


async def test_a_number_opens_the_source_with_its_words_highlighted(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        reply = await chat.ask(QUESTION)
        number = reply.answer.sentences[0].citations[0].number
        chat.screen.transcript.focus()
        await chat.press(str(number))
        await chat.until(lambda: isinstance(chat.app.screen, SourceScreen) and LENGTH in str(shown(chat)))
        content = shown(chat)
        lit = ["".join(content.plain[span.start : span.end]) for span in content.spans if "$warning" in str(span.style)]
        assert lit and lit[0] in LENGTH
        title = chat.app.screen.query_one(".dialog").border_title
        assert "causeway.md" in str(title)
        await chat.press("right_square_bracket")
        await chat.until(lambda: chat.app.screen.query_one(".dialog").border_title != title)
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)


async def test_a_mark_in_the_answer_is_clicked_open(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        transcript = chat.screen.transcript
        row = next(y for y in range(20) if (line := transcript.line_at(y)) and line.text.startswith("The causeway"))
        column = transcript.line_at(row).strip.text.index("[") + 1
        await chat.pilot.click(transcript, offset=(column, row - round(transcript.scroll_y)))
        await chat.until(lambda: isinstance(chat.app.screen, SourceScreen))


async def test_the_pane_lists_what_was_quoted_first_and_enter_opens_it(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        pane = chat.screen.sources_pane
        assert pane.passages[0].path.endswith("causeway.md")
        assert pane.quotes[pane.passages[0].number] in LENGTH
        pane.focus()
        await chat.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, SourceScreen) and LENGTH in str(shown(chat)))


async def test_a_number_without_a_source_says_so(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        chat.screen.transcript.focus()
        await chat.press("9")
        await chat.until(lambda: any("no source 9" in toast for toast in chat.toasts))


async def test_a_source_whose_file_is_gone_says_so(open_chat: Any, monkeypatch: Any):
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    async with open_chat(LENGTH) as chat:
        await chat.ask(QUESTION)
        chat.screen.sources_pane.focus()
        await chat.press("o")
        await chat.until(lambda: any("nothing here opens" in toast for toast in chat.toasts))
