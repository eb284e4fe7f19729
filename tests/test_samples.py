"""The samples hold what questions.toml says of them, and stay few, small and dated."""

from __future__ import annotations

import doctest
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from termrag import readers
from termrag.converter import Converter
from termrag.records import Content

SAMPLES = Path(__file__).parent / "samples"
DOCUMENTS = sorted(
    file.name for file in SAMPLES.iterdir() if file.suffix not in ("", ".toml") and not file.name.startswith(".")
)
TRUTH = tomllib.loads((SAMPLES / "questions.toml").read_text(encoding="utf-8"))
ANSWERED = [*TRUTH["question"], *TRUTH["followup"]]


@pytest.fixture(scope="module")
def contents() -> Iterator[dict[str, Content]]:
    with Converter() as converter:
        yield {name: readers.read(SAMPLES / name, converter, max_bytes=1_000_000) for name in DOCUMENTS}


def test_every_sample_is_small_and_of_a_readable_type() -> None:
    assert len(DOCUMENTS) >= 14
    assert sum((SAMPLES / name).stat().st_size for name in DOCUMENTS) < 600_000
    assert [name for name in DOCUMENTS if not readers.is_readable(SAMPLES / name)] == []


def test_the_samples_cover_the_formats_that_people_have() -> None:
    wanted = {"md", "txt", "html", "pdf", "docx", "odt", "xlsx", "csv", "json", "ipynb", "eml", "log", "py", "go"}
    assert wanted <= {name.rpartition(".")[2] for name in DOCUMENTS}


def test_every_sample_gives_text_without_warnings(contents: dict[str, Content]) -> None:
    assert [name for name, content in contents.items() if len(content.text) < 400 or content.warnings] == []


def test_the_manual_has_pages_that_call_themselves_otherwise_than_they_count(contents: dict[str, Content]) -> None:
    labels = [(mark.number, mark.label) for mark in contents["radio-manual.pdf"].pages]
    assert labels == [(1, "i"), (2, "ii"), *((number + 2, str(number)) for number in range(1, 10))]


def test_front_matter_names_author_date_and_tags(contents: dict[str, Content]) -> None:
    guide = contents["welcome.md"]
    assert (guide.title, guide.author, guide.created) == ("Welcome to Vessa", "Agnes Tully", "2025-04-02")
    assert guide.tags == ("visitors", "island", "walking")


@pytest.mark.parametrize("entry", ANSWERED, ids=lambda entry: entry.get("id") or entry["means"])
def test_the_key_facts_stand_at_the_named_place(entry: dict[str, Any], contents: dict[str, Content]) -> None:
    place = _flat(_place(entry, contents[entry["document"]]))
    assert [fact for fact in entry["facts"] if _flat(fact) not in place] == []


def test_the_sample_program_does_what_its_examples_say() -> None:
    module = runpy.run_path(str(SAMPLES / "causeway.py"))
    examples = doctest.DocTestParser().get_doctest(module["board_line"].__doc__, module, "board_line", None, None)
    assert doctest.DocTestRunner(verbose=False).run(examples) == doctest.TestResults(failed=0, attempted=2)


def test_a_place_is_named_once_and_the_other_documents_exist() -> None:
    for entry in ANSWERED:
        assert sum(key in entry for key in ("page", "lines", "heading")) <= 1, entry["ask"]
        assert set(entry.get("also", ())) <= set(DOCUMENTS), entry["ask"]


def test_questions_are_many_and_asked_of_every_sample() -> None:
    assert len(TRUTH["question"]) >= 60
    assert len(TRUTH["unanswerable"]) >= 20
    assert len(TRUTH["followup"]) >= 40
    assert {entry["document"] for entry in TRUTH["question"]} == set(DOCUMENTS)
    assert {entry["kind"] for entry in TRUTH["unanswerable"]} == {"foreign", "near-miss"}


def test_no_question_is_asked_twice() -> None:
    asked = [entry["ask"] for entry in (*TRUTH["question"], *TRUTH["unanswerable"])]
    assert len(asked) == len(set(asked))


def test_the_answers_file_and_the_makers_are_kept_out_of_a_library() -> None:
    ignored = (SAMPLES / ".termragignore").read_text(encoding="utf-8").split()
    assert {"make/", "questions.toml"} <= set(ignored)


def _place(entry: dict[str, Any], content: Content) -> str:
    """The part of a text that an entry points at: a page, lines, what stands under a heading, or all of it."""
    if "page" in entry:
        starts = {mark.number: mark.start_char for mark in content.pages}
        return content.text[starts[entry["page"]] : starts.get(entry["page"] + 1, len(content.text))]
    if "lines" in entry:
        first, last = entry["lines"]
        assert content.lines_match
        return "\n".join(content.text.split("\n")[first - 1 : last])
    if "heading" in entry:
        sections = re.split(r"^#+ +(.*)$", content.text, flags=re.MULTILINE)
        return dict(zip(sections[1::2], sections[2::2], strict=True))[entry["heading"]]
    return content.text


def _flat(text: str) -> str:
    return " ".join(text.replace("*", "").split())
