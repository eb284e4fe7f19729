"""Puts what a fragment speaks of in the place of its like in the question before: winter for summer, E5 for E3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from termrag.analysis.languages import fold
from termrag.followup.reading import Reading, Word
from termrag.followup.words import BESIDE, MONTHS, YEARS

_KINDS = ("year", "code", "weekday", "season", "month", "name", "number")
_LONGEST_PHRASE = 4  # words after a preposition that give way to others
_LEAP_YEAR = 2024  # where no year is named, 29 February is a day


def put_in(base: Reading, fragment: Reading) -> str:
    """Return the question before with the fragment in its place, or an empty text if it has no place there."""
    if shifted := beside(base, fragment):
        return shifted
    for kind in _KINDS:
        old, new = _run(base, kind), _run(fragment, kind)
        if old and new and _texts(old) != _texts(new):
            return _exchanged(base, old, fragment, new)
    if not fragment.words or fragment.words[0].folded not in fragment.table.prepositions:
        return ""
    old = _phrase_after(base, fragment.words[0].folded)
    if old:
        return _spliced(base.text, old, _whole(fragment))
    if re.search(r"[.?!]\s+\S", base.text):
        return ""
    rest = _whole(fragment)
    first = rest if fragment.words[0].kind else rest[:1].lower() + rest[1:]
    return f"{base.text.rstrip(' ?.!')} {first}?"


def _run(reading: Reading, kind: str) -> list[Word]:
    """The one row of words of a kind; nothing where there are several."""
    indices = [index for index, word in enumerate(reading.words) if word.kind == kind]
    if not indices or indices[-1] - indices[0] != len(indices) - 1:
        return []
    return [reading.words[index] for index in indices]


def _texts(words: Sequence[Word]) -> list[str]:
    return [word.folded for word in words]


def _exchanged(base: Reading, old: list[Word], fragment: Reading, new: list[Word]) -> str:
    """The row alone is exchanged where it stands alone in one of both; else all from its preposition on."""
    table = base.table
    place = base.words.index(old[0])
    start = place
    while start > 0 and (_is_date_part(base.words[start - 1]) or base.words[start - 1].folded in table.articles):
        start -= 1
    led = start > 0 and base.words[start - 1].folded in table.prepositions
    if led and fragment.words[0].folded in fragment.table.prepositions:
        return _spliced(base.text, [base.words[start - 1], old[-1]], _whole(fragment))
    return _spliced(base.text, [old[0], old[-1]], fragment.text[new[0].start : new[-1].end])


def _is_date_part(word: Word) -> bool:
    return word.kind in ("month", "number", "weekday")


def _phrase_after(base: Reading, preposition: str) -> list[Word]:
    """The preposition's phrase: up to the next preposition or the end of the sentence, if that is near."""
    places = [index for index, word in enumerate(base.words) if word.folded == preposition]
    if len(places) != 1:
        return []
    phrase = [base.words[places[0]]]
    for word in base.words[places[0] + 1 :]:
        if word.folded in base.table.prepositions or re.search(r"[,;.?!]", base.text[phrase[-1].end : word.start]):
            break
        phrase.append(word)
    return phrase if 1 < len(phrase) <= _LONGEST_PHRASE + 1 else []


def _whole(fragment: Reading) -> str:
    return fragment.text[fragment.words[0].start :].rstrip(" ?.!…")


def _spliced(text: str, old: Sequence[Word], new: str) -> str:
    return text[: old[0].start] + new + text[old[-1].end :]


def beside(base: Reading, fragment: Reading) -> str:
    """ "The next day": the date before, moved by a day or a year."""
    plain = fold(fragment.plain)
    for pattern, step in BESIDE:
        if found := re.fullmatch(pattern, plain):
            unit = next(group for group in found.groups() if group)
            return _next_year(base, step) if unit in YEARS else _next_day(base, step)
    return ""


def _next_year(base: Reading, step: int) -> str:
    years = _run(base, "year")
    return _spliced(base.text, years, str(int(years[0].text) + step)) if len(years) == 1 else ""


def _next_day(base: Reading, step: int) -> str:
    for index, word in enumerate(base.words):
        if word.folded not in MONTHS:
            continue
        year = next((int(each.text) for each in base.words if each.kind == "year"), _LEAP_YEAR)
        for day in (*base.words[max(0, index - 2) : index][::-1], *base.words[index + 1 : index + 2]):
            if re.fullmatch(r"\d{1,2}(?:st|nd|rd|th)?", day.folded):
                return _moved(base, day, word, year, step)
    return ""


def _moved(base: Reading, day: Word, month: Word, year: int, step: int) -> str:
    try:
        then = date(year, MONTHS[month.folded], int(re.sub(r"\D", "", day.folded))) + timedelta(days=step)
    except ValueError:
        return ""
    name = month.text if then.month == MONTHS[month.folded] else _month_like(month, then.month)
    changes = sorted([(day, str(then.day)), (month, name)], key=lambda change: -change[0].start)
    text = base.text
    for old, new in changes:
        text = text[: old.start] + new + text[old.end :]
    return text


def _month_like(month: Word, number: int) -> str:
    """The other month's name in the language of this one: the names stand in the same order for every month."""
    mine = [name for name, each in MONTHS.items() if each == MONTHS[month.folded]]
    theirs = [name for name, each in MONTHS.items() if each == number]
    name = theirs[min(mine.index(month.folded), len(theirs) - 1)]
    return name.capitalize() if month.text[0].isupper() else name
