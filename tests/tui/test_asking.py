"""Asking on the main screen: marks, refusals, queueing, stopping, other versions of a turn."""

from __future__ import annotations

import re
from typing import Any

from termrag.records import Verdict
from termrag.turns import TurnState

QUESTION = "How long is the causeway to the Calf?"
LENGTH = "The causeway to the Calf is 420 metres long."
ENDLESS = " ".join(f"word{n}" for n in range(40_000))


async def test_a_supported_sentence_carries_the_number_of_its_source(open_chat: Any):
    async with open_chat(LENGTH) as chat:
        reply = await chat.ask(QUESTION)
        assert reply.answer.verdict is Verdict.GROUNDED
        assert re.search(r"420 metres long. \[\d\]", chat.text)
        assert chat.line_of("termrag").strip().startswith("termrag")
        assert chat.screen.sources_pane.passages[0].path.endswith("causeway.md")


async def test_an_unsupported_sentence_is_marked(open_chat: Any):
    async with open_chat(f"{LENGTH} It was painted green by elephants from Mars in 1950.") as chat:
        await chat.ask(QUESTION)
        assert "in 1950. [?]" in chat.text
        assert "without support" in chat.text


async def test_a_refusal_looks_like_one(open_chat: Any):
    async with open_chat("never said") as chat:
        reply = await chat.ask("Which quasar spectroscopy pipeline was deployed in Reykjavik?")
        assert reply.is_refused
        assert "not in your documents" in chat.text
        assert "never said" not in chat.text


async def test_an_error_is_a_toast_and_no_answer(open_chat: Any):
    async with open_chat("", library=True) as chat:
        reply = await chat.ask(QUESTION)
        assert reply.state is TurnState.FAILED
        await chat.until(lambda: any("models.script is empty" in toast for toast in chat.toasts))
        assert "no answer" in chat.text
        assert "models.script" not in chat.text
        assert QUESTION in chat.text


async def test_what_is_sent_while_an_answer_streams_waits_for_its_turn(open_chat: Any):
    async with open_chat(ENDLESS) as chat:
        await chat.type("When does the last ferry leave Vessa?")
        await chat.until(lambda: chat.replies and chat.replies[0].plain)
        await chat.type(QUESTION)
        assert [question.queued for question in chat.questions] == [False, True]
        assert "waiting" in chat.text
        await chat.press("escape")
        await chat.until(lambda: len(chat.replies) == 2 and chat.replies[1].plain)
        assert [question.queued for question in chat.questions] == [False, False]
        await chat.press("escape")
        await chat.until(lambda: chat.screen.asking is None)
        assert [reply.state for reply in chat.replies] == [TurnState.STOPPED, TurnState.STOPPED]


async def test_escape_stops_at_once_and_keeps_what_came(open_chat: Any):
    async with open_chat(ENDLESS) as chat:
        await chat.type(QUESTION)
        await chat.until(lambda: chat.replies and len(chat.replies[0].plain) > 200)
        await chat.press("escape")
        kept = chat.replies[0].plain
        assert chat.replies[0].state is TurnState.STOPPED
        assert "■ stopped" in chat.text
        await chat.until(lambda: chat.screen.asking is None)
        assert chat.replies[0].plain == kept
        assert chat.app.focused is chat.screen.composer
        session = await chat.app.rag.session("last")
        assert session.turns[0].state is TurnState.STOPPED
        assert kept.startswith(session.turns[0].answer.text[:100])


async def test_escape_never_leaves_the_app(open_chat: Any):
    async with open_chat() as chat:
        await chat.press("escape", "escape", "escape")
        assert chat.app.is_running
        assert chat.app.focused is chat.screen.composer


async def test_asking_again_makes_another_version_of_the_turn(open_chat: Any):
    async with open_chat("First answer.\n---\nSecond answer.") as chat:
        first = await chat.ask(QUESTION)
        await chat.press("shift+tab")
        chat.screen.transcript.focus()
        await chat.press("r")
        await chat.until(lambda: chat.replies and chat.replies[0] is not first and chat.screen.asking is None)
        assert len(chat.questions) == 1
        assert "Second answer." in chat.text
        assert "First answer." not in chat.text
        chat.screen.transcript.focus()
        await chat.press("up", "left_square_bracket")
        await chat.until(lambda: "First answer." in chat.text)
        chat.screen.transcript.focus()
        await chat.press("up", "up")
        await chat.until(lambda: "version 1 of 2" in chat.text)


async def test_an_edited_question_begins_a_branch_and_the_old_one_is_kept(open_chat: Any):
    async with open_chat("One.\n---\nTwo.\n---\nThree.") as chat:
        await chat.ask(QUESTION)
        await chat.ask("And its age?")
        chat.screen.transcript.focus()
        await chat.press("up", "up", "up", "e")
        assert chat.screen.composer.text == QUESTION
        assert "editing" in str(chat.screen.composer.border_title)
        chat.screen.composer.fill("How long is the causeway in metres?")
        await chat.press("enter")
        await chat.until(lambda: "Three." in chat.text and chat.screen.asking is None)
        assert [question.question for question in chat.questions] == ["How long is the causeway in metres?"]
        versions = await chat.app.rag.branches(chat.questions[0].turn.id)
        assert [turn.question for turn in versions] == [QUESTION, "How long is the causeway in metres?"]


async def test_escape_gives_up_editing(open_chat: Any):
    async with open_chat("One.") as chat:
        await chat.ask(QUESTION)
        chat.screen.transcript.focus()
        await chat.press("e", "escape")
        assert chat.screen.composer.text == ""
        await chat.ask("Another question about the causeway?")
        assert len(chat.questions) == 2


async def test_other_sources_leave_out_those_of_the_answer(open_chat: Any):
    async with open_chat(LENGTH, retrieval={"passages": 1}) as chat:
        reply = await chat.ask(QUESTION)
        used = {passage.path for passage in reply.answer.passages}
        chat.screen.transcript.focus()
        await chat.press("o")
        await chat.until(lambda: chat.replies and chat.replies[-1] is not reply and chat.screen.asking is None)
        assert used.isdisjoint(passage.path for passage in chat.replies[-1].answer.passages)


async def test_without_documents_the_model_is_asked_alone(open_chat: Any):
    async with open_chat("Hello to you.") as chat:
        await chat.ask("Which quasar spectroscopy pipeline was deployed in Reykjavik?")
        chat.screen.transcript.focus()
        await chat.press("g")
        await chat.until(lambda: "Hello to you." in chat.text and chat.screen.asking is None)
        assert chat.replies[-1].answer.verdict is Verdict.GENERAL


async def test_a_document_named_with_an_at_sign_limits_the_answers(open_chat: Any):
    async with open_chat(LENGTH, size=(100, 30)) as chat:
        await chat.press("@")
        await chat.until(lambda: len(chat.app.screen_stack) == 2 and chat.app.screen.shown)
        await chat.press(*"hstl")
        assert [choice.name for choice in chat.app.screen.shown] == ["hostel.md"]
        await chat.press("enter")
        await chat.until(lambda: chat.screen.limits)
        assert "@hostel.md" in str(chat.screen.composer.border_subtitle)
        reply = await chat.ask("How many beds does the hostel have?")
        assert {passage.path.rsplit("/", 1)[-1] for passage in reply.answer.passages} == {"hostel.md"}
        await chat.press("@")
        await chat.until(lambda: len(chat.app.screen_stack) == 2 and chat.app.screen.shown)
        await chat.press("enter")
        await chat.until(lambda: not chat.screen.limits)
