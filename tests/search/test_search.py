"""Hybrid search over a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.conftest import Fill, chunk, embed
from termrag.config import RetrievalSettings
from termrag.embedders import Embedder
from termrag.records import Filters, Hit
from termrag.retrieval import Mode, parse_query, search
from termrag.stores import Store

ALL = Filters()
FERRY = "The last ferry to the island leaves the harbour at half past nine in the evening, in winter an hour earlier."
CAFE = "The café beside the old lighthouse serves soup and fresh bread from noon until the kitchen closes."
TAX = "Visitors pay a tourist tax of two euros a night, collected by the landlord on the day of arrival."
CODE = """def parse_http_request(data: bytes) -> Request:
    head, _, body = data.partition(SEPARATOR)
    return Request(head, body)
"""


def found(
    store: Store, query: str, *, limit: int = 8, mode: Mode = "hybrid", filters: Filters | None = None
) -> list[Hit]:
    return search(
        query, store=store, embed=embed, settings=RetrievalSettings(), limit=limit, mode=mode, filters=filters
    )


def paths(hits: list[Hit]) -> list[str]:
    return [hit.chunk.path for hit in hits]


@pytest.fixture
def library(fill: Fill) -> Store:
    return fill(
        [
            chunk("/isle/ferry.md", FERRY, modified_ns=10),
            chunk("/isle/cafe.md", CAFE, modified_ns=20),
            chunk("/isle/papers/tax.pdf", TAX, page=3, modified_ns=30),
            chunk("/isle/src/http.py", CODE, modified_ns=40),
        ]
    )


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_every_mode_finds_the_text_that_shares_the_words(library: Store, mode: Mode) -> None:
    assert paths(found(library, "When does the last ferry leave the harbour?", mode=mode))[0] == "/isle/ferry.md"


@pytest.mark.parametrize("query", ["cafe", "Café", "CAFÉS"])
def test_accents_case_and_endings_do_not_matter(library: Store, query: str) -> None:
    assert paths(found(library, query, mode="text")) == ["/isle/cafe.md"]


@pytest.mark.parametrize("query", ["parseHttpRequest", "parse_http_request", "http request"])
def test_an_identifier_is_found_however_it_is_written(library: Store, query: str) -> None:
    assert paths(found(library, query, mode="text")) == ["/isle/src/http.py"]


def test_scores_explain_where_a_hit_stands(library: Store) -> None:
    first, *rest = found(library, "last ferry")
    scores = first.scores
    assert (scores.bm25_rank, scores.cosine_rank, scores.coverage) == (1, 1, pytest.approx(1.0))
    assert scores.fused == pytest.approx(1 / 61)
    assert scores.bm25 and scores.bm25 > 0
    assert all(hit.scores.fused < scores.fused for hit in rest)
    assert all(hit.scores.bm25 is None and hit.scores.bm25_rank is None for hit in rest)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type:pdf", {"/isle/papers/tax.pdf"}),
        ("in:papers/", {"/isle/papers/tax.pdf"}),
        ("in:/isle/src type:py", {"/isle/src/http.py"}),
        ("in:*.md", {"/isle/ferry.md", "/isle/cafe.md"}),
        ("type:rtf", set()),
    ],
)
def test_filters_in_the_query_limit_what_is_seen(library: Store, query: str, expected: set[str]) -> None:
    words, filters = parse_query(f"{query} the harbour")
    assert set(paths(found(library, words, filters=filters))) == expected


def test_times_are_half_open(library: Store) -> None:
    hits = found(library, "harbour", filters=Filters(after_ns=20, before_ns=40))
    assert set(paths(hits)) == {"/isle/cafe.md", "/isle/papers/tax.pdf"}


def test_among_the_pages_of_many_reports_the_name_tells_which_is_meant(fill: Fill) -> None:
    lines = (
        "Net sales rose in every region.",
        "Net sales fell at home.",
        "Net sales were flat.",
        "Sales of fish, net.",
    )
    names = ("Annual report Ostrand 2023", "Annual report Westrand 2023", "Annual report Westrand 2024")
    store = fill(
        [
            chunk(f"/reports/{name}.pdf", f"{line} Page {page} of {len(name) + number}.", page, page=page + 1)
            for number, name in enumerate(names)
            for page, line in enumerate(lines)
        ]
    )
    first = found(store, "How did net sales of Westrand change in 2024?")[0]
    assert first.chunk.path == "/reports/Annual report Westrand 2024.pdf"
    assert first.scores.named > 0.3


def test_equal_texts_of_two_documents_are_shown_once(fill: Fill) -> None:
    store = fill([chunk("/a/ferry.md", FERRY), chunk("/b/copy of ferry.md", FERRY), chunk("/c/tax.md", TAX)])
    assert len(found(store, "last ferry harbour")) == 2


def test_a_text_that_says_nearly_the_same_is_left_out_and_another_year_is_not(fill: Fill) -> None:
    long = " ".join(f"Rule {n} of the harbour says what ships of class {n} must do on arrival." for n in range(9))
    years = "In the year {} the harbour counted many arrivals."
    store = fill(
        [
            chunk("/rules.md", long),
            chunk("/rules-copy.md", long + " End."),
            chunk("/one.md", years.format(2024)),
            chunk("/two.md", years.format(2025)),
        ]
    )
    hits = paths(found(store, "harbour arrival"))
    assert sorted(hits) in (["/one.md", "/rules-copy.md", "/two.md"], ["/one.md", "/rules.md", "/two.md"])


def test_the_limit_counts_what_is_left_after_duplicates(fill: Fill) -> None:
    store = fill([*(chunk(f"/{n}.md", FERRY) for n in range(5)), chunk("/tax.md", TAX)])
    assert len(found(store, "ferry tax", limit=2)) == 2


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_a_query_without_words_finds_nothing(library: Store, query: str) -> None:
    assert found(library, query) == []


@pytest.mark.parametrize("query", ['"half past', "ferry AND (", "--", "it's NOT 'me'", "a" * 5000, "\0", "🚢"])
def test_any_sign_may_be_asked(library: Store, query: str) -> None:
    assert isinstance(found(library, query), list)


def test_a_text_in_han_is_found_by_two_of_its_characters(fill: Fill) -> None:
    store = fill(
        [
            chunk("/harbour.md", "港口办公室除公众假期外每天开放。", language="zh"),
            chunk("/tax.md", "游客每晚缴纳两欧元的旅游税。", language="zh"),
        ]
    )
    assert paths(found(store, "旅游税是多少？", mode="text")) == ["/tax.md"]
    assert paths(found(store, "税", mode="text")) == ["/tax.md"]


@pytest.mark.model
def test_an_english_embedder_has_no_say_over_german_texts(fill: Fill, embedder: Embedder) -> None:
    german = [
        "Die letzte Fähre zur Insel verlässt den Hafen am Abend um halb zehn, im Winter eine Stunde früher.",
        "Das Kaffeehaus neben dem alten Leuchtturm bietet ab Mittag Suppe und frisches Brot an.",
        "Besucher zahlen eine Kurtaxe von zwei Euro je Nacht, die der Vermieter am Anreisetag einzieht.",
    ]
    store = fill([chunk(f"/{n}.md", text, language="de") for n, text in enumerate(german)])
    hits = search(
        "Wann verlässt die letzte Fähre den Hafen?",
        store=store,
        embed=embed,
        settings=RetrievalSettings(),
        limit=3,
        count_tokens=embedder.count_tokens,
    )
    assert hits[0].chunk.path == "/0.md"
    assert {hit.scores.vector_weight for hit in hits} == {0.0}


@pytest.mark.model
def test_an_english_embedder_has_half_the_say_over_english_texts(library: Store, embedder: Embedder) -> None:
    hits = search(
        "When does the last ferry leave?",
        store=library,
        embed=embed,
        settings=RetrievalSettings(),
        limit=3,
        count_tokens=embedder.count_tokens,
    )
    assert hits[0].scores.vector_weight == pytest.approx(0.5, abs=0.1)


def test_importing_retrieval_loads_nothing_heavy(repo_root: Path) -> None:
    import subprocess
    import sys

    heavy = ("numpy", "lancedb", "pyarrow", "onnxruntime", "py3langid", "Stemmer", "tokenizers")
    code = f"import sys, termrag.retrieval; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repo_root)
    assert result.stdout.strip() == "[]"
