"""The outcome of an answer, and where its citation marks stand."""

from __future__ import annotations

import pytest

from termrag.grounding import check, cited, verdict
from termrag.grounding.phrases import says_not_found
from termrag.records import Sentence, Support, Verdict

from .test_support import ENGLISH, passage


def answer(*sentences: str) -> list[Sentence]:
    return [check(sentence, ENGLISH) for sentence in sentences]


@pytest.mark.parametrize(
    ("sentences", "outcome"),
    [
        (["The X200 pump is waterproof. ", "I hope this helps."], Verdict.GROUNDED),
        (["The X200 pump is waterproof. ", "It was built in 1850."], Verdict.PARTIAL),
        (["The passages do not mention the price."], Verdict.NOT_FOUND),
        (["I'm sorry, but I cannot find this in the documents. ", "The X200 pump is waterproof."], Verdict.NOT_FOUND),
        (["The X200 pump is waterproof. ", "The documents do not say who made it."], Verdict.GROUNDED),
        (["Hello!"], Verdict.PARTIAL),
        (["Yes."], Verdict.PARTIAL),
        ([], Verdict.NOT_FOUND),
        (["\n"], Verdict.NOT_FOUND),
    ],
)
def test_the_verdict_follows_from_the_sentences(sentences: list[str], outcome: Verdict) -> None:
    assert verdict(answer(*sentences)) is outcome


@pytest.mark.parametrize(
    "sentence",
    [
        "The provided passages do not contain information about the price.",
        "The document does not explicitly mention a date.",
        "I don't know.",
        "I cannot answer this question based on the given context.",
        "There is no information about this in the text.",
        "The price is not mentioned in the passages.",
        "It isn't specified in the document.",
        "Not mentioned.",
        "Die Dokumente enthalten keine Angaben dazu.",
        "Das weiß ich nicht.",
        "Les passages ne mentionnent pas le prix.",
        "文件中没有提到价格。",
        "لا توجد معلومات عن ذلك.",
    ],
)
def test_an_admission_is_recognised(sentence: str) -> None:
    assert says_not_found(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The charger does not work below 0 °C.",
        "The contract does not provide for early termination.",
        "You cannot find replacement parts for it.",
        "Der Akku ist nicht enthalten.",
        "No information is shared with third parties.",
    ],
)
def test_a_plain_denial_is_no_admission(sentence: str) -> None:
    assert not says_not_found(sentence)


def test_marks_stand_after_the_last_visible_character_and_white_space_stays() -> None:
    sentences = answer("The X200 pump is waterproof.  ", "Hello!\n\n", "- It weighs 3.5 kg\n")
    assert cited(sentences) == "The X200 pump is waterproof. [1]  Hello!\n\n- It weighs 3.5 kg [1]\n"


def test_two_passages_give_two_marks() -> None:
    sentences = answer("The X200 weighs 3.5 kg and was introduced in March 2019.\n")
    assert cited(sentences) in (
        "The X200 weighs 3.5 kg and was introduced in March 2019. [1][2]\n",
        "The X200 weighs 3.5 kg and was introduced in March 2019. [2][1]\n",
    )


def test_a_table_row_and_a_script_without_spaces_keep_their_form() -> None:
    row = check("| X300 | 249 € | 900 m |\n", ENGLISH)
    chinese = check("水泵是防水的。", [passage(1, "X200水泵是防水的。")])
    assert row.support is chinese.support is Support.SUPPORTED
    assert cited([row]) == "| X300 | 249 € | 900 m [3] |\n"
    assert cited([chinese]) == "水泵是防水的。[1]"
