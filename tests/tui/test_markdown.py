"""Markdown that grows: however a text is cut into pieces, the blocks are those of the whole; nothing is lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from termrag.tui.markdown import Markdown, code_blocks

MIXED = """# A heading

Some text with **strong**, *soft* and `code`, and a [link](https://example.org) [1](cite:1).
A second line of it.

- one
- two

  with a second paragraph
- three
  - nested
  - more

1. first
2. second

> quoted
> text

| a | b |
|---|---|
| 1 | 日本語 |

```python
def f(x):
    return x

# end
```

---
Last\x0cwords."""
LISTS = "- a\n- b\n\n- c\n\n\n  d\n* other\n* list\n10. ten\n11. eleven\n\n    code in it\n"
OPEN_FENCE = "Text.\n\n~~~ go\nfunc main() {\n\n}\n"
NESTED = "> - a\n>   > b\n> - c\n>\n> ```\n> x\n> ```\n\n1. a\n   1. b\n      - c\n\n   d\n"
LONG_LIST = "\n".join(f"- item {n} with some words" for n in range(300))
LONG_TABLE = "| n | word |\n|--|--|\n" + "\n".join(f"| {n} | word {n} |" for n in range(100))
LONG_CODE = "```python\n" + "\n".join(f"x{n} = {n}" for n in range(120)) + "\n```\nAfter.\n"
SETEXT = "A title\n=======\n\nanother\n---\ntext\n***\n"
HTML = "<div>\nraw\n</div>\n\n<b>inline</b> text ![picture](x.png)\n"


def whole(text: str) -> Markdown:
    markdown = Markdown()
    markdown.feed(text)
    return markdown


def in_pieces(text: str, cuts: list[int]) -> Markdown:
    markdown = Markdown()
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        before = list(markdown.blocks)
        changed = markdown.feed(text[start:end])
        assert markdown.blocks[:changed] == before[:changed]
    return markdown


@pytest.mark.parametrize("text", [MIXED, LISTS, OPEN_FENCE, NESTED, SETEXT, HTML, LONG_CODE, LONG_TABLE])
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 5000), max_size=60))
def test_any_way_of_cutting_gives_the_same_blocks(text: str, cuts: list[int]):
    markdown = in_pieces(text, cuts)
    assert markdown.source == text
    assert markdown.blocks == whole(text).blocks


@pytest.mark.parametrize("text", [MIXED, LISTS, NESTED, SETEXT, HTML])
def test_letter_by_letter_gives_the_same_blocks(text: str):
    assert in_pieces(text, list(range(len(text)))).blocks == whole(text).blocks


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(
        st.sampled_from(
            [
                "",
                "- a",
                "- b",
                "  c",
                "1. x",
                "2. y",
                "> q",
                "```",
                "text",
                "# h",
                "| a | b |",
                "|--|--|",
                "    i",
                "---",
            ]
        ),
        max_size=14,
    ),
    cuts=st.lists(st.integers(0, 200), max_size=20),
)
def test_random_lines_in_random_pieces_give_the_same_blocks(lines: list[str], cuts: list[int]):
    text = "\n".join(lines)
    assert in_pieces(text, cuts).blocks == whole(text).blocks


def test_a_long_list_changes_only_at_its_end():
    markdown = whole(LONG_LIST)
    assert len(markdown.blocks) == 300
    assert markdown.feed(" and more") == 299


def test_a_long_piece_of_code_changes_only_at_its_end():
    markdown = whole(LONG_CODE.split("\n```")[0])
    assert [block.kind for block in markdown.blocks] == ["code"] * 4
    assert markdown.feed("\ny = 1") == 3


def test_code_blocks_are_found_in_order():
    assert code_blocks(MIXED + "\n\n```\nsecond\n```") == ["def f(x):\n    return x\n\n# end", "second"]
    assert code_blocks(LONG_CODE)[0].count("\n") == 119
