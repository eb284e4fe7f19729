"""Where sentences end, in scripts with and without spaces; also where a text too long for one chunk may be cut."""

from __future__ import annotations

import re

_BOUNDARY = re.compile(
    r"[.!?…]+[\"'»”’)\]]*(?=\s)"  # followed by a space: a candidate, looked at more closely
    r"|[。！？｡]+[」』）”’\"'\])]*"  # Chinese and Japanese: no space follows
    r"|[؟۔।॥።]+(?=\s|$)"  # Arabic, Urdu, Hindi, Amharic
    r"|\n(?=[ \t]*(?:[-*•–▪●◦]|\(?\d{1,3}[.)])[ \t])"  # the next item of a list
    r"|\n[ \t]*(?=\n)"  # a blank line
)
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\w+",
        "al approx apr art aug bd bzw ca cf ch co corp dec dept dr ed eds eg eq est etc evtl feb fig figs ggf gen gov "
        "hr ie inc jan jr jul jun lt ltd mar max min mme mr mrs ms mt nov nr oct op pp prof ref rev sec sen sep sept "
        "sgt sr st str tab tel u usw vgl viz vol vs z zb",
    )
)
_NUMBERED = frozenset(("no", "nos", "p", "pp", "fig", "figs", "eq", "sec", "ch", "vol", "art", "nr", "s", "abs"))
_LAST_WORD = re.compile(r"([^\W\d_]+(?:\.[^\W\d_]+)*)\.$")
_OPENING = "\"'«“‘([¿¡*_#`-–•"
_CLAUSE = re.compile(r"[;；，、：][\s]*|[,:] +|\s[-–—]\s+")


def sentence_starts(text: str, start: int, end: int) -> list[int]:
    """Where each sentence of `text[start:end]` begins; the first is `start` itself."""
    starts = [start]
    for found in _BOUNDARY.finditer(text, start, end):
        following = _next_visible(text, found.end(), end)
        if following >= end:
            break
        if text[found.start()] in ".!?…" and not _ends_sentence(text, found, following):
            continue
        if following > starts[-1]:
            starts.append(following)
    return starts


def line_starts(text: str, start: int, end: int) -> list[int]:
    """Where each line of `text[start:end]` begins."""
    starts = [start]
    place = text.find("\n", start, end)
    while 0 <= place < end - 1:
        starts.append(place + 1)
        place = text.find("\n", place + 1, end)
    return starts


def halving_point(text: str, start: int, end: int) -> int:
    """The best place near the middle of `text[start:end]` to cut in two: clause, then space, then any character."""
    middle = (start + end) // 2
    reach = max(1, (end - start) // 5)
    low, high = max(start + 1, middle - reach), min(end - 1, middle + reach)
    clauses = [found.end() for found in _CLAUSE.finditer(text, low, high) if found.end() <= high]
    if clauses:
        return min(clauses, key=lambda place: abs(place - middle))
    spaces = [found.end() for found in re.compile(r"\s+").finditer(text, low, high) if found.end() <= high]
    if spaces:
        return min(spaces, key=lambda place: abs(place - middle))
    while middle < end - 1 and _joins(text[middle]):
        middle += 1
    return middle


def _ends_sentence(text: str, found: re.Match[str], following: int) -> bool:
    character = text[following]
    if character.islower() and found.group()[0] in ".…":
        return False
    if not (character.isalnum() or character in _OPENING):
        return True
    word = _LAST_WORD.search(text, max(0, found.start() - 24), found.start() + 1)
    if not word:
        return True
    last = word.group(1).lower()
    if last in _NUMBERED and character.isdigit():
        return False
    plain = last.replace(".", "")
    return not (len(last) == 1 or plain in _ABBREVIATIONS or re.fullmatch(r"(?:\w\.)+\w", last))


def _next_visible(text: str, place: int, end: int) -> int:
    while place < end and text[place].isspace():
        place += 1
    return place


def _joins(character: str) -> bool:
    """Combining marks and joiners must stay with the character before them."""
    import unicodedata

    return unicodedata.combining(character) != 0 or character in "\u200d\ufe0f"


def continues_over(text: str, place: int) -> bool:
    """Whether the sentence before `place`, where a page begins, goes on after it."""
    before = text[max(0, place - 40) : place].rstrip()
    following = text[place : place + 1]
    if not before or before[-1] in ".!?…。！？｡؟:;\"'»”)]":
        return False
    return following.islower() or (_is_unspaced(following) and _is_unspaced(before[-1]))


def _is_unspaced(character: str) -> bool:
    """Chinese characters and Japanese syllables."""
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff"
