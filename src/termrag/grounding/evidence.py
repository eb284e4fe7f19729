"""A passage read for checking: its sentences with their words, numbers, dates and denials; knows no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from termrag.grounding.content import Word, content_words, denials
from termrag.grounding.dates import Date, dates
from termrag.grounding.numbers import Number, codes, numbers, torn_numbers
from termrag.grounding.sentences import split
from termrag.records import Passage

_MOST_SENTENCES = 3  # a claim may gather from so many neighbouring sentences


@dataclass(frozen=True, slots=True)
class Reading:
    """What one stretch of text states. `start` and `end` are its place in the passage's text."""

    text: str
    start: int
    end: int
    words: tuple[Word, ...]
    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    numbers: tuple[Number, ...]
    dates: tuple[Date, ...]
    codes: frozenset[str]
    denials: tuple[tuple[str, ...], ...]
    spaces: int  # between its words


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage and its readings: `windows` are one to three neighbouring sentences, short ones first; `context` are
    the stems of its title and headings, which hold for every sentence."""

    passage: Passage
    whole: Reading
    units: tuple[Reading, ...]
    windows: tuple[Reading, ...]
    context: frozenset[str]


def read(text: str, language: str, start: int = 0) -> Reading:
    """What a text states."""
    stated_dates, stated_numbers = dates(text), numbers(text)
    words = [w for w in content_words(text, language) if not _is_counted(w, stated_numbers, stated_dates)]
    stems = [w.stem for w in words]
    return Reading(
        text=text,
        start=start,
        end=start + len(text),
        words=tuple(words),
        stems=frozenset(stems) | {s for w in words for s in w.also},
        pairs=_pairs(stems),
        numbers=(*stated_numbers, *torn_numbers(text)),
        dates=tuple(stated_dates),
        codes=frozenset(codes(text)),
        denials=denials(text, words),
        spaces=text.strip().count(" "),
    )


def evidence(passage: Passage, language: str) -> Evidence:
    """Read a passage for checking."""
    return Evidence(passage, *_stated(passage.text, f"{passage.title}\n{passage.heading}", language))


# The same few passages are asked about each sentence of an answer, and by the next questions.
@lru_cache(maxsize=64)
def _stated(
    text: str, headings: str, language: str
) -> tuple[Reading, tuple[Reading, ...], tuple[Reading, ...], frozenset[str]]:
    """The whole, its units, its windows, and the context, as `Evidence` has them."""
    units = _units(text, language)
    windows = [_merge(text, units[i : i + n]) for n in range(1, _MOST_SENTENCES + 1) for i in range(len(units) - n + 1)]
    whole = _merge(text, units) if units else read(text, language)
    return whole, units, tuple(windows), read(headings, language).stems


def _units(text: str, language: str) -> tuple[Reading, ...]:
    units: list[Reading] = []
    position = 0
    for sentence in split(text):
        if sentence.strip():
            units.append(read(sentence, language, position))
        position += len(sentence)
    return tuple(units)


def _merge(text: str, units: Sequence[Reading]) -> Reading:
    if len(units) == 1:
        return units[0]
    words = [w for unit in units for w in unit.words]
    merged = text[units[0].start : units[-1].end]
    return Reading(
        text=merged,
        start=units[0].start,
        end=units[-1].end,
        words=tuple(words),
        stems=frozenset().union(*(u.stems for u in units)),
        pairs=frozenset().union(*(u.pairs for u in units)),
        numbers=tuple(n for u in units for n in u.numbers),
        dates=tuple(d for u in units for d in u.dates),
        codes=frozenset().union(*(u.codes for u in units)),
        denials=tuple(d for u in units for d in u.denials),
        spaces=merged.strip().count(" "),
    )


def _pairs(stems: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Stems side by side, or with one between them."""
    return frozenset(pairwise(stems)) | frozenset(zip(stems, stems[2:], strict=False))


def _is_counted(word: Word, stated_numbers: Sequence[Number], stated_dates: Sequence[Date]) -> bool:
    """Words of a number or a date are compared as such, not as words."""
    return any(n.start <= word.start < n.end for n in stated_numbers) or any(
        d.start <= word.start < d.end for d in stated_dates
    )
