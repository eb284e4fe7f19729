"""Follow-ups are resolved by rule, and questions that stand on their own are left alone."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from termrag.followup import resolve
from termrag.records import Answer, Citation, Sentence, Support, Verdict
from termrag.turns import Turn, TurnState

TRUTH = tomllib.loads((Path(__file__).parents[1] / "samples" / "questions.toml").read_text(encoding="utf-8"))
FOLLOWUPS: list[dict[str, Any]] = TRUTH["followup"]
WHOLE = [
    *(each["ask"] for each in TRUTH["question"]),
    *(each["means"] for each in FOLLOWUPS),
    *(each["ask"] for each in TRUTH["unanswerable"]),
]
# They name all that a search needs.
STAND_ALONE = {"Is breakfast included?", "What is Joss Penhale afraid of?"}


def turn(question: str, said: str = "", cites: Sequence[str] = ("d1",), passage: str = "") -> Turn:
    citations = tuple(
        Citation(number, each, f"/{each}.md", None, "", 1, 2, True, "", passage, 1.0, "h")
        for number, each in enumerate(cites, 1)
    )
    sentences = (Sentence(said, Support.SUPPORTED, citations),) if said else ()
    answer = Answer(question, Verdict.GROUNDED, said, said, sentences=sentences)
    return Turn("t", "s", 1, question, question, TurnState.DONE, 0.0, answer)


@pytest.mark.parametrize("entry", FOLLOWUPS, ids=lambda entry: entry["means"])
def test_every_follow_up_of_the_samples_is_known_for_one(entry: dict[str, Any]) -> None:
    resolved = resolve(entry["ask"], [turn(entry["before"], entry["said"])])
    assert bool(resolved.reason) == (entry["ask"] not in STAND_ALONE)
    assert (resolved.query == entry["ask"]) == (entry["ask"] in STAND_ALONE)


def test_a_whole_question_takes_over_nothing() -> None:
    befores = [entry["before"] for entry in FOLLOWUPS]
    for index, question in enumerate(WHOLE):
        for before in (befores[index % len(befores)], befores[(index * 7 + 3) % len(befores)]):
            resolved = resolve(question, [turn(before, "Mr. Bell of Korrin did it in 1891.")])
            assert (resolved.query, resolved.document_ids, resolved.lifted) == (question, (), ()), before


@pytest.mark.parametrize(
    ("before", "ask", "query"),
    [
        ("When does the ferry leave in summer?", "and in winter?", "When does the ferry leave in winter?"),
        ("What did we earn in 2024?", "And in 2023?", "What did we earn in 2023?"),
        ("What did we earn in 2024?", "the year before?", "What did we earn in 2023?"),
        ("What happened on 28 February 2025?", "And the next day?", "What happened on 1 March 2025?"),
        ("What happened on March 1?", "And the day before?", "What happened on February 29?"),
        ("When was the west quay built?", "what about the east quay?", None),
        ("Who keeps the boat of Hanna Quill?", "And of Tom Arden?", "Who keeps the boat of Tom Arden?"),
        ("What does E-104 mean?", "what about E-317?", "What does E-317 mean?"),
        ("Is the shop open on Mondays?", "And on Sundays?", "Is the shop open on Sundays?"),
        ("What is the rent of flat 3?", "The same for flat 4", "What is the rent of flat 4?"),
        ("What does the room cost?", "I meant with breakfast.", "What does the room cost with breakfast?"),
        ("Was kostet ein Roggenbrot im Jahr 2024?", "Und 2025?", "Was kostet ein Roggenbrot im Jahr 2025?"),
        ("Wann fährt die Fähre im Sommer?", "Und im Winter?", "Wann fährt die Fähre im Winter?"),
        ("Wann öffnet das Museum am Montag?", "Wie sieht es am Sonntag aus?", "Wann öffnet das Museum am Sonntag?"),
        ("Combien coûte le pain en 2024 ?", "Et en 2025 ?", "Combien coûte le pain en 2025 ?"),
        ("Quand part le bateau en été ?", "Et en hiver ?", "Quand part le bateau en hiver ?"),
        ("¿Cuánto cuesta el pan en 2024?", "¿Y en 2025?", "¿Cuánto cuesta el pan en 2025?"),
        ("¿Cuándo sale el barco en verano?", "¿Y en invierno?", "¿Cuándo sale el barco en invierno?"),
    ],
)
def test_what_is_contrasted_takes_the_place_of_its_like(before: str, ask: str, query: str | None) -> None:
    resolved = resolve(ask, [turn(before)])
    assert resolved.reason
    assert resolved.query.rstrip(" ?.") == (query or f"{before} {ask}").rstrip(" ?.")


@pytest.mark.parametrize(
    ("before", "ask"),
    [
        ("Who built the causeway?", "How long is it?"),
        ("Who built the causeway?", "When did he die?"),
        ("Did the prices rise?", "why?"),
        ("Who signed the contract?", "Who wrote that?"),
        ("What does the council plan?", "What would this cost?"),
        ("How tall is the tower?", "What is that tower made of?"),
        ("Which boats are there?", "Which one is cheaper?"),
        ("When does the ferry leave in winter?", "Why is there none on Tuesdays?"),
        ("Wer hat den Damm gebaut?", "Wie lang ist er?"),
        ("Wann wurde die Lampe erneuert?", "Warum?"),
        ("Was plant der Inselrat?", "Was kostet das?"),
        ("Gibt es eine Werkstatt?", "Wer arbeitet dort?"),
        ("Qui a construit la digue ?", "Quelle est sa longueur ?"),
        ("Qui a signé le contrat ?", "Pourquoi ?"),
        ("Qui a signé le contrat ?", "Où habite-t-il ?"),
        ("¿Quién construyó el muelle?", "¿Cuándo murió él?"),
        ("¿Quién construyó el muelle?", "¿Por qué?"),
        ("¿Qué decidió el consejo?", "¿Cuánto cuesta eso?"),
        ("林舟住在哪里？", "为什么？"),
        ("林舟住在哪里？", "那周敏呢？"),
    ],
)
def test_what_leans_on_the_last_question_is_read_with_it(before: str, ask: str) -> None:
    resolved = resolve(ask, [turn(before, "It was Bell.", cites=("d7",))])
    assert resolved.query.startswith(before)
    assert ask in resolved.query
    assert resolved.lifted == ("d7",)


@pytest.mark.parametrize(
    ("before", "ask"),
    [
        ("Who built the causeway?", "Who is Hanna Quill?"),
        ("Who built the causeway?", "What is E-317?"),
        ("Who built the causeway?", "When can the ferry leave if it is windy?"),
        ("Who built the causeway?", "Is it allowed to camp on the beach?"),
        ("Who built the causeway?", "What does it cost to take a dog along?"),
        ("Who built the causeway?", "How much rain fell this year?"),
        ("Who built the causeway?", "Who built the tower and when was it finished?"),
        ("Who built the causeway?", "Are there tours of the lighthouse?"),
        ("Who built the causeway?", "And when does the bakery in Northhaven open on Sundays?"),
        ("Who built the causeway?", "Which boat leaves first in the morning?"),
        ("Wer hat den Damm gebaut?", "Was kostet das Brot?"),
        ("Wer hat den Damm gebaut?", "Gibt es eine Fähre am Dienstag?"),
        ("Wer hat den Damm gebaut?", "Wie hoch ist die Rechnung für die Linse?"),
        ("Qui a construit la digue ?", "Est-ce qu'il y a un bateau le mardi ?"),
        ("Qui a construit la digue ?", "Quel est le prix du billet pour un enfant ?"),
        ("¿Quién construyó el muelle?", "¿Dónde está el hostal de Vessa?"),
        ("¿Quién construyó el muelle?", "¿Cuánto cuesta el billete para un niño?"),
        ("林舟住在哪里？", "岛上的面包店几点开门？"),
    ],
)
def test_what_stands_on_its_own_takes_over_nothing(before: str, ask: str) -> None:
    assert resolve(ask, [turn(before, "Mr. Bell did.")]).query == ask


@pytest.mark.parametrize(
    ("ask", "item"),
    [
        ("What is the second one?", "Lift the handset"),
        ("the last of them?", "Say Mayday"),
        ("Tell me about the first step", "Hold the red key"),
        ("Was ist der zweite Punkt?", "Lift the handset"),
    ],
)
def test_an_ordinal_picks_from_the_list_that_was_given(ask: str, item: str) -> None:
    said = "1. Hold the red key.\n2. Lift the handset.\n3. Say Mayday."
    before = "Was sind die Schritte?" if "zweite" in ask else "What are the steps?"
    assert resolve(ask, [turn(before, said)]).query.endswith(f"({item})")


def test_an_ordinal_picks_from_a_row_of_words() -> None:
    said = "The four keys below the display are WATCH, HI/LO, SCAN and LIGHT."
    assert resolve("What does the third one do?", [turn("Which keys are there?", said)]).query.endswith("(SCAN)")


def test_an_ordinal_picks_the_document_that_is_cited_there() -> None:
    last = turn("What do we owe?", "We owe 300 euros.", cites=("lease", "bill", "letter"))
    resolved = resolve("What does the second document say?", [last])
    assert resolved.document_ids == ("bill",)
    assert resolved.query == "What do we owe?"


@pytest.mark.parametrize("ask", ["more", "Tell me more", "in German?", "auf Deutsch", "en español", "plus de détails"])
def test_to_ask_for_more_searches_the_same_again(ask: str) -> None:
    assert resolve(ask, [turn("Who built the causeway?", "Bell did.")]).query == "Who built the causeway?"


def test_names_of_the_answer_go_into_the_search() -> None:
    last = turn("Who set the new pane?", "The glazier, Mr. Bell from Korrin, set the new pane.")
    query = resolve("What did he charge?", [last]).query
    assert query == "Who set the new pane? What did he charge? (Mr Bell, Korrin)"


def test_a_chain_of_follow_ups_does_not_grow_for_ever() -> None:
    turns = [turn("Who built the causeway?", "Bell did.")]
    for ask in ("Why?", "How long is it?", "And who paid for that?", "Why them?") * 5:
        query = resolve(ask, turns).query
        assert query.startswith("Who built the causeway?")
        turns.append(Turn("t", "s", len(turns), ask, query, TurnState.DONE, 0.0, turns[0].answer))
    assert len(query) < 200


def test_filters_that_were_typed_stay_in_force() -> None:
    assert resolve("And in 2023?", [turn("in:contracts/ What is the rent in 2024?")]).query == (
        "in:contracts/ What is the rent in 2023?"
    )


def test_a_first_question_is_never_a_follow_up() -> None:
    assert resolve("Why?", []).query == "Why?"


def test_a_refused_question_can_be_followed_up() -> None:
    refused = Turn("t", "s", 1, "Who sank in 2024?", "Who sank in 2024?", TurnState.DONE, 0.0, None)
    assert resolve("And in 2023?", [refused]).query == "Who sank in 2023?"


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=80))
def test_any_text_resolves_to_something(ask: str, before: str, said: str) -> None:
    resolved = resolve(ask, [turn(before, said)])
    assert resolved.reason or resolved.query == ask
