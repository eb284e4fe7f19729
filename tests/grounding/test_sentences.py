"""Sentences cut from running text: where they end, and that nothing is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from termrag.grounding import SentenceStream, split

WRITTEN = st.text(
    alphabet=st.sampled_from(list("aBc12 .!?\n\n-*#`|\"')]»。！？中文عر؟…:;~[1]")) | st.characters(codec="utf-8"),
    max_size=120,
)


def stream(text: str, cuts: list[int]) -> list[str]:
    sentences = SentenceStream()
    found: list[str] = []
    start = 0
    for cut in [*cuts, 10_000]:
        found += sentences.feed(text[start : start + cut])
        start += cut
    return found + sentences.finish()


@given(WRITTEN, st.lists(st.integers(1, 9), max_size=60))
def test_sentences_join_to_the_text_however_it_was_cut(text: str, cuts: list[int]) -> None:
    assert "".join(split(text)) == text
    assert stream(text, cuts) == split(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith paid 3.5 million. See p. 12 for more.", ["Dr. Smith paid 3.5 million. ", "See p. 12 for more."]),
        ("Really? Yes! Good.", ["Really? ", "Yes! ", "Good."]),
        ('He said "Stop." Then he left.', ['He said "Stop." ', "Then he left."]),
        ("J. R. R. Tolkien wrote it. It sold.", ["J. R. R. Tolkien wrote it. ", "It sold."]),
        ("The U.S. Army came. It left.", ["The U.S. Army came. ", "It left."]),
        ("See https://example.com/a.b?c=d. Then go.", ["See https://example.com/a.b?c=d. ", "Then go."]),
        ("Wait... what? No.", ["Wait... what? ", "No."]),
        ("It ends at 5 p.m. Then sleep.", ["It ends at 5 p.m. ", "Then sleep."]),
        ("Am 3. Oktober 1990 geschah es. Im 19. Jahrhundert nicht.",
         ["Am 3. Oktober 1990 geschah es. ", "Im 19. Jahrhundert nicht."]),
        ("Das ist z. B. gut. Ja.", ["Das ist z. B. gut. ", "Ja."]),
        ("Il a dit « oui. » Puis il partit.", ["Il a dit « oui. » ", "Puis il partit."]),
        ("今天很好。我们走吧！好吗？", ["今天很好。", "我们走吧！", "好吗？"]),
        ("هل هذا صحيح؟ نعم.", ["هل هذا صحيح؟ ", "نعم."]),
        ("Intro:\n\n- one item\n- two\n1. First.\n2. Second\n",
         ["Intro:\n\n", "- one item\n", "- two\n", "1. First.\n", "2. Second\n"]),
        ("## Heading\nText here.", ["## Heading\n", "Text here."]),
        ("| a | b |\n| --- | --- |\n| 1. | 2 |\n", ["| a | b |\n", "| --- | --- |\n", "| 1. | 2 |\n"]),
        ("Run it:\n```python\nx = 1. \n\nprint(x)\n```\nDone.",
         ["Run it:\n", "```python\nx = 1. \n\nprint(x)\n```\n", "Done."]),
    ],
)  # fmt: skip
def test_a_sentence_ends_where_a_reader_ends_it(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_a_long_line_that_goes_on_in_lower_case_is_one_sentence() -> None:
    text = "This line was wrapped by the model in the middle of a sentence and\ngoes on here. Next."
    assert split(text) == [text[:-5], "Next."]


def test_a_sentence_comes_out_when_the_next_one_begins() -> None:
    sentences = SentenceStream()
    assert sentences.feed("The pump is good. ") == []
    assert sentences.feed("I") == ["The pump is good. "]
    assert sentences.pending == "I"
