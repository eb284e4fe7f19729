"""A conversation of any length fits the window, nothing is lost in silence, the prompt's beginning stays the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.tiny import write_tiny_gguf
from termrag.engines import Engine
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.memory import Memory, recall, remember
from termrag.prompt import Prompt, pack
from termrag.records import Answer, Budget, Message, Passage, Sentence, Support, Verdict
from termrag.turns import Turn, TurnState

WINDOW = 1500


def count(messages: Sequence[Message]) -> int:
    """Words plus a frame of three per message, as a chat template would add."""
    return sum(3 + len(message.content.split()) for message in messages) + 2


def turn(number: int, question: str = "", said: str = "", passages: tuple[Passage, ...] = ()) -> Turn:
    question = question or f"How many steps has light number {number}, and who keeps it?"
    said = said or f"Light {number} has {number} steps. " + "The keeper writes the wind down every evening. " * 3
    sentences = (Sentence(said.split(". ")[0] + ".", Support.SUPPORTED), Sentence(said, Support.NEUTRAL))
    answer = Answer(question, Verdict.GROUNDED, said, said, sentences=sentences, passages=passages)
    return Turn(f"t{number}", "s", number, question, question, TurnState.DONE, float(number), answer)


def passage(number: int, *, score: float = 0.5, words: int = 40, content: str = "h") -> Passage:
    return Passage(
        number=number,
        document_id=f"d{number}",
        path=f"/notes/{number}.md",
        title="",
        heading="Lights",
        page=None,
        page_label="",
        start_line=1,
        end_line=4,
        lines_match=True,
        text="word " * words,
        content_hash=content,
        media_type="text/markdown",
        score=score,
        chunk_ids=(f"d{number}#000000",),
    )


def packed(turns: Sequence[Turn], passages: Sequence[Passage], question: str = "And the last?") -> Prompt:
    return pack(question, passages, memory=remember(turns, WINDOW // 2), limit=WINDOW, count=count)


def turns_in(budget: Budget) -> int:
    """How many turns of the conversation the ledger accounts for: in full, shortened, dropped."""
    whole = ("in full", "shortened", "of the conversation", "without an answer")
    return sum(
        int(line.part.split()[0])
        for line in budget.lines
        if line.part.split()[0].isdigit() and line.part.endswith(whole)
    )


def test_a_conversation_of_any_length_fits_and_every_turn_is_accounted_for() -> None:
    turns: list[Turn] = []
    for number in range(150):
        prompt = packed(turns, [passage(number * 3 + each) for each in range(3)])
        assert count(prompt.messages) == prompt.budget.total <= WINDOW
        assert sum(line.tokens for line in prompt.budget.lines if not line.cut) == prompt.budget.total
        assert turns_in(prompt.budget) == len(turns)
        assert len(prompt.passages) == 3
        turns.append(turn(number))
    cut = {line.cut for line in prompt.budget.lines if line.cut}
    assert len(cut) == 2  # shortened, dropped


def test_the_last_turn_is_there_in_full_and_older_ones_keep_what_answers() -> None:
    messages = packed([turn(number) for number in range(30)], []).messages
    assert messages[-2].content == turn(29).answer.text  # type: ignore[union-attr]
    assert "Light 29 has 29 steps." in messages[-2].content
    short = [message.content for message in messages if message.content.endswith("steps.")]
    assert len(short) >= 2
    assert all("evening" not in text for text in short)


def test_the_beginning_of_the_prompt_changes_seldom() -> None:
    turns, before, kept = [turn(0)], packed([turn(0)], []).messages, 0
    for number in range(1, 120):
        turns.append(turn(number))
        after = packed(turns, [passage(number)]).messages
        kept += after[: len(before) - 1] == before[:-1]
        before = after
    assert kept >= 0.75 * 119


def test_turns_without_an_answer_are_named() -> None:
    refused = replace(turn(1), answer=replace(turn(1).answer, text="", sentences=()))  # type: ignore[type-var]
    prompt = packed([turn(0), refused], [])
    assert ("1 turn without an answer", "nothing was answered") in [
        (each.part, each.cut) for each in prompt.budget.lines
    ]
    assert all(refused.question not in message.content for message in prompt.messages)


def test_one_endless_answer_does_not_keep_the_next_question_from_fitting() -> None:
    prompt = packed([turn(0, said="An endless story. " * 5000)], [passage(1)])
    assert prompt.budget.total <= WINDOW
    assert len(prompt.passages) == 1
    assert any("no room" in line.cut for line in prompt.budget.lines)


# --- the same passages again -------------------------------------------------------------------------------------


def test_a_turn_whose_passages_serve_again_stays_as_it_was() -> None:
    found = tuple(passage(number) for number in range(1, 6))
    first = packed([], found, "How many?")
    turns = [turn(0, "How many?", passages=first.passages)]
    second = packed(turns, found, "And why?")
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-1].content == "And why?"
    assert second.passages == first.passages
    turns.append(turn(1, "And why?", passages=second.passages))
    third = packed(turns, found, "Since when?")
    assert third.messages[: len(second.messages)] == second.messages


def test_four_fifths_of_the_passages_are_enough_if_the_best_is_among_them() -> None:
    old = [turn(0, passages=tuple(passage(number) for number in range(1, 6)))]
    new = [*(passage(number) for number in range(1, 5)), passage(9, score=0.1)]
    assert len(packed(old, new).messages) == len(packed(old, new[:4]).messages)
    assert packed(old, new).messages[-1].content == "And the last?"
    best_is_new = [*(passage(number) for number in range(1, 5)), passage(9, score=0.9)]
    assert "From 9.md" in packed(old, best_is_new).messages[-1].content


def test_a_document_that_has_changed_is_shown_anew() -> None:
    old = [turn(0, passages=(passage(1),))]
    assert "From 1.md" in packed(old, [passage(1, content="other")]).messages[-1].content


def test_texts_that_come_with_a_question_are_always_shown() -> None:
    handed = replace(passage(1), chunk_ids=())
    assert "From 1.md" in packed([turn(0, passages=(handed,))], [handed]).messages[-1].content


def test_passages_that_do_not_fit_twice_are_shown_once() -> None:
    large = (passage(1, words=900),)
    turns = [turn(0), turn(1, passages=large), turn(2, said="long " * 400, passages=large)]
    prompt = packed(turns, large)
    assert prompt.budget.total <= WINDOW
    assert sum(message.content.count("From 1.md") for message in prompt.messages) == 1


# --- recall ------------------------------------------------------------------------------------------------------


def test_an_earlier_turn_is_recalled_by_the_words_of_the_question() -> None:
    safe = turn(0, "Where is the key of the oil store?", "The key of the oil store hangs behind the tide table.")
    others = [turn(number) for number in range(1, 5)]
    assert recall("Who has the key of the oil store?", [safe, *others], others) == (safe,)
    assert recall("Who has the key of the oil store?", [safe, *others], [safe]) == ()
    assert recall("store?", [safe], []) == ()


def test_what_is_recalled_stands_behind_the_passages_and_gives_way_first() -> None:
    safe = turn(0, "Where is the key of the oil store?", "The key hangs behind the tide table.")
    memory = Memory(recalled=(safe,))
    prompt = pack("Who has the key?", [passage(1)], memory=memory, limit=WINDOW, count=count)
    last = prompt.messages[-1].content
    assert last.index("From 1.md") < last.index("tide table") < last.index("Question:")
    assert "1 turn recalled" in [line.part for line in prompt.budget.lines]
    tight = pack("Who has the key?", [passage(1)], memory=memory, limit=count(prompt.messages) - 1, count=count)
    assert [line.part for line in tight.budget.lines if line.cut] == ["a recalled turn"]


# --- against a real tokenizer and template -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    file = write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    engine = LlamaCppEngine(file, model="tiny", context_tokens=2048, threads=1)
    engine.load()
    yield engine
    engine.close()


texts = st.text("abc é東\n<|>", min_size=1, max_size=60)
conversations = st.lists(st.tuples(texts, texts), max_size=6)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conversations, st.lists(texts, max_size=3), st.booleans(), st.integers(400, 1500))
def test_the_ledger_sums_to_what_a_real_engine_counts(
    engine: Engine, said: list[tuple[str, str]], found: list[str], again: bool, limit: int
) -> None:
    passages = [replace(passage(number), text=text) for number, text in enumerate(found, 1)]
    turns = [turn(number, *pair, tuple(passages) if again else ()) for number, pair in enumerate(said)]
    memory = replace(remember(turns, limit // 2), recalled=tuple(turns[:1]))
    prompt = pack("when?", passages, memory=memory, limit=limit, count=engine.count_tokens)
    went_in = sum(line.tokens for line in prompt.budget.lines if not line.cut)
    assert went_in == prompt.budget.total == engine.count_tokens(prompt.messages) <= limit
