"""The words of a text that carry its meaning, with their places: stems, names and what is negated.

Words and stems are those of full-text search; which of them stand out as names, and which are denied, is decided here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from termrag.analysis import terms
from termrag.analysis.languages import fold, is_function_word


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words by which an answer speaks of itself; they say nothing that a passage could carry.
DISCOURSE = _set(
    "also however therefore thus additionally furthermore moreover overall summary passage passages document documents "
    "text texts context excerpt excerpts source sources information mention mentioned mentions state stated states "
    "provide provided provides according based following answer question refer refers note describe "
    "described describes "
    "explain explained explains indicate indicates specifically example instance including yes no certainly sure "
    "textstelle textstellen dokument dokumente dokumenten laut gemäß passage extrait fichier selon documento "
    "documentos texto según documentazione"
)
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_])+(?:['’.\-\u2011](?:(?![{_UNSPACED}])[^\W_])+)*")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_HAN_SHAPES = re.compile(
    "的|了|是|在|和|与|及|或|也|都|就|而|对|被|把|这|那|个|为|以|于|其|之|中|上|下|他|她|它|们|有|着|过|到|从|会|能|可以|所以|因为|"
    "一个|这个|那个|そして|です|ます|した|して|する|から|まで|は|が|を|に|の|と|で|も|へ|や"
)
_POSSESSIVE = re.compile(r"['’]s?\Z")

_NEGATIONS = _set(
    "not no never without cannot neither nor none nobody nothing hardly isn't aren't wasn't weren't doesn't "
    "don't didn't "
    "can't couldn't won't wouldn't shouldn't hasn't haven't hadn't mustn't lacks lack nicht kein keine keinen keinem "
    "keiner keines nie niemals ohne weder pas jamais sans aucun aucune ni nunca sin jamás tampoco ningún ninguna non "
    "senza mai nessun nessuna لا لم لن ليس ليست غير دون بدون"
)
_NOT_DENYING = _set("only just merely more less later fewer least longer doubt matter nur mehr weniger seulement")
_HAN_NEGATION = re.compile(r"不|没有|没|無|无|未|非|别")
_REACH_CHARS = 40
_CLAUSE_END = re.compile(r"[,;:.!?。，；：！？()\n]|\b(?:but|aber|mais|pero|ma|sondern|however|although)\b|但")


@dataclass(frozen=True, slots=True)
class Word:
    """One content word: its stem, how it was written, where, how much it weighs, whether it looks like a name."""

    stem: str
    text: str
    start: int
    end: int
    weight: float
    is_name: bool
    also: tuple[str, ...] = ()


def content_words(text: str, language: str) -> list[Word]:
    """The content words of a text in order; scripts without spaces give pairs of characters."""
    found: list[Word] = []
    names = _name_spans(text)
    for match in _TOKEN.finditer(text):
        if _IS_UNSPACED.match(match.group()):
            found.extend(_pairs(match))
            continue
        word = _word(match, language, names)
        if word is not None:
            found.append(word)
    return found


def _word(match: re.Match[str], language: str, names: Sequence[tuple[int, int]]) -> Word | None:
    written = _POSSESSIVE.sub("", match.group())
    folded = fold(written.casefold())
    is_acronym = len(written) > 1 and written.isupper() and written.isalpha()
    if written.casefold() in DISCOURSE or (not is_acronym and _is_shape(folded, language)):
        return None
    stems = terms(written, language).split()
    if not stems or (len(written) == 1 and not written.isdigit()):
        return None
    is_name = any(start <= match.start() < end for start, end in names)
    weight = math.log2(1 + len(written)) * (1.5 if is_name else 1.0)
    return Word(stems[0], written, match.start(), match.end(), weight, is_name, tuple(stems[1:]))


def _is_shape(folded: str, language: str) -> bool:
    if is_function_word(folded, (language or "en",)):
        return True
    pieces = [piece for piece in re.split("['’]", folded) if len(piece) > 1]
    return len(pieces) == 1 and pieces[0] != folded and is_function_word(pieces[0], (language or "en",))


def _pairs(match: re.Match[str]) -> Iterator[Word]:
    """Neighbouring characters of a run without spaces, not across the words that only shape a sentence."""
    run, offset = match.group(), match.start()
    starts = 0
    for shape in [*_HAN_SHAPES.finditer(run), None]:
        end = shape.start() if shape else len(run)
        piece = run[starts:end]
        for i in range(max(1, len(piece) - 1) if piece else 0):
            pair = piece[i : i + 2]
            yield Word(pair, pair, offset + starts + i, offset + starts + i + len(pair), 1.0, False)
        starts = shape.end() if shape else end


def _name_spans(text: str) -> list[tuple[int, int]]:
    """Where names stand: capitalised words inside a sentence, runs of capitalised words, acronyms, CamelCase."""
    spans: list[tuple[int, int]] = []
    tokens = [m for m in _TOKEN.finditer(text) if not _IS_UNSPACED.match(m.group())]
    for i, match in enumerate(tokens):
        word = match.group()
        if not word[0].isupper():
            if any(c.isupper() for c in word[1:]):
                spans.append(match.span())
            continue
        opens = i == 0 or bool(re.search(r"[.!?:\n\"“„«*#|>•-]\s*\Z", text[max(0, match.start() - 3) : match.start()]))
        is_acronym = len(word) > 1 and word[1:].upper() == word[1:] and any(c.isalpha() for c in word[1:])
        if not opens or is_acronym or _begins_a_name(text, tokens, i):
            spans.append(match.span())
    return spans


def _begins_a_name(text: str, tokens: Sequence[re.Match[str]], i: int) -> bool:
    """A capitalised word that opens a sentence is a name if a capitalised word follows it directly."""
    if i + 1 >= len(tokens) or is_function_word(fold(tokens[i].group().casefold()), ("en", "de", "fr", "es", "it")):
        return False
    following = tokens[i + 1]
    between = text[tokens[i].end() : following.start()]
    return between in (" ", "\u00a0") and following.group()[0].isupper()


# --- denial ----------------------------------------------------------------------------------------------------


def denials(text: str, words: Sequence[Word]) -> tuple[tuple[str, ...], ...]:
    """For each negation in the text, the stems it may deny, likeliest first: those that follow it in its clause, or
    the one before it where none follows."""
    found: list[tuple[str, ...]] = []
    for start, end in _negations(text):
        clause = _CLAUSE_END.search(text, end)
        limit = min(clause.start() if clause else len(text), end + _REACH_CHARS)
        after = [w.stem for w in words if end <= w.start < limit and not w.is_name]
        before = [w.stem for w in words if w.end <= start and not _CLAUSE_END.search(text[w.end : start])]
        heads = after[:2] or before[-1:]
        if heads:
            found.append(tuple(heads))
    return tuple(found)


def _negations(text: str) -> Iterator[tuple[int, int]]:
    tokens = list(_TOKEN.finditer(text))
    for i, match in enumerate(tokens):
        word = match.group().casefold().replace("’", "'")
        if _IS_UNSPACED.match(word):
            yield from ((match.start() + m.start(), match.start() + m.end()) for m in _HAN_NEGATION.finditer(word))
            continue
        following = tokens[i + 1].group().casefold() if i + 1 < len(tokens) else ""
        opens_reply = i == 0 and word in ("no", "non") and text[match.end() : match.end() + 1] in (",", ".", "!", "")
        is_prefix = (
            text[match.end() : match.end() + 1] == "-" or text[match.end() : match.end() + 3] == " - "
        )  # non-binary
        if is_prefix:
            continue
        if (word in _NEGATIONS or word.endswith("n't")) and following not in _NOT_DENYING and not opens_reply:
            yield match.span()
