"""The filters among the words of a query."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from termrag.errors import ConfigError
from termrag.records import Filters
from termrag.retrieval import both, parse_query


def ns(year: int, month: int = 1, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("query", "rest", "filters"),
    [
        ("rent increase", "rent increase", Filters()),
        ("type:pdf rent", "rent", Filters(types=("pdf",))),
        ("rent type:.PDF,md", "rent", Filters(types=("pdf", "md"))),
        ("in:contracts/ rent", "rent", Filters(globs=("contracts/",))),
        ('in:"my papers/" rent', "rent", Filters(globs=("my papers/",))),
        ("in:./notes/*.md rent", "rent", Filters(globs=("notes/*.md",))),
        ("after:2025-01-01 before:2025-03 rent", "rent", Filters(after_ns=ns(2025), before_ns=ns(2025, 3))),
        ("rent After:2024", "rent", Filters(after_ns=ns(2024))),
        ("see https://example.org type: none", "see https://example.org type: none", Filters()),
        ("what type:a is", "what is", Filters(types=("a",))),
        ("prototype:pdf", "prototype:pdf", Filters()),
        ("type:pdf", "", Filters(types=("pdf",))),
    ],
)
def test_filters_are_taken_out_of_the_words(query: str, rest: str, filters: Filters) -> None:
    assert parse_query(query) == (rest, filters)


@pytest.mark.parametrize("query", ["after:yesterday x", "before:2025-13 x", "after:2025-02-30"])
def test_a_date_that_is_none_is_named(query: str) -> None:
    with pytest.raises(ConfigError, match="is not a date") as caught:
        parse_query(query)
    assert caught.value.hint


@given(st.text(alphabet="abc :-/.\"'", max_size=40))
def test_words_without_filters_stay_as_they_are(text: str) -> None:
    assert parse_query(text) == (text.strip(), Filters())


def test_both_filters_hold() -> None:
    flags = Filters(globs=("papers/",), types=("pdf", "md"), after_ns=5, before_ns=90)
    typed = Filters(types=("md", "txt"), after_ns=7, before_ns=100)
    assert both(flags, typed) == Filters(globs=("papers/",), types=("md",), after_ns=7, before_ns=90)
    assert both(Filters(), typed) == typed


def test_filters_that_exclude_each_other_let_nothing_through() -> None:
    assert both(Filters(types=("pdf",)), Filters(types=("md",))).types == ("\0",)
