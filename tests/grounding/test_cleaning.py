"""What of a generated text may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from termrag.grounding import Cleaner

QUESTION = "What is the battery life?"


def clean(text: str, size: int = 3, question: str = QUESTION) -> str:
    cleaner = Cleaner(question)
    shown = "".join(cleaner.feed(text[i : i + size]) for i in range(0, len(text), size))
    return shown + cleaner.finish()


NOISE = [
    "[1]",
    "<|im_end|>",
    "Assistant:",
    "\x1b[31m",
    "(Source 2)",
    "【1】",
    "<",
    "[",
    "\n\n",
    "It is so. ",
    "User:",
    "`",
]


@given(
    st.lists(st.sampled_from([*NOISE, "word ", "12 ", ". ", "答案：", "What is the battery life?"]), max_size=25),
    st.integers(1, 9),
)
def test_the_result_does_not_depend_on_how_the_text_was_cut(parts: list[str], size: int) -> None:
    text = "".join(parts)
    assert clean(text, size) == clean(text, len(text) + 1)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("It lasts 12 hours.<|im_end|>", "It lasts 12 hours."),
        ("It lasts 12 hours.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nMore", "It lasts 12 hours."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nIt lasts.", "It lasts."),
        ("[INST] [/INST] It lasts.", "It lasts."),
        ("[1]<|im_end|>It lasts.", "It lasts."),
        ("It lasts 12 hours.<|im_end|> and on", "It lasts 12 hours."),
        ("Assistant: It lasts.", "It lasts."),
        ("**Answer:** It lasts.", "It lasts."),
        ("Answers vary.", "Answers vary."),
        ("What is the battery life?\n\nIt lasts.", "It lasts."),
        ("Question: What is the battery life?\nAnswer: It lasts.", "It lasts."),
        ("What is the battery life worth?", "What is the battery life worth?"),
        ("Passage [1]:\nIt lasts.", "It lasts."),
        ("[1] manual.pdf p. 3\nIt lasts.", "It lasts."),
        ("It lasts [1]. It is good (Source 2). More【1】 text [2, 3].", "It lasts. It is good. More text."),
        ("It lasts.[1] Good.", "It lasts. Good."),
        ("Use `a[1]` or a list [x](y) (see p. 3).", "Use `a[1]` or a list [x](y) (see p. 3)."),
        ("3 < 4 and <b>5</b>", "3 < 4 and <b>5</b>"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07", "red bell"),
        ("It lasts.\r\nGood.", "It lasts.\nGood."),
        ("It lasts 12 hours.\n\nUser: and then?", "It lasts 12 hours."),
        ("  It lasts.  \n", "It lasts."),
    ],
)
def test_only_prose_is_shown(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_sentence_said_before_is_dropped() -> None:
    text = "The pump is very good. The pump weighs little. The pump is very good. It is cheap."
    assert clean(text) == "The pump is very good. The pump weighs little. It is cheap."


def test_short_lines_may_come_again() -> None:
    assert clean("A: yes\nB: no\nC: yes\nD: no\n- yes\n- yes\n") == "A: yes\nB: no\nC: yes\nD: no\n- yes\n- yes"


@pytest.mark.parametrize(
    "text",
    [
        "The pump is very good. " * 5,
        "and then the " * 20,
        "very " * 30,
        "1. The pump is very good.\n2. The pump is very good.\n3. The pump is very good.\n4. The pump is very good.\n",
        "水泵很好水泵很好" * 8,
    ],
)
def test_a_loop_is_noticed_and_stops_the_text(text: str) -> None:
    cleaner = Cleaner(QUESTION)
    shown = cleaner.feed(text + "Never shown.")
    assert cleaner.looping
    assert "Never" not in shown + cleaner.finish()
    assert cleaner.feed("more") == ""


def test_rows_of_equal_numbers_are_no_loop() -> None:
    cleaner = Cleaner(QUESTION)
    cleaner.feed("| 0 | 0 | 0 | 0 |\n" * 6)
    assert not cleaner.looping


def test_text_streams_before_its_sentence_ends() -> None:
    cleaner = Cleaner(QUESTION)
    shown = cleaner.feed("The battery of the pump lasts for")
    assert shown == "The battery of the pump lasts for"
