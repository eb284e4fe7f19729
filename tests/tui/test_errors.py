"""What goes wrong while one asks: every cause is told with the keys that mend it, none as an answer, none as a
traceback. And what is told while one waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engines.endpoint_server import BreakAfter, Refuse, running_server
from termrag.errors import LibraryBusy, ModelMissing, TermragError
from termrag.events import Downloading, Loading, Reading, Searching
from termrag.ledger import Ledger
from termrag.stores.failures import unavailable
from termrag.tui.asking import Asking, Order
from termrag.tui.entries import Question, Reply, Work
from termrag.turns import TurnState
from tui.conftest import ENDLESS, Chat

QUESTION = "How long is the causeway to the Calf?"
LENGTH = "The causeway to the Calf is 420 metres long."


def remote(url: str, **more: Any) -> dict[str, Any]:
    return {
        "models": {"engine": "openai"},
        "openai": {"url": url, "model": "scripted", **more},
        "generation": {"max_tokens": 300},
    }


async def failed(chat: Chat, *words: str) -> None:
    """Ask, and find the words in a toast and nothing of them in the conversation."""
    reply = await chat.ask(QUESTION)
    assert reply.state is TurnState.FAILED
    await chat.until(lambda: any(all(word in toast for word in words) for toast in chat.toasts))
    assert "no answer" in chat.text
    assert words[0] not in chat.text
    assert "Traceback" not in chat.app.export_screenshot()


async def test_an_endpoint_that_refuses_the_connection(open_chat: Any):
    async with open_chat(**remote("http://127.0.0.1:9/v1")) as chat:
        await failed(chat, "cannot be reached", "Ctrl+R asks again", "F2 connection", "F6 another model")


async def test_an_endpoint_that_stays_silent(open_chat: Any):
    with running_server(LENGTH) as server:
        server.silent.set()
        async with open_chat(**remote(server.url, timeout_s=0.3)) as chat:
            await failed(chat, server.url, "Ctrl+R asks again", "F2 connection")


async def test_an_endpoint_that_refuses_the_key(open_chat: Any):
    with running_server(LENGTH) as server:
        server.faults = [Refuse(401)]
        async with open_chat(**remote(server.url)) as chat:
            await failed(chat, "answered 401", "F2 Connection: the API key")
            assert chat.screen.composer.text == ""
            await chat.press("ctrl+r")
            await chat.until(lambda: chat.replies and chat.replies[-1].state is TurnState.DONE)
            assert "420 metres" in chat.text


async def test_a_connection_that_breaks_keeps_what_came_and_says_so(open_chat: Any):
    with running_server(f"{LENGTH} {ENDLESS[:900]}") as server:
        server.faults = [BreakAfter(40)]
        async with open_chat(**remote(server.url)) as chat:
            reply = await chat.ask(QUESTION)
            assert "420 metres" in reply.plain
            await chat.until(lambda: any("connection to the model broke" in toast for toast in chat.toasts))


async def test_an_answer_that_is_cut_off_says_so_and_goes_on_by_key(open_chat: Any):
    script = f"{LENGTH} It was built in 1891 of grey stone by the islanders.\n---\nIt was built in 1891."
    async with open_chat(script, generation={"max_tokens": 14}) as chat:
        reply = await chat.ask(QUESTION)
        assert reply.answer.is_cut_off
        assert "cut off after 14 tokens  F5 goes on" in chat.text
        await chat.press("f5")
        await chat.until(lambda: len(chat.replies) == 2 and chat.screen.asking is None)
        assert chat.questions[1].question == "Go on."
        assert "1891" in chat.replies[1].plain
        assert not chat.replies[1].answer.is_cut_off
        await chat.press("f5")
        await chat.until(lambda: any("complete" in toast for toast in chat.toasts))
        session = await chat.app.rag.session("last")
        assert [turn.answer.is_cut_off for turn in session.turns] == [True, False]


async def test_a_refusal_names_the_keys_that_go_on(open_chat: Any):
    async with open_chat("never said") as chat:
        await chat.ask("Which quasar spectroscopy pipeline was deployed in Reykjavik?")
        assert "g asks the model without documents" in chat.text
        chat.screen.transcript.focus()
        await chat.press("i")
        await chat.until(lambda: type(chat.app.screen).__name__ == "DetailsScreen")
        assert "not found" in chat.app.screen.content.plain
        assert chat.toasts == []


async def test_details_tell_why_there_is_no_answer_and_what_the_prompt_held(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        reply = await chat.ask(QUESTION)
        chat.screen.transcript.focus()
        await chat.press("i")
        await chat.until(lambda: type(chat.app.screen).__name__ == "DetailsScreen")
        text = chat.app.screen.content.plain
        assert f"Context: {reply.answer.budget.total} of" in text
        assert "causeway.md" in text
        await chat.press("y")
        await chat.until(lambda: any("characters sent" in toast for toast in chat.toasts))
        await chat.press("escape")
    async with open_chat("") as chat:
        await chat.ask(QUESTION)
        chat.screen.transcript.focus()
        await chat.press("i")
        await chat.until(lambda: type(chat.app.screen).__name__ == "DetailsScreen")
        assert "models.script is empty" in chat.app.screen.content.plain


async def test_a_library_that_another_process_writes_to(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        folder = chat.app.paths.library
        with (
            Ledger(folder) as writer,
            writer.lock(),
            Ledger(folder) as other,
            pytest.raises(LibraryBusy) as busy,
            other.lock(0),
        ):
            pass
        chat.app.report(busy.value)
        await chat.until(lambda: any("in a moment" in toast and "writing" in toast for toast in chat.toasts))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (unavailable(OSError("No space left on device (os error 28)")), ("the disk is full", "Free some disk space")),
        (LibraryBusy("another process is writing", ""), ("another process", "Ctrl+R asks again in a moment")),
        (ModelMissing("x is not on this machine", "termrag models pull x"), ("not on this machine", "F6 fetches")),
    ],
)
async def test_errors_name_the_keys_that_mend_them(open_chat: Any, error: TermragError, words: tuple[str, ...]):
    async with open_chat() as chat:
        chat.app.report(error, asked=True)
        await chat.until(lambda: chat.toasts)
        assert all(word in chat.toasts[0] for word in words)


async def test_a_fault_of_its_own_is_a_sentence_and_the_traceback_goes_to_the_log(open_chat: Any):
    async with open_chat() as chat:

        async def fail() -> None:
            raise ZeroDivisionError("a fault")

        chat.app.run_worker(fail(), exit_on_error=False)
        await chat.until(lambda: any("unexpected error: a fault" in toast for toast in chat.toasts))
        assert "Traceback" not in chat.app.export_screenshot()
        assert chat.app.is_running


def test_a_search_is_told_only_if_it_takes_long():
    work = Work()
    work.enter("searching")
    assert work.line(work.began + 0.1, "Esc") == ""
    assert "searching" in work.line(work.began + 0.2, "Esc")


def test_what_is_waited_for_is_told_with_figures():
    reply = Reply("e2", str)
    asking = Asking(Order("q"), Question("e1", "q", 0.0), reply, 100)
    asking.take(Searching("q"))
    asking.take(Loading("llama"))
    assert "loading llama 4 s" in reply.work.line(reply.work.began + 4, "Esc")
    asking.take(Downloading("model.gguf", 250, 1000))
    assert "fetching model.gguf ██░░░░░░░░ 25 %" in reply.work.line(reply.work.began, "Esc")
    asking.take(Reading(600, 1200))
    assert "█████░░░░░ 600/1200 tokens" in reply.work.line(reply.work.began, "Esc")


async def test_a_terminal_that_is_too_small_says_so_and_goes_on(open_chat: Any):
    async with open_chat(ENDLESS) as chat:
        await chat.type(QUESTION)
        await chat.until(lambda: chat.replies and chat.replies[0].plain)
        await chat.pilot.resize_terminal(32, 9)
        await chat.until(lambda: type(chat.app.screen).__name__ == "TooSmallScreen")
        said = str(chat.app.screen.query_one("#too-small").content)
        assert "40×12" in said and "32×9" in said
        before = len(chat.replies[0].plain)
        await chat.until(lambda: len(chat.replies[0].plain) > before)
        await chat.pilot.resize_terminal(80, 24)
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.press("escape")
        await chat.until(lambda: chat.screen.asking is None)
        await asyncio.wait_for(chat.app.workers.wait_for_complete(), 20)
