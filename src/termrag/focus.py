"""Shortens passages to the sentences nearest a question, for models too small to read more; pure.

A model of 135 million parameters answers about twice as many questions from 350 characters as from four whole passages
that hold the same fact. Checking and citing still use the whole passages.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from termrag.analysis import Keyword, keywords, terms
from termrag.chunking.sentences import sentence_starts
from termrag.records import Passage

_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-|#*]|\d+\. ))")
_SHORT_LINE = 60
_HEADING_SHARE = 0.3  # what a question's word counts that stands only in the heading or the file's name
_PASSAGE_SHARE = 0.25  # ... that stands elsewhere in the same passage


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, or a line where lines are what the text is made of."""

    passage: int
    position: int
    text: str
    words: frozenset[str]


def focus(passages: Sequence[Passage], question: str, characters: int) -> list[tuple[Passage, str]]:
    """Return passages with what of their text to show, in their order: the units that hold most of the question, each
    with its neighbours, about `characters` together. Passages of which nothing is left are not returned."""
    units = [unit for index, passage in enumerate(passages) for unit in _units(index, passage)]
    if sum(len(unit.text) for unit in units) <= characters:
        return [(passage, passage.text) for passage in passages]
    chosen: set[tuple[int, int]] = set()
    size = 0
    for unit in _ranked(units, passages, keywords(question)):
        beside = [each for each in units if each.passage == unit.passage and abs(each.position - unit.position) <= 1]
        fresh = [each for each in beside if (each.passage, each.position) not in chosen]
        length = sum(len(each.text) for each in fresh)
        if chosen and size + length > characters:
            break
        chosen |= {(each.passage, each.position) for each in fresh}
        size += length
    shown = []
    for index, passage in enumerate(passages):
        texts = [unit.text for unit in units if unit.passage == index and (index, unit.position) in chosen]
        if texts:
            shown.append((passage, "\n".join(texts)))
    return shown


def _ranked(units: Sequence[_Unit], passages: Sequence[Passage], wanted: Sequence[Keyword]) -> list[_Unit]:
    spread = Counter(keyword.word for unit in units for keyword in wanted if keyword.is_in(unit.words))
    rarity = {keyword.word: math.log(1 + len(units) / (spread[keyword.word] + 0.5)) for keyword in wanted}
    headings = [frozenset(terms(f"{each.heading} {each.path.rsplit('/', 1)[-1]}", "").split()) for each in passages]
    wholes = [frozenset(terms(each.text, "").split()) for each in passages]

    def held(words: frozenset[str]) -> float:
        return sum(rarity[keyword.word] for keyword in wanted if keyword.is_in(words))

    def score(unit: _Unit) -> float:
        around = _HEADING_SHARE * held(headings[unit.passage]) + _PASSAGE_SHARE * held(wholes[unit.passage])
        return held(unit.words) + around

    return sorted(units, key=lambda unit: (-score(unit), unit.passage, unit.position))


def _units(index: int, passage: Passage) -> list[_Unit]:
    texts = [text for block in _BLOCK.split(passage.text) for text in _pieces(block)]
    return [_Unit(index, position, text, frozenset(terms(text, "").split())) for position, text in enumerate(texts)]


def _pieces(block: str) -> list[str]:
    """The sentences of prose; the lines of tables, lists, code and logs."""
    lines = [line for line in block.split("\n") if line.strip()]
    short = sum(len(line) < _SHORT_LINE for line in lines)
    if "|" in block or (len(lines) > 2 and short >= 0.8 * len(lines)):
        return lines
    text = " ".join(line.strip() for line in lines)
    starts = sentence_starts(text, 0, len(text))
    ends = [*starts[1:], len(text)]
    return [piece for start, end in zip(starts, ends, strict=True) if (piece := text[start:end].strip())]
