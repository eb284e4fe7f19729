"""Chunking: nothing lost, nothing too long, nothing cut that belongs together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from termrag.chunking import chunk, word_bound
from termrag.records import Chunk, Content, PageMark

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|[^\w\s]")


def count(text: str) -> int:
    """Words, signs and single CJK characters: near what a word-piece tokenizer counts."""
    return len(_TOKEN.findall(text))


def prose(sentences: int, words: int = 12, start: int = 0) -> str:
    return " ".join(
        "Sentence" + "".join(f" word{start + number}x{place}" for place in range(words - 1)) + "."
        for number in range(sentences)
    )


def bodies(chunks: list[Chunk], content: Content) -> list[str]:
    return [content.text[made.start_char : made.end_char] for made in chunks]


# --- properties ----------------------------------------------------------------------------------------------------

_LINES = st.sampled_from(
    [
        "",
        "",
        "# Heading",
        "## Deeper *one*",
        "Setext",
        "=====",
        "==========",
        "- an item of a list",
        "1. a numbered one",
        "```python",
        "```",
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
        "Plain words stand here. And here! Or Dr. Who? Yes.",
        "def run(self):",
        "    class Inner:",
        "        return {1: 2}",
        "}",
        "国は、すべての生活部面について、社会福祉の向上に努めなければならない。",
        'a,"quoted, with ""marks""",3',
        '"open quote',
        "\\section{On things}",
        "---",
        "title: x",
        "x" * 500,
        "y1 " * 120,
        "漢" * 300,
        "\u00a0\u3000",
    ]
)
_CONTENTS = st.builds(
    lambda lines, kind, syntax: Content(text="\n".join(lines), kind=kind, syntax=syntax),
    st.lists(_LINES | st.text(max_size=60), max_size=40),
    st.sampled_from(["markdown", "text", "code", "table"]),
    st.sampled_from(["", "python", "rst", "tex", "org", "javascript", "cpp", "go", "csv", "json"]),
)
_COUNTERS = st.sampled_from([count, len, lambda text: len(text.split()), lambda text: len(text.encode()) // 3 + 1])


@settings(max_examples=300, deadline=None)
@given(_CONTENTS, _COUNTERS, st.integers(8, 80))
@example(Content(text="# Heading\n---", syntax="rst"), count, 8)
def test_whatever_the_text_nothing_is_lost_and_nothing_too_long(
    content: Content, counter: Callable[[str], int], max_tokens: int
) -> None:
    chunks = chunk(content, counter, max_tokens)

    covered = bytearray(len(content.text))
    for number, made in enumerate(chunks):
        body = content.text[made.start_char : made.end_char]
        assert made.position == number
        assert made.text == body or (made.text.endswith("\n" + body) and content.kind in ("markdown", "table"))
        assert body.strip()
        assert counter(made.text) <= max(max_tokens, counter(body) if len(body) == 1 else 0)
        assert made.start_line == content.text.count("\n", 0, made.start_char) + 1
        assert made.end_line == content.text.count("\n", 0, made.end_char - 1) + 1
        covered[made.start_char : made.end_char] = b"x" * len(body)
    missed = [c for c, mark in zip(content.text, covered, strict=True) if not mark and not c.isspace()]
    assert missed == []
    assert chunks == chunk(content, counter, max_tokens)
    starts = [made.start_char for made in chunks]
    assert starts == sorted(starts)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), min_size=1, max_size=6), st.integers(8, 60))
def test_pages_are_those_where_chunks_begin(pages: list[str], max_tokens: int) -> None:
    marks, text = [], ""
    for number, page in enumerate(pages, 1):
        marks.append(PageMark(len(text), number, f"p{number}"))
        text += page.replace("\r", " ") + "\n\n"
    content = Content(text=text, pages=tuple(marks))
    for made in chunk(content, count, max_tokens):
        mark = max((m for m in marks if m.start_char <= made.start_char), key=lambda m: m.number)
        assert (made.page, made.page_label) == (mark.number, mark.label)


# --- prose ---------------------------------------------------------------------------------------------------------


def test_chunks_are_well_filled_and_end_with_sentences() -> None:
    content = Content(text=prose(150))
    chunks = chunk(content, count, 256)
    assert all(made.text.startswith("Sentence") and made.text.endswith(".") for made in chunks)
    assert all(made.tokens >= 0.6 * 256 for made in chunks)


def test_paragraphs_stay_whole_where_they_fit() -> None:
    paragraphs = [prose(8, start=100 * number) for number in range(12)]
    content = Content(text="\n\n".join(paragraphs))
    for body in bodies(chunk(content, count, 256), content):
        assert all(part in paragraphs for part in body.split("\n\n"))


@pytest.mark.parametrize(
    "sentence",
    [
        "すべての人間は、生まれながらにして自由である。",
        "人人生而自由，在尊严和权利上一律平等。",
        "彼は「はい。」と言った！",
    ],
)
def test_text_without_spaces_is_cut_between_sentences(sentence: str) -> None:
    content = Content(text=sentence * 60)
    chunks = chunk(content, count, 128)
    assert len(chunks) > 5
    for made in chunks:
        assert made.text.replace("。」", "」")[-1] in "。！」"
        assert made.start_char % len(sentence) in (0, sentence.find("と言"))


@pytest.mark.parametrize(
    "text",
    [
        "He met Dr. Lee at 5 p.m. in the U.S. Embassy, cf. Fig. 3 and No. 5, i.e. there.",
        "Er zahlte z. B. 3.50 Euro, bzw. 4.20 an Prof. Kern usw. und ging.",
        "J. R. R. Tolkien wrote version 2.0 of it, etc. and more.",
    ],
)
def test_abbreviations_end_no_sentence(text: str) -> None:
    from termrag.chunking.sentences import sentence_starts

    assert sentence_starts(text, 0, len(text)) == [0]


def test_sentences_end_where_readers_see_them_end() -> None:
    from termrag.chunking.sentences import sentence_starts

    text = 'One. "Two!" Three? (Four.) Five… Six: seven. 8 nine.\n- ten\n- eleven\n\nTwelve هل هذا؟ نعم. यह है। हाँ।'
    starts = [*sentence_starts(text, 0, len(text)), len(text)]
    sentences = [text[a:b].strip() for a, b in itertools.pairwise(starts)]
    assert sentences == [
        "One.",
        '"Two!"',
        "Three?",
        "(Four.)",
        "Five…",
        "Six: seven.",
        "8 nine.",
        "- ten",
        "- eleven",
        "Twelve هل هذا؟",
        "نعم.",
        "यह है।",
        "हाँ।",
    ]


def test_an_endless_line_is_cut_in_linear_time() -> None:
    calls = 0

    def counting(text: str) -> int:
        nonlocal calls
        calls += len(text)
        return len(text) // 3 + 1

    content = Content(text="ab,c" * 250_000, kind="code", syntax="json")
    chunks = chunk(content, counting, 256)
    assert all(made.tokens <= 256 for made in chunks)
    assert calls < 8 * len(content.text)


# --- Markdown ------------------------------------------------------------------------------------------------------


def test_headings_make_the_path_and_stay_with_their_text() -> None:
    text = f"# Boats\n\n{prose(15)}\n\n## Hire\n\n{prose(15, start=50)}\n\n### Prices\n\n{prose(15, start=90)}\n"
    chunks = chunk(Content(text=text, kind="markdown"), count, 256)
    assert [made.heading for made in chunks] == ["Boats", "Boats > Hire", "Boats > Hire > Prices"]
    assert [made.text.split("\n")[0] for made in chunks] == ["# Boats", "## Hire", "### Prices"]


def test_small_sections_join_under_the_heading_they_share() -> None:
    text = "# Cake\n\n" + "".join(f"## Part {n}\n\n{prose(3, start=10 * n)}\n\n" for n in range(4))
    chunks = chunk(Content(text=text, kind="markdown"), count, 256)
    assert [made.heading for made in chunks] == ["Cake"]


def test_large_sections_do_not_join() -> None:
    text = "# Cake\n\n" + "".join(f"## Part {n}\n\n{prose(11, start=20 * n)}\n\n" for n in range(4))
    chunks = chunk(Content(text=text, kind="markdown"), count, 256)
    assert [made.heading for made in chunks] == [f"Cake > Part {n}" for n in range(4)]


def test_code_in_a_fence_stays_whole_and_its_comments_are_no_headings() -> None:
    fence = "```sh\n# not a heading\n" + "".join(f"run step {n}\n\n" for n in range(30)) + "```"
    text = f"# Setup\n\n{prose(13)}\n\n{fence}\n\n{prose(13, start=60)}\n"
    chunks = chunk(Content(text=text, kind="markdown"), count, 256)
    assert sum(fence in made.text for made in chunks) == 1
    assert {made.heading for made in chunks} == {"Setup"}


def test_a_table_that_fits_stays_whole() -> None:
    table = "| Port | Tide |\n| --- | --- |\n" + "\n".join(f"| Port{n} | {n} m |" for n in range(15))
    text = f"{prose(14)}\n\n{table}\n\n{prose(14, start=50)}"
    assert sum(table in made.text for made in chunk(Content(text=text, kind="markdown"), count, 256)) == 1


def test_a_long_table_repeats_its_head() -> None:
    head = "| Port | Tide |\n| --- | --- |"
    rows = [f"| Port{n} | {n} m |" for n in range(200)]
    content = Content(text=head + "\n" + "\n".join(rows), kind="markdown")
    chunks = chunk(content, count, 128)
    assert len(chunks) > 5
    for made, body in zip(chunks, bodies(chunks, content), strict=True):
        assert made.text.startswith(head + "\n| Port")
        assert made.text.endswith(body)
        assert all(line in rows for line in made.text.split("\n")[2:])


# --- tables, code, marked-up text ----------------------------------------------------------------------------------


def test_records_of_a_csv_file_stay_whole_under_their_head() -> None:
    records = [f'{n},"Port {n}\nwith, a second line",{n * 3}' for n in range(100)]
    content = Content(text="id,name,depth\n" + "\n".join(records) + "\n", kind="table", syntax="csv")
    chunks = chunk(content, count, 96)
    assert len(chunks) > 5
    assert all(made.text.startswith("id,name,depth\n") for made in chunks)
    assert sum(made.text.count(record) for made in chunks for record in records) == 100


def test_code_is_cut_along_definitions_and_headed_by_their_names() -> None:
    def body(name: str) -> str:
        lines = "".join(f"        value_{n} = compute(value, {n})\n" for n in range(12))
        return f'    @cached\n    def {name}(self, value):\n        """Do {name}."""\n{lines}        return value\n'

    text = (
        "import os\n\nLIMIT = 3\n\n\n# Holds boats.\nclass Harbour:\n"
        f"    size = 3\n\n{body('enter')}\n{body('leave')}\n\ndef main():\n    return Harbour()\n"
    )
    chunks = chunk(Content(text=text, kind="code", syntax="python", lines_match=True), count, 160)
    heads = {made.heading: made for made in chunks}
    assert heads["class Harbour > def leave"].text.startswith("    @cached\n    def leave")
    assert "def enter" in heads["class Harbour > def enter"].text
    assert "# Holds boats.\nclass Harbour:" in next(made.text for made in chunks if "class Harbour:" in made.text)


JAVASCRIPT = "export class Boat {\n  sail(wind) {\n    X\n  }\n}\n\nconst dock = async (a) => {\n  X\n}\n"
RUST = "impl Boat {\n    pub fn sail(&self) -> u8 {\n        X\n    }\n}\n\nfn dock() {\n    X\n}\n"
GO = "func (b *Boat) Sail() int {\n\tX\n}\n\ntype Dock struct {\n\tX\n}\n"
C = "static int sail(struct boat *b)\n{\n    X\n}\n\nvoid dock(void)\n{\n    X\n}\n"
JAVA = "public class Boat {\n    public int sail(int wind) {\n        X\n    }\n}\n"
SQL = "CREATE TABLE boats (\n  X\n);\n\ncreate view docks as\n  X\n"


@pytest.mark.parametrize(
    ("syntax", "source", "names"),
    [
        ("javascript", JAVASCRIPT, ["class Boat > sail", "dock"]),
        ("rust", RUST, ["impl Boat > fn sail", "fn dock"]),
        ("go", GO, ["func (b *Boat) Sail", "type Dock"]),
        ("c", C, ["sail", "dock"]),
        ("java", JAVA, ["class Boat > sail"]),
        ("sql", SQL, ["CREATE TABLE boats", "create view docks"]),
        ("shell", "sail() {\n  X\n}\n\nfunction dock() {\n  X\n}\n", ["sail", "function dock"]),
        ("yaml", "boats:\n  X\n\ndocks:\n  X\n", ["boats", "docks"]),
    ],
)
def test_definitions_of_other_languages_are_found(syntax: str, source: str, names: list[str]) -> None:
    filling = "\n".join(f"call(step{n}, {n});" for n in range(40))
    text = re.sub(r"( *\t*)X", lambda found: "\n".join(found.group(1) + line for line in filling.split("\n")), source)
    headings = [made.heading for made in chunk(Content(text=text, kind="code", syntax=syntax), count, 140)]
    for name in names:
        assert name in headings


@pytest.mark.parametrize(
    ("syntax", "heads"),
    [
        ("rst", ("Boats\n=====\n", "Hire\n----\n")),
        ("rst", ("=====\nBoats\n=====\n", "Hire\n----\n")),
        ("org", ("* Boats\n", "** Hire\n")),
        ("tex", ("\\section{Boats}\n", "\\subsection{Hire}\n")),
        ("asciidoc", ("= Boats\n", "== Hire\n")),
    ],
)
def test_headings_of_other_markups_are_found(syntax: str, heads: tuple[str, str]) -> None:
    text = f"{heads[0]}\n{prose(15)}\n\n{heads[1]}\n{prose(15, start=50)}\n"
    chunks = chunk(Content(text=text, syntax=syntax), count, 256)
    assert [made.heading for made in chunks] == ["Boats", "Boats > Hire"]


# --- pages ---------------------------------------------------------------------------------------------------------


def paged(*pages: str) -> Content:
    marks, text = [], ""
    for number, page in enumerate(pages, 1):
        marks.append(PageMark(len(text), number))
        text += page + "\n\n"
    return Content(text=text, pages=tuple(marks))


def test_chunks_keep_to_their_page() -> None:
    chunks = chunk(paged(prose(5), prose(30, start=20), prose(2, start=80)), count, 256)
    assert [made.page for made in chunks] == [1, 2, 2, 3]


def test_a_sentence_that_runs_over_a_page_end_belongs_to_the_page_where_it_begins() -> None:
    chunks = chunk(paged(prose(5) + " The boat sailed", "into the harbour at noon. Then it rained."), count, 256)
    assert chunks[0].text.endswith("The boat sailed\n\ninto the harbour at noon.")
    assert chunks[1].text == "Then it rained."
    assert [made.page for made in chunks] == [1, 2]


def test_a_script_that_the_tokenizer_spells_is_counted_by_words():
    arabic = "في سنة 2024 جمعت المنارة سبعة وثلاثين طائرا " * 4
    by_letters = len

    assert word_bound(by_letters)(arabic) < by_letters(arabic) / 2
    assert word_bound(by_letters)("灯塔在二零二四年收集了三十七只鸟。" * 4) == 17 * 4
    assert word_bound(lambda text: len(text) // 3)("plain English prose") == 6
