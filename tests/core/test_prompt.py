"""What goes into a prompt is counted to the token, and what does not is named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from termrag.errors import EngineFailed
from termrag.memory import Memory, turns_of
from termrag.prompt import pack
from termrag.records import Message, Passage


def count(messages: Sequence[Message]) -> int:
    """Words plus a frame of three per message, as a chat template would add."""
    return sum(3 + len(message.content.split()) for message in messages) + 2


def passage(number: int, text: str, score: float) -> Passage:
    return Passage(
        number=number,
        document_id=f"d{number}",
        path=f"/notes/{number}.md",
        title="",
        heading="Ferry",
        page=None,
        page_label="",
        start_line=1,
        end_line=4,
        lines_match=True,
        text=text,
        content_hash="",
        media_type="text/markdown",
        score=score,
    )


texts = st.text("abc \n", min_size=1, max_size=200)
passages = st.lists(st.tuples(texts, st.floats(0, 1)), max_size=6).map(
    lambda drawn: [passage(number, text, score) for number, (text, score) in enumerate(drawn, 1)]
)
memories = st.lists(st.tuples(texts, texts), max_size=4).map(
    lambda drawn: Memory(turns_of([message for pair in drawn for message in said(*pair)]))
)


def said(question: str, answer: str) -> tuple[Message, Message]:
    return Message("user", question), Message("assistant", answer)


@given(passages, memories, st.integers(80, 600))
def test_the_ledger_sums_to_the_prompt_and_the_prompt_fits(drawn, memory, limit):
    prompt = pack("when does it leave", drawn, memory=memory, limit=limit, count=count)
    went_in = [line for line in prompt.budget.lines if not line.cut]
    assert sum(line.tokens for line in went_in) == count(prompt.messages) == prompt.budget.total
    assert prompt.budget.total <= limit


@given(passages, st.integers(80, 600))
def test_every_passage_went_in_or_is_named_as_cut(drawn, limit):
    prompt = pack("when does it leave", drawn, limit=limit, count=count)
    cut = [line for line in prompt.budget.lines if line.cut]
    assert len(prompt.passages) + len(cut) == len(drawn)
    assert [each.number for each in prompt.passages] == list(range(1, len(prompt.passages) + 1))


def test_the_weakest_passage_gives_way_first():
    drawn = [passage(1, "word " * 60, 0.2), passage(2, "word " * 60, 0.9)]
    prompt = pack("when", drawn, limit=130, count=count)
    assert [each.document_id for each in prompt.passages] == ["d2"]


def test_history_gives_way_before_the_last_passage():
    memory = Memory(turns_of(said("word " * 50, "word " * 50) * 4))
    prompt = pack("when", [passage(1, "word " * 40, 0.9)], memory=memory, limit=250, count=count)
    assert len(prompt.passages) == 1
    assert any("oldest" in line.cut for line in prompt.budget.lines)


def test_the_instructions_are_the_same_for_every_question():
    first = pack("when", [passage(1, "a", 1.0)], limit=500, count=count)
    second = pack("where", [passage(2, "b", 1.0)], limit=500, count=count)
    assert first.messages[0] == second.messages[0]


def test_a_question_that_cannot_fit_says_so_with_the_numbers():
    with pytest.raises(EngineFailed, match="leaves 10"):
        pack("word " * 100, [], limit=10, count=count)


def test_a_small_model_is_shown_the_nearest_sentences_of_the_same_passages():
    ferry = "The ferry is white. It leaves Vessa at 19:00 in summer. Dogs travel free. " + "Nothing happens here. " * 40
    prompt = pack("When does the ferry leave Vessa?", [passage(1, ferry, 0.9)], limit=900, count=count, characters=200)
    asked = prompt.messages[-1].content
    assert "19:00" in asked
    assert asked.count("Nothing happens") < 10
    assert prompt.passages[0].text == ferry
    assert any("nearest sentences" in line.cut for line in prompt.budget.lines)
    went_in = [line for line in prompt.budget.lines if not line.cut]
    assert sum(line.tokens for line in went_in) == count(prompt.messages)
