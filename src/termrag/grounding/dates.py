"""Calendar dates as a text states them, in common notations of several languages; knows nothing of passages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from termrag.grounding.numbers import ascii_digits

Parts = tuple[int | None, int | None, int | None]  # year, month, day


@dataclass(frozen=True, slots=True)
class Date:
    """One stated date. `readings` are the (year, month, day) it may mean, None for what is not said."""

    text: str
    readings: frozenset[Parts]
    start: int
    end: int

    def is_within(self, others: Iterable[Date]) -> bool:
        """Whether one of the others states at least as much, and the same."""
        return any(_covers(theirs, mine) for other in others for theirs in other.readings for mine in self.readings)


def _months(lines: str) -> dict[str, int]:
    return {name: number for number, line in enumerate(lines.split(";"), 1) for name in line.split()}


_MONTHS = _months(
    "january jan januar jänner janvier janv enero ene gennaio يناير;february feb februar febr février févr febrero "
    "febbraio فبراير;march mar märz mär mars marzo مارس;april apr avril avr abril aprile أبريل;may mai mayo "
    "maggio مايو;"
    "june jun juni juin junio giugno يونيو;july jul juli juillet julio luglio يوليو;august aug août agosto ago أغسطس;"
    "september sept sep septembre septiembre settembre سبتمبر;october oct oktober okt octobre octubre ottobre أكتوبر;"
    "november nov novembre noviembre نوفمبر;december dec dezember dez décembre diciembre dicembre ديسمبر"
)
_NAME = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|\.|º|°)?"
_YEAR = r"(?P<year>[12]\d{3})(?!\d)"
_FORMS = [
    re.compile(rf"(?<![\d.]){_YEAR}[-/.](?P<month>[01]?\d)[-/.](?P<day>[0-3]?\d)(?![\d])"),
    re.compile(rf"(?<!\d){_YEAR}\s?年\s?(?:(?P<month>[01]?\d)\s?月\s?(?:(?P<day>[0-3]?\d)\s?[日号號])?)?"),
    re.compile(r"(?<!\d)(?P<month>[01]?\d)\s?月\s?(?P<day>[0-3]?\d)\s?[日号號]"),
    re.compile(rf"(?<!\d){_DAY}\s+(?:of\s+|de\s+|di\s+)?{_NAME}(?:,?\s+(?:de\s+|del\s+)?{_YEAR})?", re.I),
    re.compile(rf"\b{_NAME}\s+{_DAY}(?!\d)(?:,?\s+{_YEAR})?", re.I),
    re.compile(rf"\b{_NAME},?\s+(?:de\s+|del\s+|of\s+)?{_YEAR}", re.I),
]
_NUMERIC = re.compile(r"(?<![\d./-])([0-3]?\d)([./-])([0-3]?\d)\2((?:[12]\d)?\d\d)(?![\d])")
_BARE_MONTH = re.compile(
    r"\b(?:in|since|until|by|late|early|last|next|im|seit|bis|ende|anfang|mitte|en|fin|depuis|a|desde)\s+"
    r"(?P<month>January|February|March|April|June|July|August|September|October|November|December|Januar|Februar|März|"
    r"Mai|Juni|Juli|Oktober|Dezember|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|"
    r"décembre)\b"
)


def dates(text: str) -> list[Date]:
    """The dates of a text, none inside another. A lone year is a number, not a date."""
    text = ascii_digits(text)
    found = [_numeric(m) for m in _NUMERIC.finditer(text)]
    forms = [*_FORMS, _BARE_MONTH] if re.search(r"[0-9]", text) else [_BARE_MONTH]
    for form in forms:
        for match in form.finditer(text):
            if not any(match.start() < d.end and d.start < match.end() for d in found):
                found.append(_named(match))
    return sorted((d for d in found if d.readings), key=lambda d: d.start)


def _named(match: re.Match[str]) -> Date:
    said = match.groupdict()
    month = said.get("month")
    number = (int(month) if month.isdigit() else _MONTHS[month.lower()]) if month else None
    year = int(said["year"]) if said.get("year") else None
    day = int(said["day"]) if said.get("day") else None
    return Date(match.group(), _possible([(year, number, day)]), *match.span())


def _numeric(match: re.Match[str]) -> Date:
    first, second, year = int(match.group(1)), int(match.group(3)), int(match.group(4))
    if year < 100:
        year += 2000 if year < 50 else 1900
    readings: list[Parts] = [(year, second, first)]
    if match.group(2) != ".":
        readings.append((year, first, second))
    return Date(match.group(), _possible(readings), *match.span())


def _possible(readings: list[Parts]) -> frozenset[Parts]:
    return frozenset((y, m, d) for y, m, d in readings if (m is None or 1 <= m <= 12) and (d is None or 1 <= d <= 31))


def _covers(theirs: Parts, mine: Parts) -> bool:
    return all(said is None or said == known for said, known in zip(mine, theirs, strict=True))
