"""Cuts running text into sentences while it streams; knows nothing of passages, models or what a sentence means.

The cut is decided by what stands before it and by at most one word after it, so that the sentences do not depend on
how the text was cut into pieces, and their concatenation is the text.
"""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A full stop after these never ends a sentence.
_TITLES = _set(
    "dr mr mrs ms mx prof st sr. jr. hr fr frl ing dipl mag mme mlle mgr sra srta dott sig gen col capt lt sgt rev hon "
    "pres gov sen rep p pp fig figs abb tab eq eqs sec ch vol vols no nos nr art abs ziff bd kap anm vgl cf vs v ca "
    "approx e.g i.e z.b d.h u.a o.ä i.d.r z.t bzw ggf evtl inkl exkl zzgl bspw resp sog gem usf op. ed eds trans par "
    "tel min. max. dept est jan feb febr mar apr jun jul aug sept oct okt nov dec dez núm pág págs ej av cap n ibid"
)
# These may stand at the end of a sentence: only a lower-case letter or a digit after them goes on.
_MAY_END = _set("etc usw inc ltd co corp jr sr a.m p.m bros al min max op ed sec no art")
_STARTERS = _set(
    "the a an it he she they we you i this that these those there in on at if when while after before for as and but "
    "however its his her their our your my to der die das ein eine es er sie wir ihr dies dieser diese im am wenn nach "
    "le la les un une il elle ils elles nous vous ce cette ces dans en el los las una este esta lo gli uno"
)
_ORDINAL_BEFORE = _set("am vom im zum zur der den dem des die das bis ab seit und oder dieser jeder unter beim auf in")
_ORDINAL_AFTER = _set(
    "januar februar märz april mai juni juli august september oktober november dezember jänner jan feb mär apr jun jul "
    "aug sep sept okt nov dez jahrhundert jahrhunderts jahrhunderte platz auflage klasse etage stock kapitel"
)
_CLOSERS = "\"'”’»›)\\]}*_`」』）】》〉″"
_STOP = re.compile(r"(?P<cjk>[。！？｡．]+)|(?P<stop>[.!?…؟۔।]+)|(?P<line>\n)")
_AFTER = re.compile(rf"(?:[{_CLOSERS}]|[ \u00a0\u202f]»|\[\d{{1,2}}\])*")
_WORD_BEFORE = re.compile(r"[^\s(\[{\"'“”‘’„«»*_/]*\Z")
_WORD = re.compile(r"[^\W\d_]+")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_LIST_MARK = re.compile(r"(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})\Z")
# A line this long that goes on in lower case was wrapped, not ended.
_WRAPPED = 60
_WAIT = -1
_NO = 0


class SentenceStream:
    """Takes text in pieces, gives sentences as soon as their end is certain.

    A sentence keeps the white space that follows it; list items, headings and table rows are sentences of their own;
    a code fence is one sentence. All sentences joined are exactly the text fed.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._may_end = False  # whether the buffer holds a sign at which a sentence could end

    @property
    def pending(self) -> str:
        """The text that is not yet part of a finished sentence."""
        return self._buffer

    def feed(self, piece: str) -> list[str]:
        """Sentences that this piece made certain, in order."""
        self._buffer += piece
        self._may_end = self._may_end or _STOP.search(piece) is not None
        return self._take(final=False) if self._may_end else []

    def finish(self) -> list[str]:
        """What is left when the text has ended."""
        sentences = self._take(final=True)
        if self._buffer:
            sentences.append(self._buffer)
            self._buffer = ""
        return sentences

    def _take(self, *, final: bool) -> list[str]:
        sentences: list[str] = []
        while (end := _first_end(self._buffer, final=final)) > 0:
            sentences.append(self._buffer[:end])
            self._buffer = self._buffer[end:]
            self._may_end = _STOP.search(self._buffer) is not None
        return sentences


def split(text: str) -> list[str]:
    """The sentences of a whole text; joined they are the text."""
    stream = SentenceStream()
    return stream.feed(text) + stream.finish()


def _first_end(text: str, *, final: bool) -> int:
    """Where the first sentence ends; 0 if no end is in sight yet."""
    start = len(text) - len(text.lstrip())
    first = text[start : start + 3]
    if first[:1] in ("`", "~") and first == first[0] * len(first):
        if len(first) < 3 and not final:
            return _NO
        if len(first) == 3:
            return _fence_end(text, start, final=final)
    for match in _STOP.finditer(text, start):
        end = _end_at(text, start, match, final=final)
        if end == _WAIT:
            return _NO
        if end != _NO:
            return end
    return _NO


def _fence_end(text: str, start: int, *, final: bool) -> int:
    opening = _FENCE.match(text, start)
    mark = opening.group(1) if opening else "```"
    closing = re.compile(rf"\n[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*\n").search(text, start)
    return closing.end() if closing else _NO


def _end_at(text: str, start: int, match: re.Match[str], *, final: bool) -> int:
    if match.lastgroup == "line":
        return _line_end(text, start, match.start(), final=final)
    after = _AFTER.match(text, match.end())
    close = after.end() if after else match.end()
    if close == len(text):
        return _WAIT
    line_start = text.rfind("\n", start, match.start()) + 1 or start
    if text[line_start : match.start()].lstrip().startswith("|"):  # a table row is one sentence
        return _NO
    # An opening bracket may still become a citation mark that belongs to this sentence.
    if text[close] == "[" and len(text) - close < 4 and "]" not in text[close:] and not final:
        return _WAIT
    rest = close
    while rest < len(text) and text[rest] in " \t\u00a0\u3000":
        rest += 1
    if rest == len(text):
        return _WAIT
    if text[rest] == "\n":
        return _line_end(text, start, rest, final=final)
    if match.lastgroup == "cjk":
        return rest
    if rest == close:
        return _NO
    return _stop_end(text, start, match, rest, final=final)


def _stop_end(text: str, start: int, match: re.Match[str], rest: int, *, final: bool) -> int:
    """The decision at a stop followed by spaces and, at `rest`, by something that could begin a sentence."""
    following = text[rest]
    if following.islower():
        return _NO
    if match.group() != ".":
        return rest
    before_match = _WORD_BEFORE.search(text, start, match.start())
    before = before_match.group() if before_match else ""
    word = before.lower()
    at_line_start = not text[text.rfind("\n", start, match.start()) + 1 : match.start() - len(before)].strip(" \t>*_-#")
    if at_line_start and _LIST_MARK.match(before):
        return _NO
    if word in _MAY_END and not following.isdigit():
        return rest
    if word in _TITLES or word + "." in _TITLES:
        return _NO
    if before.isdigit() and len(before) <= 3 and following.isdigit():  # 98. 7, as some readers tear it
        return _NO
    if before.isdigit() and len(before) <= 2:
        return _after_ordinal(text, start, match.start() - len(before), rest, final=final)
    if len(before.split(".")[-1]) == 1 and before[-1:].isalpha() and before[-1:].isascii():
        return _after_initial(text, rest, final=final)
    return rest


def _next_word(text: str, rest: int, *, final: bool) -> str | None:
    """The word at `rest`, in lower case; None while it may still grow."""
    word = _WORD.match(text, rest)
    if word is None:
        return ""
    if word.end() == len(text) and not final:
        return None
    return word.group().lower()


def _after_ordinal(text: str, start: int, number_start: int, rest: int, *, final: bool) -> int:
    word = _next_word(text, rest, final=final)
    if word is None:
        return _WAIT
    before = _WORD.findall(text[max(start, number_start - 24) : number_start])
    is_ordinal = word in _ORDINAL_AFTER or (word and before and before[-1].lower() in _ORDINAL_BEFORE)
    return _NO if is_ordinal else rest


def _after_initial(text: str, rest: int, *, final: bool) -> int:
    word = _next_word(text, rest, final=final)
    if word is None:
        return _WAIT
    return rest if word in _STARTERS else _NO


def _line_end(text: str, start: int, newline: int, *, final: bool) -> int:
    """The decision at a line break: a blank line or a new line ends, a wrapped line goes on."""
    rest = newline
    while rest < len(text) and text[rest].isspace():
        rest += 1
    if rest == len(text):
        return _WAIT
    end = text.rfind("\n", newline, rest) + 1
    if not text[start:newline].strip():
        return _NO
    line = text[text.rfind("\n", 0, newline) + 1 : newline]
    is_blank = text.count("\n", newline, rest) > 1
    wrapped = len(line) >= _WRAPPED and text[rest].islower() and not line.rstrip().endswith((":", "|"))
    return _NO if wrapped and not is_blank else end
