"""Cleans an answer while it streams: what is shown is prose alone, without template marks, echoes, repeats or loops.

Text is held back only while it could still become something that must not be shown. Knows no passages and no engine.
"""

from __future__ import annotations

import re

from termrag.grounding.loops import LoopWatch
from termrag.grounding.sentences import SentenceStream

_LONGEST_MARK = 64

# Marks by which chat templates part turns. Those that end a turn end the answer, if it has begun.
_TEMPLATE = re.compile(
    r"<\|[^|<>\n]{0,40}\|>|<(?:start_of_turn|end_of_turn|bos|eos|pad|unk|s)>|</s>|\[/?INST\]|<</?SYS>>|"
    r"<｜[^｜<>\n]{0,40}｜>",
    re.IGNORECASE,
)
_ENDS_TURN = re.compile(
    r"<\|(?:im_end|eot_id|end|endoftext|end_of_text|eom_id|im_start|start_header_id)\|>|<end_of_turn>|<start_of_turn>|"
    r"</s>|<eos>|\[INST\]|<｜[^｜]*end[^｜]*｜>",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"<\|start_header_id\|>\s*\w*\s*<\|end_header_id\|>|(?:<\|im_start\|>|<start_of_turn>)\w*\n?", re.IGNORECASE
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-Z\\^-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")

# Citation marks that the model made up: code sets the true ones.
_NAMED = r"(?:source|passage|document|doc|ref|reference|citation|quelle|textstelle|extrait|fuente|fonte|来源|來源|文档)"
_NUMBERS = r"\d{1,2}(?:\s*(?:,|;|-|–|and|&)\s*\d{1,2})*"
_MARK = re.compile(
    rf"\[\^?{_NUMBERS}\]|【[^】\n]{{0,30}}】|［{_NUMBERS}］|\[{_NAMED}s?:?\s*\[?{_NUMBERS}\]?\]|"
    rf"[(（]{_NAMED}s?:?\s*\[?{_NUMBERS}\]?[)）]|\(\[{_NUMBERS}\]\)",
    re.IGNORECASE,
)
# Text from one of these on is held back while it matches: it may still become one of the above.
_OPENERS = "<[(（【［\x1b\n"
_UNFINISHED = re.compile(
    rf"(?:\(\[?|（|\[\^?|［)\s*(?:{_NAMED}s?:?\s*\[?)?[\d\s,;–&-]*(?:and\s*)?\Z|【[^】\n]{{0,30}}\Z|"
    r"(?:\[|\(|（|［)[A-Za-z来源來文档]{0,10}\Z|<[|｜/]?[^<>\n]{0,44}\Z|\[/?[A-Z]{0,4}\Z|"
    r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,60}\x1b?|[PX^_][^\x1b]{0,60}\x1b?|[ -/]*)\Z|"
    r"\n[ \t]*(?:\n\s*(?:\**(?:u|us|use|user|h|hu|hum|huma|human)?\**\s*|#{1,3}\s*\w{0,11}))?\Z",
    re.IGNORECASE,
)
_HEADER_START = re.compile(
    r"(?:<\|start_header_id\|>\s*\w*(?:<[|a-z_]*)?|(?:<\|im_start\|>|<start_of_turn>)\w*)\Z", re.IGNORECASE
)

_ROLE = re.compile(
    r"\s*(?:\**(?:assistant|answer|response|reply|ai|bot|model|termrag|antwort|réponse|respuesta|risposta|"
    r"答案|回答|答|الإجابة|"
    r"الجواب)\**\s*[:：]\**|assistant\s*\n|#+\s*(?:answer|response|antwort|réponse)\s*:?\s*\n)\s*",
    re.IGNORECASE,
)
_ECHO_LINE = re.compile(
    r"\s*(?:\**(?:question|query|user|frage|pregunta|domanda|问题|السؤال)\**\s*[:：].*|"
    r"(?:passages?|contexts?|sources?|documents?|excerpts?)\s*(?:\[?\d{1,2}\]?)?\s*[:：]?\s*(?:\S+\s*)?|"
    r"\[\d{1,2}\]\s*(?:\([^)\n]*\)|\S+\.\w{2,5}\b[^\n]{0,40}))\s*\n",
    re.IGNORECASE,
)
_ROLES = (
    "assistant", "answer", "response", "reply", "ai", "bot", "model", "termrag", "antwort", "réponse", "respuesta",
    "risposta", "答案", "回答", "question", "query", "user", "frage", "passage", "context",
    "source", "document", "excerpt",
)  # fmt: skip
_NEXT_TURN = re.compile(r"\n\s*\n\s*(?:\**(?:user|human)\**\s*:|###\s*(?:instruction|question|user)\b)", re.IGNORECASE)
_LONGEST_OPENING = 200
_RUNS = re.compile(r" ?[A-Za-z0-9À-ɏ]+|.", re.DOTALL)


class Cleaner:
    """Takes generated pieces, gives what may be shown. The same text gives the same result however it is cut.

    `looping` turns true when the text goes round in circles, `ended` when a leaked mark ended the turn; after either,
    nothing more comes out and generation should stop.
    """

    def __init__(self, question: str = "") -> None:
        self.looping = False
        self.ended = False
        self._question = _letters(question)
        self._raw = ""
        self._is_open = False  # whether the opening has been cleared of echoes
        self._ticks = 0
        self._repeats = _RepeatFilter()
        self._loops = LoopWatch()
        self._started = False
        self._spaces = ""

    def feed(self, piece: str) -> str:
        """What of the text so far has become fit to show."""
        out: list[str] = []
        for run in _RUNS.findall(piece):
            if self.looping or self.ended:
                break
            if self._is_open and not self._raw and run[-1].isalnum():
                out.append(self._emit(run, final=False))  # nothing in a word can become a mark
                continue
            for char in run:  # one by one, so that the result does not depend on how the text was cut
                if self.looping or self.ended:
                    break
                self._raw += char
                out.append(self._advance(final=False))
        return "".join(out)

    def finish(self) -> str:
        """The rest, when generation has ended. White space at the end is dropped."""
        return "" if self.looping or self.ended else self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        if not self._is_open and not self._clear_opening(final=final):
            return ""
        ready, self._raw = _split_ready(self._raw, final=final)
        text = self._strip(ready)
        return self._emit(text, final=final)

    def _clear_opening(self, *, final: bool) -> bool:
        """Drop what is said before the answer: role names, the question, passage headers. True once that is done."""
        while not self.ended:
            text = self._raw.lstrip()
            if not text and not final:
                return False
            if not final and (_is_unfinished(text) or _HEADER_START.match(text)):
                return False
            for pattern in (_HEADER, _TEMPLATE, _ESCAPE, _ROLE, _ECHO_LINE):
                if (match := pattern.match(text)) and match.end():
                    if match.end() == len(text) and pattern in (_ROLE, _ECHO_LINE) and not final:
                        return False
                    self._raw = text[match.end() :]
                    break
            else:
                end = _echo_end(text, self._question, final=final)
                if end < 0 or (not final and _may_be_role(text)):
                    return False
                self._raw = text[end:].lstrip() if end else text
                self._is_open = not end
                if self._is_open:
                    return True
        return True

    def _strip(self, text: str) -> str:
        """Take template marks, invented citations and control characters out of text that holds them whole."""
        for pattern in (_ENDS_TURN, _NEXT_TURN):
            end = pattern.search(text)
            if end and (self._started or _MARK.sub("", text[: end.start()]).strip()):
                text, self.ended = text[: end.start()], True
        text = _TEMPLATE.sub("", _HEADER.sub("", text))
        text = _CONTROL.sub("", _ESCAPE.sub("", text))
        out: list[str] = []
        for i, part in enumerate(re.split(r"(`+)", text)):
            if i % 2:
                self._ticks ^= 1
                out.append(part)
            else:
                out.append(part if self._ticks else _MARK.sub("\0", part))
        return "".join(out)

    def _emit(self, text: str, *, final: bool) -> str:
        text = self._spaced(text)
        if self._loops.feed(text):  # at the first sign behind the cycle, however much has come with it
            self.looping, text = True, ""
        shown = self._repeats.feed(text)
        if final or self.ended or self.looping:
            shown += self._repeats.finish()
        self.looping = self.looping or self._repeats.looping
        if not self._started:
            shown = shown.lstrip()
        self._started = self._started or bool(shown)
        return shown

    def _spaced(self, text: str) -> str:
        """Hold white space back until something follows, and drop the space that stood before a dropped mark."""
        text = self._spaces + text
        if "\0" in text:
            text = re.sub(r"[ \t]*\0+(?=[\s.,;:!?)。，；：！？]|\Z)", "", text)
            text = re.sub(r"\0+", "", text)
        body = text.rstrip()
        self._spaces = text[len(body) :]
        return body


class _RepeatFilter:
    """Drops sentences that were said before. Text flows through as soon as it differs from all that was said."""

    def __init__(self) -> None:
        self.looping = False
        self._stream = SentenceStream()
        self._said: set[str] = set()
        self._sent = 0
        self._in_a_row = 0

    def feed(self, text: str) -> str:
        out = [self._close(s) for s in self._stream.feed(text)]
        pending = self._stream.pending
        if not self._may_repeat(pending):
            out.append(pending[self._sent :])
            self._sent = len(pending)
        return "".join(out)

    def finish(self) -> str:
        return "".join(self._close(s) for s in self._stream.finish())

    def _close(self, sentence: str) -> str:
        key = _letters(_LIST_MARK.sub("", sentence))
        is_long = len(key) >= (_SHORT_CJK if _has_cjk(key) else _SHORT)
        if self._sent == 0 and is_long and key in self._said:
            self._in_a_row += 1
            self.looping = self.looping or self._in_a_row >= _MOST_REPEATS
            return ""
        if key:
            self._in_a_row = 0
        if is_long and not sentence.lstrip().startswith(("`", "~", "|")):
            self._said.add(key)
        rest, self._sent = sentence[self._sent :], 0
        return rest

    def _may_repeat(self, pending: str) -> bool:
        if self._sent or not self._said:
            return False
        if _OPEN_MARK.fullmatch(pending):
            return True
        key = _letters(_LIST_MARK.sub("", pending))
        return any(said.startswith(key) for said in self._said)


_LIST_MARK = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+")
_OPEN_MARK = re.compile(r"\s*(?:[-*•+]|\d{1,3}[.)]?)\s*")
_SHORT, _SHORT_CJK = 16, 8
_MOST_REPEATS = 2


def _has_cjk(text: str) -> bool:
    return any("\u3000" <= c <= "\u9fff" for c in text)


def _letters(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return re.sub(r"[\W_]+", "", text).casefold()


def _split_ready(text: str, *, final: bool) -> tuple[str, str]:
    """Part text into what can be judged now and a tail that may still become a mark."""
    if final:
        return text, ""
    tail = max(0, len(text) - _LONGEST_MARK)
    for i in range(tail, len(text)):
        if text[i] in _OPENERS and _UNFINISHED.match(text, i):
            return text[:i], text[i:]
    return text, ""


def _is_unfinished(text: str) -> bool:
    return text[:1] in _OPENERS and len(text) < _LONGEST_MARK and bool(_UNFINISHED.match(text))


def _may_be_role(text: str) -> bool:
    """Whether the opening may still turn out to be a role name or a header line."""
    if len(text) >= _LONGEST_OPENING or "\n" in text:
        return False
    start = re.sub(r"^[\s*#]+", "", text).casefold()
    if any(role.startswith(start) for role in _ROLES):
        return True
    head = re.match(
        r"(?:question|query|user|frage)\s*:|(?:passage|context|source|document|excerpt)s?\s*\[?\d*\]?\s*:?\s*\S*\Z",
        start,
    )
    numbered = re.match(r"\[\d{1,2}\]\s*(?:\(|\S*\Z|\S+\.\w{2,5}\b)", text)
    return bool(head or numbered)


def _echo_end(text: str, question: str, *, final: bool) -> int:
    """Where an echo of the question at the start ends: 0 for none, -1 while it may still become one."""
    if not question:
        return 0
    matched = 0
    for i, char in enumerate(text):
        if not (char.isalnum()):
            continue
        for folded in char.casefold():
            if matched == len(question) or question[matched] != folded:
                return 0 if matched < len(question) else _echo_close(text, i)
            matched += 1
    if matched == len(question):
        return len(text) if final else (-1 if not text.endswith("\n") else len(text))
    return 0 if final else -1


def _echo_close(text: str, start: int) -> int:
    """The question was said in full and `text[start:]` goes on: an echo if a question mark or a line end parts them."""
    question_end = start
    while question_end and not text[question_end - 1].isalnum():
        question_end -= 1
    between = text[question_end:start]
    return start if re.search(r"[?？؟\n]", between) else 0
