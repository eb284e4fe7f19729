"""From hits to numbered passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.conftest import Fill, chunk
from termrag.config import RetrievalSettings
from termrag.records import Hit, IndexedChunk, Passage, Scores
from termrag.retrieval import passages
from termrag.stores import Store

TABLE = "| year | berths |\n| --- | --- |\n| {} | {} |\n| {} | {} |"


def words(text: str) -> int:
    return len(text.split())


def section(path: str, texts: Sequence[str], heading: str = "Rules") -> list[IndexedChunk]:
    return [chunk(path, text, position, heading=heading, title="Harbour") for position, text in enumerate(texts)]


def hits(*chunks: IndexedChunk) -> list[Hit]:
    return [Hit(each, Scores(1 / (61 + rank))) for rank, each in enumerate(chunks)]


def made(store: Store, found: list[Hit], *, tokens: int = 1500, limit: int = 4) -> list[Passage]:
    settings = replace(RetrievalSettings(), passage_tokens=tokens)
    return passages(found, store=store, settings=settings, count_tokens=words, limit=limit)


def test_passages_stand_in_the_order_of_the_documents_and_are_numbered_from_one(fill: Fill) -> None:
    a, b = chunk("/a.md", "alpha text"), chunk("/b.md", "beta text")
    found = made(fill([a, b]), hits(b, a))
    assert [(passage.number, passage.path) for passage in found] == [(1, "/a.md"), (2, "/b.md")]


def test_neighbours_under_one_heading_become_one_passage(fill: Fill) -> None:
    first, second, third = section("/a.md", ["One is first.", "Two is second.", "Three is third."])
    (passage,) = made(fill([first, second, third]), hits(third, second), tokens=6)
    assert passage.text == "Two is second.\nThree is third."
    assert (passage.start_line, passage.end_line) == (11, 30)
    assert passage.chunk_ids == (second.chunk_id, third.chunk_id)
    assert passage.score == pytest.approx(1 / 61)


def test_what_the_budget_leaves_goes_to_the_neighbours_of_a_hit(fill: Fill) -> None:
    chunks = section("/a.md", ["one one one", "two two two", "three three three", "four four four"])
    (passage,) = made(fill(chunks), hits(chunks[1]), tokens=9)
    assert passage.chunk_ids == tuple(each.chunk_id for each in chunks[:3])


def test_passages_that_grow_together_become_one(fill: Fill) -> None:
    chunks = section("/a.md", ["one one", "two two", "three three"])
    (passage,) = made(fill(chunks), hits(chunks[0], chunks[2]))
    assert passage.chunk_ids == tuple(each.chunk_id for each in chunks)


@pytest.mark.parametrize("changes", [{"heading": "Fees"}, {"page": 2}])
def test_another_heading_or_page_is_another_passage(fill: Fill, changes: dict[str, object]) -> None:
    first = chunk("/a.md", "one one", 0, heading="Rules", page=1)
    second = replace(chunk("/a.md", "two two", 1, heading="Rules", page=1), **changes)  # type: ignore[arg-type]
    assert len(made(fill([first, second]), hits(first, second))) == 2


def test_the_best_hit_goes_in_even_if_it_is_over_the_budget(fill: Fill) -> None:
    long, short = chunk("/a.md", "word " * 50), chunk("/b.md", "a few words")
    assert [passage.path for passage in made(fill([long, short]), hits(long, short), tokens=20)] == ["/a.md"]


def test_a_hit_too_long_for_the_rest_gives_way_to_a_shorter_one(fill: Fill) -> None:
    best, long, short = chunk("/a.md", "one two"), chunk("/b.md", "word " * 50), chunk("/c.md", "three four")
    found = made(fill([best, long, short]), hits(best, long, short), tokens=20)
    assert [passage.path for passage in found] == ["/a.md", "/c.md"]


def test_the_header_of_a_table_in_pieces_is_shown_once(fill: Fill) -> None:
    chunks = section("/a.md", [TABLE.format(2021, 4, 2022, 5), TABLE.format(2023, 6, 2024, 7)])
    (passage,) = made(fill(chunks), hits(*chunks))
    assert passage.text.count("| year | berths |") == 1
    assert passage.text.splitlines()[-2:] == ["| 2023 | 6 |", "| 2024 | 7 |"]


def test_no_hits_give_no_passages(fill: Fill) -> None:
    assert made(fill([chunk("/a.md", "text")]), []) == []


class Nothing:
    """A store in which no chunk has neighbours."""

    def chunks_at(self, places: Mapping[str, Set[int]]) -> list[IndexedChunk]:
        return []


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.integers(1, 30)), max_size=12, unique_by=lambda t: t[:2]
    ),
    st.integers(1, 60),
    st.integers(1, 5),
)
def test_passages_keep_to_budget_and_number_and_hold_no_chunk_twice(
    drawn: list[tuple[str, int, int]], tokens: int, limit: int
) -> None:
    found = hits(*(chunk(f"/{name}.md", "word " * length, position) for name, position, length in drawn))
    given_passages = made(Nothing(), found, tokens=tokens, limit=limit)  # type: ignore[arg-type]
    ids = [chunk_id for passage in given_passages for chunk_id in passage.chunk_ids]
    assert len(ids) == len(set(ids))
    assert [passage.number for passage in given_passages] == list(range(1, len(given_passages) + 1))
    assert len(given_passages) <= limit
    assert len(ids) <= 1 or sum(words(passage.text) for passage in given_passages) <= tokens
    assert not found or found[0].chunk.chunk_id in ids
    places = [(passage.document_id, passage.start_line) for passage in given_passages]
    assert places == sorted(places)
