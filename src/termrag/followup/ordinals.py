"""Finds what "the second one" is: an item of the last answer's list, or the document that it cites second."""

from __future__ import annotations

import re
from collections.abc import Sequence

from termrag.followup.reading import Reading
from termrag.records import Answer
from termrag.turns import Turn

_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)]|[a-h][.)])[ \t]+(.+)$", re.MULTILINE)
_ROW = re.compile(r"(?:[^,;:.!?\n]{2,80}, )+[^,;:.!?\n]{2,80}?,? (?:and|or|und|oder|et|ou|y|o|e) [^,;:.!?\n]{2,80}")
_JOINT = re.compile(r",? (?:and|or|und|oder|et|ou|y|o|e) |, ")
_LEAD = re.compile(r".*\b(?:are|is|were|sind|waren|sont|étaient|son|eran|to|zu|de)\s")
_MOST_CONTENT = 3  # the number, a noun, and one word more
_LONGEST_ITEM = 120
_LAST = -1


def place_of(asked: Reading) -> int | None:
    """Which one is asked for: 0 for the first, -1 for the last; None if the question counts nothing off."""
    table = asked.table
    for index, word in enumerate(asked.words):
        if index > 0 and asked.words[index - 1].folded not in table.articles:
            continue  # "when was it first lit"
        for number, names in enumerate(table.ordinals):
            if word.folded in names:
                return number
        if word.folded in table.last:
            return _LAST
    return None


def is_bare(asked: Reading, before: frozenset[str]) -> bool:
    """Whether the question says hardly more than which one it means. `before` are stems of what was said before: a
    noun that was said may stand beside the number."""
    from termrag.analysis import terms

    table = asked.table
    counted = {name for names in (*table.ordinals, table.last) for name in names}
    others = [
        word
        for word in asked.content
        if word.folded not in counted | table.things | table.sources and terms(word.text, asked.language) not in before
    ]
    if len(asked.content) > _MOST_CONTENT:
        return False
    named = {word.folded for word in asked.words} & (table.things | table.sources)
    said = len(asked.content) - len(others) > 1 or bool(named)
    return not others or (len(others) == 1 and said and bool(named))


def asks_for_source(asked: Reading) -> bool:
    return any(word.folded in asked.table.sources for word in asked.words)


def source(answer: Answer, place: int) -> str:
    """The id of the document that the answer cites at that place, in the order of its sentences; or nothing."""
    cited = dict.fromkeys(each.document_id for sentence in answer.sentences for each in sentence.citations)
    return list(cited)[place] if cited and (place == _LAST or place < len(cited)) else ""


def item(answer: Answer, place: int) -> str:
    """The item of the answer's list, of its row of words, or of a list in what it cites; empty if there is none."""
    quoted = [quote for sentence in answer.sentences for quote in (each.quote for each in sentence.citations)]
    for text in (answer.text, *quoted):
        if picked := _picked(_ITEM.findall(text), place) or _picked(_row(text), place):
            return _short(picked)
    return ""


def _row(text: str) -> list[str]:
    """The items of the first "A, B and C"; what leads to A is cut off at its verb or colon."""
    found = _ROW.search(text)
    if not found:
        return []
    first, *rest = _JOINT.split(found[0])
    return [_LEAD.sub("", first), *rest]


def _picked(items: Sequence[str], place: int) -> str:
    return items[place] if len(items) > 1 and (place == _LAST or place < len(items)) else ""


def _short(text: str) -> str:
    text = " ".join(text.split()).strip(" .;,")
    return text if len(text) <= _LONGEST_ITEM else text[:_LONGEST_ITEM].rsplit(" ", 1)[0]


def stems_of(turn: Turn) -> frozenset[str]:
    """The stems of a turn's question and answer."""
    from termrag.analysis import terms

    text = f"{turn.query} {turn.question} {turn.answer.text if turn.answer else ''}"
    return frozenset(terms(text, "").split())
