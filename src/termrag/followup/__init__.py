"""What a question means after those before it, by rule: a follow-up takes over what it leaves out, and says by which
rule; a question that stands on its own takes over nothing. Asks no model and no store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from termrag.followup import ordinals
from termrag.followup.contrast import beside, put_in
from termrag.followup.leaning import asks_why, leans
from termrag.followup.reading import Reading, read
from termrag.followup.words import UNSPACED_LEANING, tables
from termrag.records import Answer, Support
from termrag.turns import Turn

__all__ = ["Resolved", "resolve"]

_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_SHORT_UNSPACED = 6  # characters
_MOST_NAMES = 3
_LAST_TURNS = 2  # whose sources count as what is spoken of
_LONGEST_FRAGMENT = 6  # content words after "what about"
_LONGEST_AND = 2  # content words after "and": more make a question of their own ...
_LONGEST_PART = 4  # ... unless a verb or a noun is missing: "and after a distress case?"
_LONGEST_IF = 3  # content words after "what if"


@dataclass(frozen=True, slots=True)
class Resolved:
    """`query` is what to search for. `document_ids`, where there are any, are the only documents meant ("the second
    source"); `lifted` are those the last answers cite, which weigh more. `reason` names the rule; it is empty for a
    question that stands on its own."""

    query: str
    document_ids: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()
    reason: str = ""


def resolve(question: str, turns: Sequence[Turn]) -> Resolved:
    """What a question asks, given the turns before it, oldest first."""
    if not turns or not question.strip():
        return Resolved(question)
    last = turns[-1]
    base = _base(last)
    if _UNSPACED.search(question):
        if re.search(UNSPACED_LEANING, question.strip()) or len(question.strip()) <= _SHORT_UNSPACED:
            return Resolved(f"{base} {question}", lifted=_sources(turns), reason="short question, read with the last")
        return Resolved(question)
    before = read(base)
    asked = read(question, hint=before.language)
    return _resolve(asked, before, turns) or Resolved(question)


def _resolve(asked: Reading, before: Reading, turns: Sequence[Turn]) -> Resolved | None:
    lifted = _sources(turns)
    if any(re.fullmatch(table.in_language, asked.plain) for table in tables()):
        return Resolved(before.text, lifted=lifted, reason="the last question again, in another language")
    if any(re.fullmatch(table.more, asked.plain) for table in tables()):
        return Resolved(before.text, lifted=lifted, reason="more on the last question")
    if shifted := beside(before, asked):
        return Resolved(shifted, lifted=lifted, reason="the day or year beside the last one")
    if resolved := _counted(asked, before, turns):
        return resolved
    if resolved := _joined_to(asked, before, lifted):
        return resolved
    if leaning := leans(asked):
        names = _names(turns[-1].answer, before)
        return Resolved(_together(before, asked.text, names), lifted=lifted, reason=f"“{leaning}” means what was said")
    if _is_fragment(asked):
        query = put_in(before, asked) or _together(before, asked.text, ())
        return Resolved(query, lifted=lifted, reason="no whole question, read with the last")
    return None


def _counted(asked: Reading, before: Reading, turns: Sequence[Turn]) -> Resolved | None:
    """ "The second one"."""
    place, answer = ordinals.place_of(asked), turns[-1].answer
    if place is None or answer is None or not ordinals.is_bare(asked, ordinals.stems_of(turns[-1])):
        return None
    if ordinals.asks_for_source(asked) and (document_id := ordinals.source(answer, place)):
        return Resolved(before.text, (document_id,), (document_id,), "the document cited at that place")
    item = ordinals.item(answer, place)
    query = _together(before, asked.text, (item,) if item else ())
    return Resolved(query, lifted=_sources(turns), reason="counted off in the last answer")


def _joined_to(asked: Reading, before: Reading, lifted: tuple[str, ...]) -> Resolved | None:
    """ "And in winter?", "what about dogs?", "I meant in 2024"."""
    table = asked.table
    skipped = int(bool(asked.words) and asked.words[0].folded in table.ands)
    longest = _longest_after_and(asked) if skipped else 0
    for pattern, most in (
        (table.again, _LONGEST_FRAGMENT),
        (table.corrections, _LONGEST_FRAGMENT),
        (table.abouts, _LONGEST_FRAGMENT),
        (table.ifs, _LONGEST_IF),
    ):
        if found := re.match(rf"(?:{pattern})(?= |\Z)", _plain(asked, skipped)):
            skipped, longest = skipped + found[0].count(" ") + 1, most
            break
    rest = read(_from_word(asked, skipped), asked.language)
    if not longest or len(rest.content) > longest:
        return None
    if not rest.words:
        return Resolved(before.text, lifted=lifted, reason="more on the last question")
    query = put_in(before, rest) or _together(before, asked.text, ())
    return Resolved(query, lifted=lifted, reason="goes on from the last question")


def _longest_after_and(asked: Reading) -> int:
    led = len(asked.words) > 1 and asked.words[1].folded in asked.table.prepositions
    return _LONGEST_PART if led or not any(word.folded in asked.table.verbs for word in asked.words) else _LONGEST_AND


def _is_fragment(asked: Reading) -> bool:
    """Whether a verb is missing, and nearly everything else."""
    if any(word.folded in asked.table.verbs for word in asked.words):
        return asks_why(asked) and not asked.content
    led = bool(asked.words) and asked.words[0].folded in asked.table.prepositions
    return len(asked.content) <= (_LONGEST_AND if led else 1)


def _base(turn: Turn) -> str:
    """What the last turn asked; of a question that was itself resolved from several, the first and the last."""
    query = (turn.query or turn.question).strip()
    sentences = re.split(r"(?<=[?!。？])\s+(?=[^(\s])", query)
    return query if len(sentences) <= 2 else f"{sentences[0]} {sentences[-1]}"


def _together(before: Reading, question: str, names: Sequence[str]) -> str:
    first = before.text if before.text[-1:] in "?!.。？)" else f"{before.text}?"
    return f"{first} {question.strip()}" + (f" ({', '.join(names)})" if names else "")


def _sources(turns: Sequence[Turn]) -> tuple[str, ...]:
    """The documents that the last answers cite, latest first."""
    answers = [turn.answer for turn in reversed(turns[-_LAST_TURNS:]) if turn.answer]
    cited = [each.document_id for answer in answers for sentence in answer.sentences for each in sentence.citations]
    return tuple(dict.fromkeys(cited))


def _names(answer: Answer | None, before: Reading) -> tuple[str, ...]:
    """Names and codes of the answer's first sentence that rests on a passage, and that the question did not hold."""
    if answer is None:
        return ()
    text = next((each.text for each in answer.sentences if each.support is Support.SUPPORTED), "")
    known = {word.folded for word in before.words}
    runs: list[list[str]] = []
    end = -2
    for index, word in enumerate(read(text).words):
        if word.kind not in ("name", "code") or len(word.text) < 2 or word.folded in known:
            continue
        if index == end + 1:
            runs[-1].append(word.text)
        else:
            runs.append([word.text])
        end = index
    return tuple(" ".join(run) for run in runs[:_MOST_NAMES])


def _plain(asked: Reading, skipped: int) -> str:
    return " ".join(word.folded for word in asked.words[skipped:])


def _from_word(asked: Reading, skipped: int) -> str:
    return asked.text[asked.words[skipped].start :] if skipped < len(asked.words) else ""
