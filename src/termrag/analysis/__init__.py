"""The words of texts and questions, as full-text search sees them: one analysis for every store.

Owns splitting, folding, stemming and what a question asks for. Knows nothing of stores, ranks or files. The same
input always gives the same terms; whatever changes them must change ANALYZER_VERSION.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from termrag.analysis.languages import (
    DECIMAL_COMMA,
    SCRIPT_LANGUAGE,
    STEMMERS,
    detect_language,
    fold,
    function_words,
    is_function_word,
    question_languages,
    script_of,
    script_of_language,
)

if TYPE_CHECKING:
    from Stemmer import Stemmer

__all__ = [
    "ANALYZER_VERSION",
    "Keyword",
    "coverage",
    "detect_language",
    "indexable",
    "keywords",
    "query_terms",
    "question_languages",
    "terms",
]

ANALYZER_VERSION = "1"
LONGEST_TERM = 40  # stores drop longer terms; text and question are cut alike

_CACHED_WORDS = 200_000  # per language
_MOST_ASKED = 256  # content words of a question that count: a pasted log is cut here
_MOST_PARTS = 6  # more changes between letters and digits than this: a hash, not a name

# Scripts without spaces between words, and Hangul, whose words carry their endings.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(f"([{_UNSPACED}]+)")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SIGNS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr", "%": "percent"}
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\u0640"))  # the last is the tatweel
_MARKS = "".join(chr(c) for c in range(0x300, 0x1000) if unicodedata.category(chr(c)).startswith("M"))
_WORD = rf"[\w{_MARKS}]+"
_TOKEN = re.compile(
    rf"\b[A-Za-z](?:\+\+|#)|{_WORD}(?:(?:[.'’@\-\u2010\u2011]|(?<=\d),(?=\d)){_WORD})*|[{''.join(_SIGNS)}]"
)
_LETTERS = re.compile(rf"(?:[^\W\d_]|[{_MARKS}])+")
_PART = re.compile(rf"\d+(?:\.\d+)*|(?:[^\W\d_]|[{_MARKS}])+")
_NUMBER = re.compile(r"\d+(?:[.,']\d+)*")
_GROUPED = re.compile(r"\d{1,3}([.,'])\d{3}(?:\1\d{3})*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


# --- texts -----------------------------------------------------------------------------------------------------


def terms(text: str, language: str) -> str:
    """Return the terms of `text` in order, space-separated, for indexing. No word is left out.

    `language` is an ISO 639-1 code, or "" for unknown: Latin letters are then read as English. An identifier gives
    its whole form and its parts; scripts without spaces give single characters and pairs of neighbours.
    """
    text = _plain(text)
    words = _words(language)
    if not _RUN.search(text):
        return " ".join(filter(None, map(words.__getitem__, _TOKEN.findall(text))))
    found: list[str] = []
    for index, piece in enumerate(_RUN.split(text)):
        if index % 2:
            found.extend(_HAN.findall(piece) if len(piece) > 1 else piece)
            found.extend(_pairs(piece))
        else:
            found.extend(filter(None, map(words.__getitem__, _TOKEN.findall(piece))))
    return " ".join(found)


def indexable(title: str, heading: str, text: str) -> str:
    """Return what is embedded and analysed for a chunk: where it stands, in words, then its text."""
    place = " › ".join(part for part in (title.strip(), heading.strip()) if part)
    return f"{place}\n\n{text}" if place else text


# --- questions -------------------------------------------------------------------------------------------------


Forms = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Keyword:
    """A content word of a question. A text holds it if it holds every term of one of the `forms`: the stems of
    several languages, an identifier's whole form, its parts. Weights of a question's keywords sum to 1."""

    word: str
    forms: Forms
    weight: float

    def is_in(self, found: Collection[str]) -> bool:
        return any(all(term in found for term in form) for form in self.forms)


def query_terms(question: str, languages: Sequence[str] = ()) -> str:
    """Return the terms to search for: those of all forms of the content words, as often as the words occur.

    `languages` are those of the library, most frequent first. Where the language of a question is unsure, the stems
    of two candidate languages are searched for.
    """
    _, content = _content_words(question, languages)
    return " ".join(term for _, forms in content for term in dict.fromkeys(t for form in forms for t in form))


def keywords(question: str, languages: Sequence[str] = ()) -> tuple[Keyword, ...]:
    """Return the content words of a question, each once: no function words, unless nothing else remains.

    Words weigh by the logarithm of their length, numbers and names (capitals inside a sentence) half as much again.
    A function word in capitals in a question that is not (WHO, IT, US) is a name.
    """
    first, content = _content_words(question, languages)
    weights: dict[tuple[str, Forms], float] = {}
    for token, forms in content:
        stands_out = any(c.isdigit() for c in token) or (token != first and token[0].isupper())
        weights[token, forms] = math.log2(1 + len(token)) * (1.5 if stands_out else 1.0)
    total = sum(weights.values())
    return tuple(Keyword(word, forms, weight / total) for (word, forms), weight in weights.items())


def coverage(wanted: Sequence[Keyword], found: Collection[str]) -> float:
    """Return the share, 0 to 1, of the weight of `wanted` whose terms are among `found`."""
    return sum(keyword.weight for keyword in wanted if keyword.is_in(found))


def _content_words(question: str, languages: Sequence[str]) -> tuple[str, list[tuple[str, Forms]]]:
    """The first word of a question, and its content words as written, with their forms."""
    text = _plain(question)
    tokens = list(_question_tokens(text))
    candidates = question_languages([fold(token.casefold()) for token in tokens], languages)
    shouts = text.isupper()

    def shapes_only(token: str) -> bool:
        is_name = token.isupper() and len(token) > 1 and not shouts
        pieces = re.split("['’]", fold(token.casefold()))
        pieces = [piece for piece in pieces if len(piece) > 1] or pieces
        return not is_name and all(is_function_word(piece, candidates) for piece in pieces)

    kept = [token for token in tokens if not shapes_only(token)] or tokens
    with_forms = [(token, _forms(token, candidates)) for token in kept[:_MOST_ASKED]]
    return (tokens or [""])[0], [(token, forms) for token, forms in with_forms if forms]


def _question_tokens(text: str) -> Iterator[str]:
    """Words as written; runs without spaces come without their function words, in pairs of characters."""
    for index, piece in enumerate(_RUN.split(text)):
        if not index % 2:
            yield from _TOKEN.findall(piece)
            continue
        for part in _unspaced_function_words().split(piece):
            yield from _pairs(part) or part


def _forms(token: str, languages: Sequence[str]) -> Forms:
    if _RUN.match(token):
        return ((token,),)
    forms: dict[tuple[str, ...], None] = {}
    for language in languages:
        whole, *parts = _words(language)[token].split() or [""]
        if whole:
            forms[(whole,)] = None
        if parts:
            forms[tuple(parts)] = None
    return tuple(forms)


@cache
def _unspaced_function_words() -> re.Pattern[str]:
    words = sorted((w for code in ("zh", "ja") for w in function_words(code)), key=len, reverse=True)
    return re.compile("|".join(words))


# --- words -----------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_INVISIBLE)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


@cache
def _words(language: str) -> _Words:
    return _Words(language)


class _Words(dict[str, str]):
    """Word as written → its terms, space-separated; filled on demand, emptied when full."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._language = language

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHED_WORDS:
            self.clear()
        self[word] = found = " ".join(dict.fromkeys(_word_terms(word, self._language)))
        return found


def _word_terms(word: str, language: str) -> Iterator[str]:
    """The terms of one word as `_TOKEN` cuts it; a compound's whole form comes first."""
    if word in _SIGNS:
        yield _SIGNS[word]
    elif word[-1] in "+#":
        yield word.casefold()
    elif _NUMBER.fullmatch(word):
        yield _number(word, language)
    elif _LETTERS.fullmatch(word) and not _CAMEL.search(word):
        yield from _stems(word, language)
    elif "'" in word or "’" in word:  # Apple's, l'eau: single letters around an apostrophe are endings and articles
        for piece in re.split("['’]", word):
            if len(piece) > 1:
                yield from _word_terms(piece, language)
    else:
        yield from _compound(word, language)


def _compound(word: str, language: str) -> Iterator[str]:
    """`parseHttpRequest`, `snake_case`, `v1.2.3`, `IL-6`, `U.S.`: all writings of one name share the whole form."""
    parts = [part for piece in _CAMEL.split(word) for part in _PART.findall(piece)]
    if len(parts) > 1:
        whole = re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w.]|_", "", word)
        yield fold(whole.casefold())[:LONGEST_TERM]
        is_hash = word.isalnum() and len(parts) > _MOST_PARTS
        if is_hash or all(len(part) == 1 for part in parts):
            return
    for part in parts:
        yield from [part] if part[0].isdigit() else _stems(part, language)


def _number(word: str, language: str) -> str:
    """`1,234.50` and, where the comma is decimal, `1.234,50` become 1234.50; `12.00` becomes 12."""
    digits = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in word)
    marks = [c for c in digits if not c.isdigit()]
    if len(marks) > 1 and marks[0] != marks[-1] and marks[-1] not in marks[:-1]:  # both marks: the last is decimal
        head, _, tail = digits.rpartition(marks[-1])
        digits = re.sub(r"\D", "", head) + "." + tail
    elif _GROUPED.fullmatch(digits) and (len(marks) > 1 or marks[0] != _decimal_mark(language)):
        digits = re.sub(r"\D", "", digits)
    else:
        digits = re.sub("[,']", ".", digits)
    return re.sub(r"\.00+$", "", digits)[:LONGEST_TERM]


def _decimal_mark(language: str) -> str:
    return "," if language in DECIMAL_COMMA else "."


def _stems(word: str, language: str) -> Iterator[str]:
    """The stem without accents and, where it differs, the stem of the word without accents: for who types none."""
    word = word.casefold()
    plain = fold(word)
    script = "latin" if word.isascii() else script_of(word)
    stemmer = _stemmer(language if script_of_language(language) == script else SCRIPT_LANGUAGE.get(script, ""))
    if stemmer is None:
        yield plain[:LONGEST_TERM]
        return
    yield fold(stemmer.stemWord(word))[:LONGEST_TERM]
    if plain != word:
        yield fold(stemmer.stemWord(plain))[:LONGEST_TERM]


@cache
def _stemmer(language: str) -> Stemmer | None:
    import Stemmer

    algorithm = STEMMERS.get(language or "en")
    return Stemmer.Stemmer(algorithm) if algorithm else None
