"""A question taken apart for the rules of follow-ups: its words, which of them carry matter, and its plain form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from termrag.analysis.languages import fold, is_function_word, question_languages, script_of
from termrag.followup.words import MONTHS, SEASONS, WEEKDAYS, Words, words_of

_WORD = re.compile(r"[^\W_]+(?:[.\-:][^\W_]+)*")
_CODE = re.compile(r"(?=.*\d)(?=.*[^\W\d_])[\w.\-]+")
_QUANTITIES = frozenset({"viel", "viele", "lange", "long", "often", "oft"})
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Hr|Fr|Mme|Sr|Sra|Capt)\.\Z")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")


@dataclass(frozen=True, slots=True)
class Word:
    """One word: as written, lowered, folded, its place in the text, and the kind that another may stand in for."""

    text: str
    start: int
    end: int
    lowered: str
    folded: str
    is_content: bool
    kind: str  # year, month, weekday, season, code, number, name, or nothing


@dataclass(frozen=True, slots=True)
class Reading:
    """A question's text and words, and the table of its language."""

    text: str
    words: tuple[Word, ...]
    language: str
    table: Words

    @property
    def plain(self) -> str:
        return " ".join(word.folded for word in self.words)

    @property
    def content(self) -> list[Word]:
        return [word for word in self.words if word.is_content]

    @property
    def names(self) -> list[Word]:
        return [word for word in self.words if word.kind in ("name", "code")]


def read(text: str, language: str = "", *, hint: str = "") -> Reading:
    """Take a question apart. Where `language` is not given it is found out; `hint` decides where several may be."""
    found = list(_WORD.finditer(text))
    language = language or _language(text, hint)
    return Reading(text, tuple(_word(text, match, language) for match in found), language, words_of(language))


def _language(text: str, hint: str) -> str:
    """By function words alone: loading an identifier takes longer than a search."""
    words = [fold(match[0].lower()) for match in _WORD.finditer(text)]
    known = hint or "en"
    codes = question_languages(words, [known]) if script_of("".join(words)) == "latin" else ()
    return codes[0] if codes else known


def _word(text: str, match: re.Match[str], language: str) -> Word:
    lowered = match[0].lower()
    folded = fold(lowered)
    shape = is_function_word(folded, (language,)) or (len(folded) == 1 and folded.isascii() and not folded.isdigit())
    kind = _kind(text, match, folded, language)
    shape = shape or folded in words_of(language).verbs | _QUANTITIES
    return Word(match[0], match.start(), match.end(), lowered, folded, not shape or kind != "", kind)


def _kind(text: str, match: re.Match[str], folded: str, language: str) -> str:
    word = match[0]
    if _YEAR.fullmatch(word):
        return "year"
    if folded in MONTHS and (word[0].isupper() or folded not in ("may", "mar", "mars")):
        return "month"
    if folded in WEEKDAYS:
        return "weekday"
    if folded in SEASONS:
        return "season"
    if _CODE.fullmatch(word) and not re.fullmatch(r"\d+(?:st|nd|rd|th)", folded):
        return "code"
    if word[0].isdigit():
        return "number"
    before = text[: match.start()].rstrip(" ¿¡\"'“”„(-")
    starts = not before or (before[-1] in ".?!:\n" and not _TITLE.search(before))
    if word[0].isupper() and not starts and language != "de" and folded not in ("i",):
        return "name"
    return ""
