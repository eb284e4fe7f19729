"""Numbers written as words, and words that scale them; English, German, French, Spanish, Italian and Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator


def _numbered(first: int, words: str, step: int = 1) -> dict[str, float]:
    return {word: float(first + i * step) for i, group in enumerate(words.split()) for word in group.split("/")}


# "one", "a" and their kin are articles and pronouns more often than numbers, so counting starts at two.
WORD_NUMBERS: dict[str, float] = {
    **_numbered(2, "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
                   "seventeen eighteen nineteen"),
    **_numbered(20, "twenty thirty forty/fourty fifty sixty seventy eighty ninety", 10),
    **_numbered(2, "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
                   "siebzehn achtzehn neunzehn"),
    **_numbered(20, "zwanzig dreißig/dreissig vierzig fünfzig sechzig siebzig achtzig neunzig", 10),
    **_numbered(2, "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"),
    **_numbered(20, "vingt trente quarante cinquante soixante", 10),
    **_numbered(2, "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince"),
    **_numbered(20, "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa", 10),
    **_numbered(2, "due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici"),
    **_numbered(20, "venti trenta quaranta cinquanta sessanta settanta ottanta novanta", 10),
    "hundred": 100.0, "thousand": 1000.0, "hundert": 100.0, "tausend": 1000.0, "dozen": 12.0, "dutzend": 12.0,
}  # fmt: skip
# Words of one language that mean something else in another are read as numbers in neither.
for _word in ("once", "sei", "elf"):
    del WORD_NUMBERS[_word]

SCALES: dict[str, float] = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "millions": 1e6, "mn": 1e6, "mio": 1e6,
    "billion": 1e9, "billions": 1e9, "bn": 1e9, "trillion": 1e12, "hundert": 1e2, "tausend": 1e3, "millionen": 1e6,
    "milliarde": 1e9, "milliarden": 1e9, "mrd": 1e9, "mille": 1e3, "milliard": 1e9, "milliards": 1e9, "mil": 1e3,
    "millón": 1e6, "millones": 1e6, "milioni": 1e6, "milione": 1e6, "miliardi": 1e9, "miliardo": 1e9,
    "ألف": 1e3, "مليون": 1e6, "مليار": 1e9,
}  # fmt: skip

_ENGLISH_TENS = frozenset(_numbered(20, "twenty thirty forty/fourty fifty sixty seventy eighty ninety", 10))
_BIG = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_WORD = re.compile(r"[^\W\d_]+")
_CJK_RUN = re.compile(r"[零〇一二两三四五六七八九十百千万亿]{2,}")
_CJK_DIGITS = {c: float(i) for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0.0, "两": 2.0}
_CJK_BIG = {"十": 10.0, "百": 100.0, "千": 1000.0}


def spoken(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield (start, end, value) of each number written as words: "twenty-five", "two hundred and ten", "三百二十"."""
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        if run and not _continues(text, run[-1], match):
            yield from _value(run)
            run = []
        word = match.group().lower()
        if word in WORD_NUMBERS or (run and (word in _BIG or word == "and")):
            run.append(match)
    yield from _value(run)
    for match in _CJK_RUN.finditer(text):
        if (value := _cjk_value(match.group())) is not None:
            yield match.start(), match.end(), value


def _continues(text: str, last: re.Match[str], following: re.Match[str]) -> bool:
    """Whether a word goes on with the number before it: "twenty-five", "hundred and", "and ten", "two million"."""
    between = text[last.end() : following.start()]
    before, after = last.group().lower(), following.group().lower()
    if between not in (" ", "-", "\u00a0"):
        return False
    if after in _BIG or before in ("and",):
        return after in _BIG or after in WORD_NUMBERS
    if before in _BIG:
        return after == "and" or after in WORD_NUMBERS
    return before in _ENGLISH_TENS and WORD_NUMBERS.get(after, 10) < 10


def _value(run: list[re.Match[str]]) -> Iterator[tuple[int, int, float]]:
    while run and run[-1].group().lower() == "and":
        run = run[:-1]
    if not run:
        return
    total = current = 0.0
    for match in run:
        word = match.group().lower()
        if word == "hundred":
            current = (current or 1.0) * 100
        elif word in _BIG:
            total += (current or 1.0) * _BIG[word]
            current = 0.0
        elif word != "and":
            current += WORD_NUMBERS[word]
    yield run[0].start(), run[-1].end(), total + current


def _cjk_value(run: str) -> float | None:
    """The value of a Chinese numeral with at least one place word; None for other runs such as 万一."""
    if not any(c in _CJK_DIGITS for c in run) and not run.startswith("十"):
        return None
    total = section = digit = 0.0
    for c in run:
        if c in _CJK_DIGITS:
            digit = _CJK_DIGITS[c]
        elif c in _CJK_BIG:
            section += (digit or 1.0) * _CJK_BIG[c]
            digit = 0.0
        else:
            total = (total + section + digit) * (1e4 if c == "万" else 1e8)
            section = digit = 0.0
    return total + section + digit or None
