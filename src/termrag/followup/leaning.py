"""Tells whether a question leans on something said before it, by its pronouns and pointing words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from termrag.followup.reading import Reading, Word

# fmt: off
_POSSESSIVES = frozenset((
    "its", "their", "his", "her", "ihr", "ihre", "ihrer", "ihren", "ihrem", "sein", "seine", "seiner", "seinen",
    "seinem", "leur", "leurs", "son", "sa", "ses",
))
# fmt: on
_MOST_CONTENT = 4  # content words beside "later", "there"


def leans(asked: Reading) -> str:
    """The word that leans on what was said; empty for a question that stands on its own."""
    idle = _idle_places(asked)
    for index, word in enumerate(asked.words):
        if index not in idle and (
            _is_pronoun(asked, index, word)
            or _is_pointer(asked, index, word)
            or _is_leaning(asked, word)
            or _is_one(asked, index, word)
        ):
            return word.text
    if asks_why(asked) and len(asked.content) <= 1:
        return asked.words[0].text
    return ""


def asks_why(asked: Reading) -> bool:
    return re.match(rf"(?:{asked.table.whys})(?= |\Z)", asked.plain) is not None


def _idle_places(asked: Reading) -> set[int]:
    """Where a pronoun or "there" stands for nothing."""
    plain = asked.plain
    places: set[int] = set()
    for found in re.finditer(asked.table.idle, plain):
        first = plain.count(" ", 0, found.start())
        places |= set(range(first, first + found[0].rstrip().count(" ") + 1))
    return places


def _is_pronoun(asked: Reading, index: int, word: Word) -> bool:
    spelled = word.lowered if asked.language == "es" else word.folded
    return spelled in asked.table.pronouns and not _is_bound(asked, index, word)


def _is_bound(asked: Reading, index: int, word: Word) -> bool:
    """Whether what the pronoun means stands before it in the same question."""
    before: Sequence[Word] = asked.words[:index]
    first = next((place for place, each in enumerate(before) if each.is_content), None)
    if first is None:
        return False
    if any(each.kind in ("name", "code") for each in before):
        return True
    return word.folded in _POSSESSIVES or any(each.folded in asked.table.joins for each in before[first + 1 :])


def _is_pointer(asked: Reading, index: int, word: Word) -> bool:
    table = asked.table
    following = asked.words[index + 1] if index + 1 < len(asked.words) else None
    if word.folded in table.determiners and following is not None and following.is_content:
        relative = word.folded in table.joins and index > 0 and asked.words[index - 1].is_content
        return not relative and following.folded not in table.times and following.kind == ""
    if word.folded not in table.pointers:
        return False
    if following is None:
        return True
    after_content = index > 0 and asked.words[index - 1].is_content
    return not following.is_content and not (after_content and word.folded in table.joins)


def _is_leaning(asked: Reading, word: Word) -> bool:
    return (
        word.folded in asked.table.leaning
        and len(asked.content) <= _MOST_CONTENT
        and not any(each.kind in ("name", "code") for each in asked.words)
    )


def _is_one(asked: Reading, index: int, word: Word) -> bool:
    """ "Which one is cheaper", but not "one hour" and not "one of the boats"."""
    if asked.language != "en" or word.folded not in ("one", "ones") or index == 0:
        return False
    following = asked.words[index + 1] if index + 1 < len(asked.words) else None
    return following is None or (not following.is_content and following.folded != "of")
