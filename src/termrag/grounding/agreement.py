"""How well a claim agrees with the windows of a passage: which exact facts it shares, and how much of its wording.

Facts (numbers, dates, codes, names) are yes or no; words count by weight; word order and denials are compared apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from termrag.analysis.languages import fold
from termrag.grounding.content import Word
from termrag.grounding.dates import Date
from termrag.grounding.evidence import Evidence, Reading
from termrag.grounding.numbers import Number

_FACT_WEIGHT = 4.0
_CONTEXT = 0.9  # a word of the claim that stands in the passage's heading
_KIN = 0.8  # a word that shares its beginning or a part with one of the window
_ELSEWHERE = 0.35  # a word that stands elsewhere in the passage
_KIN_CHARS = 5
_PART_CHARS, _COMPOUND_CHARS = 6, 9  # a part of a compound, and a compound, have so many at least
_LONGER = 0.02  # what each further sentence of a window costs
_LACKS = 0.25  # what each missing fact costs when windows are compared


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a claim states exactly. `kind` is number, date, code or name."""

    kind: str
    text: str
    number: Number | None = None
    date: Date | None = None
    stem: str = ""

    def is_in(self, reading: Reading, context: frozenset[str]) -> bool:
        if self.number is not None:
            return _number_is_in(self.number, reading)
        if self.date is not None:
            return _date_is_in(self.date, reading)
        if self.kind == "code":
            return self.stem in reading.codes or self.stem in context or self.stem in _letters(reading.text)
        return self.stem in reading.stems or self.stem in context or _is_kin_name(self.text, reading.words)


@dataclass(frozen=True, slots=True)
class Match:
    """A claim laid over one window. `words` and `order` are the shares, 0 to 1, of the claim's weighted words and of
    its neighbouring pairs that the window holds; `missing` are the facts it lacks; `found` the stems it holds."""

    evidence: Evidence
    window: Reading
    words: float
    order: float
    missing: tuple[Fact, ...]
    found: frozenset[str]

    @property
    def worth(self) -> float:
        """What windows are compared by: shorter ones win over longer ones that add nothing."""
        return _worth(self.words, self.order, self.window) - _LACKS * len(self.missing)


def _worth(words: float, order: float, window: Reading) -> float:
    return 0.75 * words + 0.25 * order - _LONGER * (window.spaces // 25)


def facts_of(claim: Reading, *, nouns_are_capitalised: bool) -> tuple[Fact, ...]:
    """The exact facts that a claim states. Where every noun has a capital, only runs of capitals are names."""
    found = [Fact("date", d.text, date=d) for d in claim.dates]
    found += [Fact("number", n.text, number=n) for n in claim.numbers if not _is_dated(n, claim.dates)]
    found += [Fact("code", code, stem=code) for code in sorted(claim.codes)]
    names = [w for w in claim.words if w.is_name and w.stem not in claim.codes]
    if nouns_are_capitalised:
        names = [w for w in names if w.text[1:] != w.text[1:].lower() or _has_neighbour(w, names, claim)]
    return (*found, *(Fact("name", w.text, stem=w.stem) for w in names))


def best_match(claim: Reading, facts: Sequence[Fact], evidence: Evidence) -> Match | None:
    """The window of a passage that agrees best with a claim; None for a passage without text."""
    laid = _Laid(claim, facts, evidence)
    most = [laid.most(window) for window in evidence.windows]
    best: Match | None = None
    place = 0
    for i in sorted(range(len(most)), key=lambda i: -most[i]):
        if best is not None and most[i] < best.worth:
            break
        match = laid.over(evidence.windows[i])
        if best is None or (match.worth, -i) > (best.worth, -place):  # of equal ones the first
            best, place = match, i
    return best


def second_match(claim: Reading, first: Match, passages: Iterable[Evidence]) -> Match | None:
    """A further window that holds facts which the first lacks, and says what they belong to."""
    best: Match | None = None
    for evidence in passages:
        laid = _Laid(claim, first.missing, evidence)
        for window in evidence.windows:
            match = laid.over(window)
            gained = len(first.missing) - len(match.missing)
            # A fact found apart counts only where its window also says a word that the first does not: else a number
            # is borrowed from something else.
            if gained and match.found - first.found and (best is None or match.worth > best.worth):
                best = match
    return best


def joined(claim: Reading, first: Match, second: Match) -> tuple[float, float]:
    """(words, order) that two windows hold together."""
    found = first.found | second.found
    total = sum(w.weight for w in claim.words)
    words = sum(w.weight for w in claim.words if w.stem in found) / total if total else 1.0
    order = _order(_neighbours(claim), first.window.pairs | second.window.pairs)
    return words, order


def opposed(claim: Reading, window: Reading) -> str:
    """The word that one side denies and the other states; empty if they agree."""
    ours = {stem for heads in claim.denials for stem in heads}
    theirs = {stem for heads in window.denials for stem in heads}
    for mine, other, denied in ((claim, window, theirs), (window, claim, ours)):
        for heads in mine.denials:
            head = next((stem for stem in heads if stem in other.stems), "")
            if head and head not in denied and (mine is claim or _stands_once(head, window)):
                return _written(claim, head)
    return ""


def rival(claim: Reading, match: Match) -> tuple[str, str] | None:
    """A number of the claim and the one that stands in its place: "5 years" where the sentence of the window that
    says most of the claim's words has "2 years", and the 5 stands in a sentence that says fewer. None if there is none.
    """
    units = [u for u in match.evidence.units if match.window.start <= u.start < match.window.end]
    if len(units) < 2:
        return None
    for number in claim.numbers:
        holders = [u for u in units if any(number.agrees(n) for n in u.numbers)]
        most = max((len(claim.stems & u.stems) for u in holders), default=0)
        for unit in units:
            other = next((n for n in unit.numbers if number.rivals(n)), None)
            if other and unit not in holders and len(claim.stems & unit.stems) > most:
                return number.text, other.text
    return None


def swapped(claim: Reading, window: Reading) -> tuple[str, str] | None:
    """Two names that stand in the other order around the same word, in the same voice; None if none do."""
    names = [w for w in claim.words if w.is_name]
    if len(names) < 2 or _is_passive(claim.text) != _is_passive(window.text):
        return None
    place = _places(window)
    for first, second in pairwise(names):
        between = [w for w in claim.words if first.end <= w.start < second.start and not w.is_name and w.stem in place]
        if not between or first.stem not in place or second.stem not in place or first.stem == second.stem:
            continue
        verb = place[between[0].stem][0]
        if max(place[second.stem]) < verb < min(place[first.stem]):
            return first.text, second.text
    return None


# --- windows ---------------------------------------------------------------------------------------------------


class _Laid:
    """A claim about to be laid over the windows of one passage: what is the same for all of them is worked out once."""

    def __init__(self, claim: Reading, facts: Sequence[Fact], evidence: Evidence) -> None:
        self._claim = claim
        self._evidence = evidence
        self._facts = [(fact, fact.is_in(evidence.whole, evidence.context)) for fact in facts]
        self._kin = _kin(claim, evidence.whole.stems)
        self._asked = frozenset().union(*self._kin.values(), *((w.stem, *w.also) for w in claim.words))
        self._exact = _FACT_WEIGHT * sum(f.kind != "name" for f in facts)
        self._total = self._exact + sum(w.weight for w in claim.words)
        absent = [fact for fact, is_there in self._facts if not is_there]
        self._held = self._exact - _FACT_WEIGHT * sum(f.kind != "name" for f in absent)
        self._lacks = _LACKS * len(absent)
        self._pairs = _neighbours(claim)
        self._known: dict[frozenset[str], tuple[float, frozenset[str]]] = {}

    def most(self, window: Reading) -> float:
        """What a match with the window is worth at most: if it holds every fact that the passage holds."""
        held = self._asked & window.stems
        got, _ = self._words(held)
        words = (self._held + got) / self._total if self._total else 0.0
        return _worth(words, _order(self._pairs, window.pairs), window) - self._lacks

    def over(self, window: Reading) -> Match:
        context = self._evidence.context
        missing = tuple(f for f, is_there in self._facts if not (is_there and f.is_in(window, context)))
        got, found = self._words(self._asked & window.stems)
        got += self._exact - _FACT_WEIGHT * sum(f.kind != "name" for f in missing)
        words = got / self._total if self._total else 0.0
        return Match(self._evidence, window, words, _order(self._pairs, window.pairs), missing, found)

    def _words(self, held: frozenset[str]) -> tuple[float, frozenset[str]]:
        """The weight of the claim's words that a window with these stems holds, and which they are."""
        if held not in self._known:
            shares = [(word, self._share(word, held)) for word in self._claim.words]
            found = frozenset(word.stem for word, share in shares if share > _ELSEWHERE)
            self._known[held] = sum(word.weight * share for word, share in shares), found
        return self._known[held]

    def _share(self, word: Word, held: frozenset[str]) -> float:
        if word.stem in held or any(stem in held for stem in word.also):
            return 1.0
        if word.stem in self._evidence.context:
            return _CONTEXT
        if self._kin[word.stem] & held:
            return _KIN
        return _ELSEWHERE if word.stem in self._evidence.whole.stems else 0.0


def _neighbours(claim: Reading) -> list[tuple[str, str]]:
    return list(pairwise(w.stem for w in claim.words))


def _order(wanted: Sequence[tuple[str, str]], pairs: frozenset[tuple[str, str]]) -> float:
    """The share of the wanted pairs that are there, either way round."""
    if not wanted:
        return 1.0
    return sum(pair in pairs or pair[::-1] in pairs for pair in wanted) / len(wanted)


def _kin(claim: Reading, stems: frozenset[str]) -> dict[str, frozenset[str]]:
    """For each word of a claim, the other stems of a passage that are made of the same word."""
    known = _table(stems)
    kin: dict[str, frozenset[str]] = {}
    for word in claim.words:
        mine = word.stem
        if len(mine) < _KIN_CHARS or not mine.isalpha():
            kin[mine] = frozenset()
            continue
        compounds = known.long if mine in known.joined else ()
        parts = known.parts if len(mine) >= _COMPOUND_CHARS else ()
        kin[mine] = frozenset(
            [
                *(s for s in known.beginnings.get(mine[:_KIN_CHARS], ()) if _begins_alike(mine, s)),
                *(s for s in compounds if mine in s and _is_part(mine, s)),
                *(s for s in parts if s in mine and _is_part(mine, s)),
            ]
        )
    return kin


@dataclass(frozen=True, slots=True)
class _Table:
    """Stems by their first characters, and those that a compound is, or is made of."""

    beginnings: dict[str, list[str]]
    long: list[str]
    joined: str  # the long ones, to be looked through at once
    parts: list[str]


@lru_cache(maxsize=64)
def _table(stems: frozenset[str]) -> _Table:
    beginnings: dict[str, list[str]] = {}
    for stem in stems:
        if len(stem) >= _KIN_CHARS:
            beginnings.setdefault(stem[:_KIN_CHARS], []).append(stem)
    long = [stem for stem in stems if len(stem) >= _COMPOUND_CHARS]
    return _Table(beginnings, long, "\n".join(long), [stem for stem in stems if len(stem) >= _PART_CHARS])


def _is_kin(mine: str, theirs: str) -> bool:
    """Two stems that begin alike for most of their length, or of which one is part of the other, a compound."""
    return _begins_alike(mine, theirs) or _is_part(mine, theirs)


def _begins_alike(mine: str, theirs: str) -> bool:
    if mine[:_KIN_CHARS] != theirs[:_KIN_CHARS]:
        return False
    shorter, longer = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    shared = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    return shared >= _KIN_CHARS and shared >= len(longer) * 0.6


def _is_part(mine: str, theirs: str) -> bool:
    """One within the other; what begins alike is judged by that alone."""
    if mine[:_KIN_CHARS] == theirs[:_KIN_CHARS]:
        return False
    shorter, longer = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    return len(shorter) >= _PART_CHARS and len(longer) >= _COMPOUND_CHARS and shorter in longer


def _places(window: Reading) -> dict[str, list[int]]:
    place: dict[str, list[int]] = {}
    for word in window.words:
        place.setdefault(word.stem, []).append(word.start)
    return place


_PASSIVE = re.compile(r"\b(?:by|von|durch|wurde|wird|worden|par|por|da)\b", re.IGNORECASE)


def _is_passive(text: str) -> bool:
    return bool(_PASSIVE.search(text))


def _stands_once(stem: str, window: Reading) -> bool:
    """A word that the window both denies and states elsewhere is no contradiction."""
    return sum(word.stem == stem for word in window.words) == 1


def _written(claim: Reading, stem: str) -> str:
    return next((w.text for w in claim.words if w.stem == stem), stem)


# --- facts -----------------------------------------------------------------------------------------------------


def _number_is_in(number: Number, reading: Reading) -> bool:
    if any(number.agrees(other) for other in reading.numbers):
        return True
    if number.dimension:
        return False
    return any(year in number.plain for date in reading.dates for year, _, _ in date.readings)


def _date_is_in(date: Date, reading: Reading) -> bool:
    if date.is_within(reading.dates):
        return True
    without_year = Date(date.text, frozenset((None, m, d) for _, m, d in date.readings), date.start, date.end)
    years = {y for y, _, _ in date.readings if y}
    is_split = any(m for _, m, _ in date.readings) and without_year.is_within(reading.dates)
    return is_split and any(y in n.plain for n in reading.numbers for y in years)


def _is_dated(number: Number, stated: Sequence[Date]) -> bool:
    return any(d.start <= number.start < d.end for d in stated)


def _is_kin_name(name: str, words: Sequence[Word]) -> bool:
    folded = _folded(name)
    others = [_folded(w.text) for w in words]
    return folded in others or (len(folded) >= _KIN_CHARS and any(_is_kin(folded, other) for other in others))


@lru_cache(maxsize=8192)
def _folded(text: str) -> str:
    return fold(text.casefold())


def _has_neighbour(word: Word, names: Sequence[Word], claim: Reading) -> bool:
    def touches(a: Word, b: Word) -> bool:
        return b.start - a.end == 1 and claim.text[a.end - claim.start : b.start - claim.start].isspace()

    return any(touches(word, other) or touches(other, word) for other in names)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def missing_words(claim: Reading, passages: Sequence[Evidence]) -> Iterator[str]:
    """The words of a claim that stand in no passage, as written."""
    known = frozenset[str]().union(*(e.whole.stems | e.context for e in passages))
    kin = _kin(claim, known)
    for word in claim.words:
        if word.stem not in known and not kin[word.stem] and not known.intersection(word.also):
            yield word.text
