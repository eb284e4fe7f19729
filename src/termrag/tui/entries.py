"""The messages of a transcript: what each knows and how it is drawn; knows nothing of scrolling or keys.

An entry keeps its lines until its width, the theme or what it shows changes; text that is added to an answer redraws
the blocks that changed and nothing above them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from termrag.kinds import Freshness, Support, TurnState, Verdict
from termrag.marks import marked
from termrag.tui.drawing import Canvas, Line, draw_block
from termrag.tui.markdown import Markdown

if TYPE_CHECKING:
    from termrag.records import Answer, Sentence
    from termrag.turns import Turn

_FAINT = "$foreground 65%"
_QUIET_S = 0.15  # a search that takes no longer is not told of
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Entry:
    """One message. `key` names it in the actions of its links."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_current = False
        self._canvas: Canvas | None = None
        self._lines: list[Line] = []

    def lines(self, canvas: Canvas) -> list[Line]:
        """The entry's lines, drawn if anything about them has changed."""
        if canvas != self._canvas:
            self._canvas = canvas
            self._lines = self._draw(canvas)
        return self._lines

    def forget(self) -> None:
        """Draw everything anew next time."""
        self._canvas = None

    @property
    def text(self) -> str:
        """What copying the message copies."""
        return ""

    def _draw(self, canvas: Canvas) -> list[Line]:
        raise NotImplementedError

    def _mark(self) -> str:
        return "▌" if self.is_current else " "


class Question(Entry):
    """What the user asked. One that waits for the answer before it is `queued`."""

    def __init__(self, key: str, question: str, asked_at: float, *, queued: bool = False) -> None:
        super().__init__(key)
        self.question = question
        self.asked_at = asked_at
        self.queued = queued
        self.branch = (1, 1)  # which of how many turns that share its place
        self.turn: Turn | None = None
        self.limits: tuple[str, ...] = ()  # names of the documents that it is limited to

    @property
    def text(self) -> str:
        return self.question

    def _draw(self, canvas: Canvas) -> list[Line]:
        words = ["You", "waiting" if self.queued else clock(self.asked_at)]
        if self.branch[1] > 1:
            words.append(f"version {self.branch[0]} of {self.branch[1]}")
        if self.limits:
            words.append("@" + ", @".join(self.limits))
        header = Content.assemble((words[0], "bold $text-secondary"), (f"  {' · '.join(words[1:])}", _FAINT))
        body = canvas.draw(
            Content(self.question), first="▎", style="on $panel", prefix_style="$text-secondary", fill=True
        )
        quiet = [Line(line.strip, line.text.removeprefix("▎"), line.joins) for line in body]
        return [*canvas.draw(header, first=self._mark()), *quiet, canvas.blank()]


@dataclass(slots=True)
class Work:
    """What an answer is at while it is made."""

    stage: str = "waiting"
    detail: str = ""
    done: int = 0
    total: int = 0
    tokens: int = 0
    most: int = 0
    began: float = field(default_factory=time.monotonic)  # of this stage
    tick: int = 0

    def enter(self, stage: str, detail: str = "") -> None:
        """Another stage begins, or the same one has more to say."""
        if stage != self.stage:
            self.began, self.done, self.total = time.monotonic(), 0, 0
        self.stage, self.detail = stage, detail

    def line(self, now: float, stop: str) -> str:
        """The line under a growing answer; nothing for what is over before it could be read. `stop` is the key."""
        spent_s = now - self.began
        if self.stage in ("waiting", "searching") and spent_s < _QUIET_S:
            return ""
        parts = [_SPINNER[self.tick % len(_SPINNER)], self.stage]
        if self.detail:
            parts.append(self.detail)
        if self.stage == "loading" and spent_s >= 1:
            parts.append(f"{spent_s:.0f} s")
        if self.total:
            parts.append(f"{bar(self.done / self.total)} {self.done}/{self.total} tokens")
        if self.tokens:
            parts.append(f"{self.rate(now):.0f} tokens/s · {self.tokens}/{self.most}")
        return f"{' '.join(parts)} · {stop} stops"

    def rate(self, now: float) -> float:
        """Tokens per second since the first one."""
        return self.tokens / max(now - self.began, 0.05)


class Reply(Entry):
    """An answer: growing, finished, stopped, refused or failed."""

    def __init__(self, key: str, link: Callable[[str], str]) -> None:
        super().__init__(key)
        self.turn: Turn | None = None
        self.answer: Answer | None = None
        self.state = TurnState.WRITING
        self.error = ""
        self.freshness = Freshness.CURRENT
        self.asked_at = time.time()
        self.work: Work | None = Work()
        self.general = False
        self._markdown = Markdown()
        self._unparsed = ""  # the text of an answer that has not been in view yet
        self._link = link
        self._drawn: list[list[Line]] = []  # per block

    @classmethod
    def of(cls, turn: Turn, key: str, link: Callable[[str], str]) -> Reply:
        """The answer of a kept turn."""
        reply = cls(key, link)
        reply.asked_at = turn.asked_at
        reply.take(turn)
        return reply

    def take(self, turn: Turn) -> None:
        """Show the answer of a kept turn as it stands."""
        self.turn, self.answer, self.state = turn, turn.answer, turn.state
        self.error, self.freshness, self.work = turn.error, turn.freshness, None
        if turn.answer is not None:
            self._markdown, self._unparsed = Markdown(), marked_text(turn.answer)
        self.forget()

    @property
    def markdown(self) -> Markdown:
        """The text as blocks."""
        if self._unparsed:
            text, self._unparsed = self._unparsed, ""
            self._markdown.feed(text)
        return self._markdown

    @property
    def is_refused(self) -> bool:
        return self.answer is not None and self.answer.verdict is Verdict.NOT_FOUND

    @property
    def text(self) -> str:
        """The answer with its citation numbers, without what only a screen shows."""
        return self.answer.cited_text if self.answer is not None and self.answer.cited_text else self.plain

    @property
    def plain(self) -> str:
        """What has come so far, without the targets of its marks."""
        return _without_targets(self.markdown.source)

    def set_text(self, source: str) -> None:
        """Put another text in the place of what was there."""
        if source == self.markdown.source:
            return
        self._markdown, self._unparsed = Markdown(), source
        self._drawn = []
        self.forget()

    def feed(self, text: str) -> int:
        """Add text, and draw what changed. Returns the number of the first line that did."""
        changed = self.markdown.feed(text)
        if self._canvas is None:
            return 0
        header = len(self._lines) - len(self._footer_lines) - sum(map(len, self._drawn))
        first = header + sum(map(len, self._drawn[:changed]))
        self._draw_blocks(self._canvas, changed)
        self._lines[first:] = [line for block in self._drawn[changed:] for line in block] + self._footer_lines
        return first

    def refresh_footer(self) -> int:
        """Draw the lines under the text anew. Returns the number of the first of them."""
        if self._canvas is None:
            return 0
        first = len(self._lines) - len(self._footer_lines)
        self._footer_lines = self._footer(self._canvas)
        self._lines[first:] = self._footer_lines
        return first

    _footer_lines: list[Line] = []  # noqa: RUF012 - replaced by the first drawing

    def _draw(self, canvas: Canvas) -> list[Line]:
        header = canvas.draw(self._header(), first=self._mark())
        self._draw_blocks(canvas, 0)
        self._footer_lines = self._footer(canvas)
        return [*header, *(line for block in self._drawn for line in block), *self._footer_lines]

    def _draw_blocks(self, canvas: Canvas, since: int) -> None:
        fresh = [draw_block(block, canvas, self._link) for block in self.markdown.blocks[since:]]
        self._drawn[since:] = fresh

    def _header(self) -> Content:
        words = [clock(self.asked_at)]
        answer = self.answer
        if answer is not None:
            if answer.verdict is Verdict.GENERAL:
                words.append("without documents")
            elif answer.sentences:
                cited = {citation.number for sentence in answer.sentences for citation in sentence.citations}
                words.append(f"{len(cited)} source" + ("" if len(cited) == 1 else "s"))
            if answer.usage.tokens_per_second:
                words.append(f"{answer.usage.tokens_per_second:.0f} tokens/s")
            if answer.model:
                words.append(answer.model)
        return Content.assemble(("termrag", "bold $text-primary"), (f"  {' · '.join(words)}", _FAINT))

    def _footer(self, canvas: Canvas) -> list[Line]:
        lines = [line for content in self._notes(canvas.key_of) for line in canvas.draw(content)]
        return [*lines, canvas.blank()]

    def _notes(self, key_of: Callable[[str], str]) -> list[Content]:
        """What stands under the text: progress, or what should be known of a finished answer."""
        if self.work is not None:
            return [Content.styled(self.work.line(time.monotonic(), key_of("chat.stop")), "$text-secondary")]
        notes: list[Content] = []
        again, details = f"{key_of('chat.regenerate')} asks again", f"{key_of('message.details')} says why"
        if self.state is TurnState.STOPPED:
            notes.append(_note("■ stopped", again, "$text-warning"))
        if self.state is TurnState.WRITING:
            notes.append(_note("… being written by another termrag", "", "$text-secondary"))
        if self.state is TurnState.FAILED:
            notes.append(_note("✗ no answer", f"{again} · {details}", "$text-error"))
        if self.is_refused and self.answer is not None:
            alone = f"{key_of('message.general')} asks the model without documents"
            notes += self._refusal(self.answer, f"{alone} · @ names other documents · {details}")
        elif self.answer is not None:
            missing = sum(sentence.support is Support.UNSUPPORTED for sentence in self.answer.sentences)
            if missing and self.answer.verdict is not Verdict.GENERAL:
                notes.append(_note(f"[?] marks {missing} without support in your documents", "", "$text-warning"))
        if self.answer is not None and self.answer.is_cut_off:
            tokens = self.answer.usage.generated_tokens
            more = f"{key_of('chat.go_on')} goes on · {key_of('app.settings')} allows longer answers"
            notes.append(_note(f"… cut off after {tokens} tokens", more, "$text-warning"))
        if self.freshness is not Freshness.CURRENT:
            what = "changed since" if self.freshness is Freshness.CHANGED else "gone"
            notes.append(_note(f"↻ a cited source is {what}", again, "$text-warning"))
        return notes

    def _refusal(self, answer: Answer, then: str) -> list[Content]:
        notes = [_note("∅ not in your documents", answer.reason, "$text-warning")]
        notes += [Content.assemble(("  nearest  ", _FAINT), passage.place) for passage in answer.passages[:3]]
        notes.append(Content.styled(f"  {then}", _FAINT))
        return notes


class Note(Entry):
    """Something said by termrag itself: the welcome, an answer to a command."""

    def __init__(self, key: str, content: Content) -> None:
        super().__init__(key)
        self.content = content

    @property
    def text(self) -> str:
        return self.content.plain

    def _draw(self, canvas: Canvas) -> list[Line]:
        return [*canvas.draw(self.content, first=" "), canvas.blank()]


def marked_text(answer: Answer) -> str:
    """The source of an answer as the transcript shows it: marks as links, `[?]` where support is missing."""
    if not answer.sentences:
        return answer.cited_text or answer.text
    grounded = answer.verdict is not Verdict.GENERAL
    return "".join(marked(each.text, mark_of(each) if grounded else "") for each in answer.sentences).strip()


def mark_of(sentence: Sentence) -> str:
    """The mark of one sentence as links that a click or a key opens."""
    if sentence.support is Support.UNSUPPORTED:
        return "[?](cite:?)"
    numbers = dict.fromkeys(citation.number for citation in sentence.citations)
    return "".join(f"[{number}](cite:{number})" for number in numbers)


def clock(seconds: float) -> str:
    """The time of day; with the date, if it was another day."""
    moment = datetime.fromtimestamp(seconds).astimezone()
    today = datetime.now().astimezone().date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"


def _note(what: str, then: str, style: str) -> Content:
    return Content.assemble((what, f"bold {style}"), (f"  {then}" if then else "", _FAINT))


def bar(share: float, cells: int = 10) -> str:
    """How much of a whole is done."""
    filled = round(min(max(share, 0.0), 1.0) * cells)
    return "█" * filled + "░" * (cells - filled)


def _without_targets(source: str) -> str:
    import re

    return re.sub(r"\[([^\]\n]+)\]\(cite:[^)]*\)", r"[\1]", source)
