"""A conversation as Markdown, as one HTML page that needs nothing else, or as JSON, which alone can be read again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

from termrag import wire
from termrag.errors import ConfigError
from termrag.records import Answer, Citation, Sentence, Support, Verdict
from termrag.turns import Session, SessionInfo, Turn, TurnState

_FORMAT = "termrag session"
_VERSION = 1


def export(session: Session, all_turns: Sequence[Turn], form: str) -> str:
    """The conversation as text. JSON holds every branch, the others the current one. Raises ConfigError for a form that
    is not in FORMATS."""
    if form not in FORMATS:
        raise ConfigError(f"conversations are not written as {form}", f"One of {', '.join(FORMATS)}")
    return FORMATS[form](session, all_turns)


def read_export(text: str) -> tuple[SessionInfo, list[Turn]]:
    """What `export` wrote as JSON. Raises ConfigError for anything else."""
    try:
        data = json.loads(text)
        if data["format"] != _FORMAT or data["version"] > _VERSION:
            raise ValueError(f"format {data['format']} {data['version']}")
        info = wire.read(SessionInfo, data["session"])
        turns = [_read_turn(each) for each in data["turns"]]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise ConfigError(
            f"this is no conversation that termrag wrote: {error}", "termrag sessions export ID --format json"
        ) from error
    return info, turns


def _read_turn(data: dict[str, object]) -> Turn:
    answer = data.get("answer")
    turn = wire.read(Turn, {**data, "answer": None})
    assert isinstance(turn, Turn)
    state = TurnState.STOPPED if turn.state is TurnState.WRITING else turn.state
    read = wire.read_answer(answer) if isinstance(answer, dict) else None
    return Turn(
        turn.id, turn.session_id, turn.number, turn.question, turn.query, state, turn.asked_at, read, turn.error,
        parent_id=turn.parent_id,
    )  # fmt: skip


# --- JSON --------------------------------------------------------------------------------------------------------


def _json(session: Session, all_turns: Sequence[Turn]) -> str:
    data = {
        "format": _FORMAT,
        "version": _VERSION,
        "session": wire.plain(session.info),
        "turns": [wire.plain(turn) for turn in all_turns],
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


# --- Markdown ----------------------------------------------------------------------------------------------------


def _markdown(session: Session, _: Sequence[Turn]) -> str:
    parts = [f"# {session.info.title}", f"{_day(session.info.created_at)}, termrag"]
    for turn in session.turns:
        parts.append(f"## {' '.join(turn.question.split())}")
        parts.append(_body(turn))
        if sources := [f"{each.number}. {_source(each)}" for each in _citations(turn)]:
            parts.append("Sources:\n\n" + "\n".join(sources))
    return "\n\n".join(parts) + "\n"


def _body(turn: Turn) -> str:
    """The answer as a reader wants it: marks on what is supported and on what is not, or why there is none."""
    answer = turn.answer
    if turn.state is TurnState.FAILED:
        return f"(failed: {turn.error})"
    if answer is None:
        return "(stopped before anything came)"
    if answer.verdict is Verdict.NOT_FOUND:
        return f"Not in the documents: {answer.reason}."
    text = _marked(answer)
    return f"{text}\n\n(stopped)" if turn.state is TurnState.STOPPED else text


def _marked(answer: Answer) -> str:
    """The text with the numbers of its citations, and `[?]` behind sentences without support."""
    if not answer.sentences:
        return answer.cited_text or answer.text
    parts = []
    for sentence in answer.sentences:
        body = sentence.text.rstrip()
        marks = "".join(f" [{each.number}]" for each in sentence.citations)
        if sentence.support is Support.UNSUPPORTED:
            marks = " [?]"
        parts.append(body + marks + sentence.text[len(body) :])
    return "".join(parts).strip()


def _citations(turn: Turn) -> list[Citation]:
    return wire.citations(turn.answer) if turn.answer else []


def _source(citation: Citation) -> str:
    quote = " ".join(citation.quote.split())
    return f"{citation.place} ({citation.path}): “{quote}”"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


# --- HTML --------------------------------------------------------------------------------------------------------

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
h1{font-size:1.4rem}.q{background:#eef2f6;border-left:4px solid #35618f;padding:.5rem .8rem;white-space:pre-wrap}
.a{white-space:pre-wrap;overflow-wrap:anywhere}.doubt{text-decoration:underline dotted #a33}
.note,time{color:#555;font-size:.9rem}sup a{text-decoration:none}ol{font-size:.9rem}q{color:#333}
@media(prefers-color-scheme:dark){body{color:#e4e4e4;background:#17191c}.q{background:#22282e}q,.note,time{color:#aaa}}
"""


def _html(session: Session, _: Sequence[Turn]) -> str:
    title = escape(session.info.title)
    turns = "\n".join(_html_turn(turn) for turn in session.turns)
    return (
        f'<!doctype html>\n<html lang="{_language(session)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        f"<p><time>{_day(session.info.created_at)}</time></p>\n{turns}\n</body></html>\n"
    )


def _language(session: Session) -> str:
    return "mul" if any(not turn.question.isascii() for turn in session.turns) else "en"


def _html_turn(turn: Turn) -> str:
    sources = "".join(
        f'<li id="{turn.id}-{each.number}" value="{each.number}">{escape(each.place)} <q>{escape(each.quote)}</q></li>'
        for each in _citations(turn)
    )
    listed = f"<ol>{sources}</ol>" if sources else ""
    question = f'<p class="q">{escape(turn.question)}</p>'
    return f'<section>{question}<div class="a">{_html_answer(turn)}</div>{listed}</section>'


def _html_answer(turn: Turn) -> str:
    answer = turn.answer
    if answer is None or not answer.sentences or answer.verdict is Verdict.NOT_FOUND:
        return f'<span class="note">{escape(_body(turn))}</span>'
    end = {TurnState.STOPPED: "(stopped)", TurnState.FAILED: f"(failed: {turn.error})"}.get(turn.state, "")
    note = f' <span class="note">{escape(end)}</span>' if end else ""
    return "".join(_html_sentence(each, turn.id) for each in answer.sentences).strip() + note


def _html_sentence(sentence: Sentence, anchor: str) -> str:
    body = sentence.text.rstrip()
    text = escape(body)
    if sentence.support is Support.UNSUPPORTED:
        text = f'<span class="doubt" title="no source for this">{text}</span>'
    marks = "".join(f'<sup><a href="#{anchor}-{each.number}">{each.number}</a></sup>' for each in sentence.citations)
    return text + marks + escape(sentence.text[len(body) :])


FORMATS: dict[str, Callable[[Session, Sequence[Turn]], str]] = {"markdown": _markdown, "html": _html, "json": _json}


def file_name(info: SessionInfo, form: str) -> str:
    """A name for the exported file that every file system takes."""
    words = re.sub(r"[^\w-]+", "-", info.title.lower()).strip("-")[:50] or info.id
    return f"{words}.{ {'markdown': 'md'}.get(form, form) }"
