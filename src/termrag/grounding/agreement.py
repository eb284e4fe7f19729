"""How well a claim agrees with the windows of a passage: which exact facts it shares, and how much of its wording.

Facts (numbers, dates, codes, names) are yes or no; words count by weight; word order and denials are compared apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
        length = _LONGER * max(0, self.window.text.strip().count(" ") // 25)
        return 0.75 * self.words + 0.25 * self.order - _LACKS * len(self.missing) - length


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
    kin = _kin(claim, evidence.whole.stems)
    matches = (_match(claim, facts, evidence, window, kin) for window in evidence.windows)
    return max(matches, key=lambda m: m.worth, default=None)


def second_match(claim: Reading, first: Match, passages: Iterable[Evidence]) -> Match | None:
    """A further window that holds facts which the first lacks, and says what they belong to."""
    best: Match | None = None
    for evidence in passages:
        kin = _kin(claim, evidence.whole.stems)
        for window in evidence.windows:
            match = _match(claim, first.missing, evidence, window, kin)
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
    order = _order(claim, first.window.pairs | second.window.pairs)
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


def _match(
    claim: Reading, facts: Sequence[Fact], evidence: Evidence, window: Reading, kin: Mapping[str, frozenset[str]]
) -> Match:
    missing = tuple(f for f in facts if not f.is_in(window, evidence.context))
    got = _FACT_WEIGHT * (sum(f.kind != "name" for f in facts) - sum(f.kind != "name" for f in missing))
    total = _FACT_WEIGHT * sum(f.kind != "name" for f in facts)
    found = set()
    for word in claim.words:
        total += word.weight
        share = _share(word, window, evidence, kin)
        got += word.weight * share
        if share > _ELSEWHERE:
            found.add(word.stem)
    words = got / total if total else 0.0
    return Match(evidence, window, words, _order(claim, window.pairs), missing, frozenset(found))


def _share(word: Word, window: Reading, evidence: Evidence, kin: Mapping[str, frozenset[str]]) -> float:
    if word.stem in window.stems or any(stem in window.stems for stem in word.also):
        return 1.0
    if word.stem in evidence.context:
        return _CONTEXT
    if kin[word.stem] & window.stems:
        return _KIN
    return _ELSEWHERE if word.stem in evidence.whole.stems else 0.0


def _order(claim: Reading, pairs: frozenset[tuple[str, str]]) -> float:
    stems = [w.stem for w in claim.words]
    wanted = list(pairwise(stems))
    if not wanted:
        return 1.0
    return sum(pair in pairs or pair[::-1] in pairs for pair in wanted) / len(wanted)


def _kin(claim: Reading, stems: frozenset[str]) -> dict[str, frozenset[str]]:
    """For each word of a claim, the other stems of a passage that are made of the same word."""
    kin: dict[str, frozenset[str]] = {}
    for word in claim.words:
        mine = word.stem
        if len(mine) < _KIN_CHARS or not mine.isalpha():
            kin[mine] = frozenset()
            continue
        kin[mine] = frozenset(s for s in stems if len(s) >= _KIN_CHARS and _is_kin(mine, s))
    return kin


def _is_kin(mine: str, theirs: str) -> bool:
    """Two stems that begin alike for most of their length, or of which one is part of the other, a compound."""
    shorter, longer = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    if mine[:_KIN_CHARS] == theirs[:_KIN_CHARS]:
        shared = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
        return shared >= _KIN_CHARS and shared >= len(longer) * 0.6
    return len(shorter) >= 6 and len(longer) >= 9 and shorter in longer


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
    folded = fold(name.casefold())
    return any(fold(w.text.casefold()) == folded for w in words) or (
        len(folded) >= _KIN_CHARS and any(_is_kin(folded, fold(w.text.casefold())) for w in words)
    )


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
