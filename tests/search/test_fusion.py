"""One ranking out of two, and the weight of the vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from termrag.retrieval import reciprocal_ranks
from termrag.retrieval.fusion import looks_like_code, vector_weight

RANKINGS = st.lists(
    st.tuples(st.floats(0, 1), st.lists(st.sampled_from("abcdefghij"), unique=True)), min_size=1, max_size=4
)

ENGLISH = "The harbour office keeps the timetable of all ferries, and every change is posted on the board outside. " * 3
GERMAN = (
    "Die Hafenverwaltung veröffentlicht den Fahrplan aller Fährverbindungen an der Anschlagtafel im Außenbereich. " * 3
)
CODE = "def read_board(path):\n    with open(path) as file:\n        return [line.strip() for line in file]\n" * 3


def english_word_pieces(text: str) -> int:
    """Tokens as an English vocabulary makes them: known words whole, others cut every second letter."""
    return sum(1 if word.lower() in ENGLISH.lower() else -(-len(word) // 2) for word in text.split())


@given(RANKINGS)
def test_scores_fall_and_every_id_is_there_once(rankings: list[tuple[float, list[str]]]) -> None:
    fused = reciprocal_ranks(rankings)
    assert set(fused) == {each for _, ranking in rankings for each in ranking}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


@given(st.lists(st.sampled_from("abcdefghij"), unique=True), st.floats(0.01, 1))
def test_one_ranking_keeps_its_order(ranking: list[str], weight: float) -> None:
    assert list(reciprocal_ranks([(weight, ranking)])) == ranking


@given(st.lists(st.sampled_from("abcde"), unique=True), st.lists(st.sampled_from("vwxyz"), unique=True))
def test_a_ranking_of_no_weight_comes_after_the_other(first: list[str], second: list[str]) -> None:
    assert list(reciprocal_ranks([(0.0, first), (1.0, second)])) == second + first


@given(RANKINGS, st.integers(0, 8))
def test_rising_in_a_ranking_never_costs_points(rankings: list[tuple[float, list[str]]], index: int) -> None:
    weight, ranking = rankings[0]
    if index + 1 >= len(ranking):
        return
    risen = [*ranking[:index], ranking[index + 1], ranking[index], *ranking[index + 2 :]]
    lifted = ranking[index + 1]
    assert reciprocal_ranks([(weight, risen), *rankings[1:]])[lifted] >= reciprocal_ranks(rankings)[lifted]


def test_scores_are_those_of_the_paper() -> None:
    fused = reciprocal_ranks([(1.0, ["a", "b"]), (1.0, ["b", "c"])])
    assert fused == {"b": pytest.approx(1 / 62 + 1 / 61), "a": pytest.approx(1 / 61), "c": pytest.approx(1 / 62)}


def test_vectors_and_words_weigh_the_same_in_prose_the_embedder_knows() -> None:
    assert vector_weight("when is the office open", [ENGLISH] * 5, english_word_pieces) == 0.5


def test_vectors_weigh_nothing_in_a_language_the_embedder_takes_to_pieces() -> None:
    assert vector_weight("Wann fahren die Fähren", [GERMAN] * 5, english_word_pieces) == 0.0


def test_vectors_weigh_nothing_for_a_question_in_a_foreign_script() -> None:
    assert vector_weight("когда открыта контора", [], len) == 0.0


def test_vectors_weigh_more_in_code_unless_the_question_names_identifiers() -> None:
    assert vector_weight("open a file and read every line", [CODE] * 5, english_word_pieces) > 0.8
    assert vector_weight("where is read_board called", [CODE] * 5, None) == 0.5


def test_without_a_tokenizer_every_language_is_trusted() -> None:
    assert vector_weight("Wann fahren die Fähren", [GERMAN] * 5, None) == 0.5


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=5))
def test_the_weight_is_a_share(question: str, texts: list[str]) -> None:
    assert 0.0 <= vector_weight(question, texts, len) <= 1.0


def test_code_is_told_from_prose() -> None:
    assert looks_like_code(CODE)
    assert not looks_like_code(ENGLISH)
    assert not looks_like_code("")
