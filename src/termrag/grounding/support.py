"""Decides whether a sentence rests on the passages, and on which span of them; never asks a model to judge.

A sentence is measured against every window of one to three neighbouring sentences of each passage. What it states
exactly (numbers, dates, names, codes) must be there; the rest of its words must agree well enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from termrag.analysis import detect_language
from termrag.grounding.agreement import (
    Fact,
    Match,
    best_match,
    facts_of,
    joined,
    missing_words,
    opposed,
    second_match,
    swapped,
)
from termrag.grounding.evidence import Evidence, Reading, evidence, read
from termrag.grounding.phrases import (
    beyond_admission,
    claim_of,
    is_introduction,
    is_question,
    is_small_talk,
    says_not_found,
)
from termrag.records import Citation, Passage, Sentence, Support

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]

THRESHOLD = 0.6  # a sentence is supported from this score on
_FALSE = 0.3  # the most that a sentence scores which states something the passages do not hold
_BORROWED = 0.5  # ... whose facts stand in the passages, but not together
_OPPOSED = 0.5  # what is left of the score where one side denies what the other says
_UNSURE = (0.35, 0.75)  # scores between these are worth asking the embedder about
_CAPITALISED_NOUNS = ("de", "lb")
_WORDS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Judgement:
    score: float
    matches: tuple[Match, ...]
    reason: str = ""


def check(sentence: str, passages: Sequence[Passage], *, embed: Embed | None = None) -> Sentence:
    """Say how one sentence of an answer stands to the passages of its prompt.

    At most two citations, best first, a second only for facts that the first lacks; `score` is 0 to 1, supported from
    THRESHOLD on; `reason` says in words what is missing, or why nothing was checked. `embed` gives unit vectors and is
    asked only about sentences that words alone leave open.
    """
    if reason := _neutral_reason(sentence):
        return Sentence(sentence, Support.NEUTRAL, reason=reason)
    claim = beyond_admission(sentence) or claim_of(sentence)
    language = detect_language(" ".join(p.text[:400] for p in passages)) or detect_language(claim)
    reading = read(claim, language)
    facts = facts_of(reading, nouns_are_capitalised=language in _CAPITALISED_NOUNS)
    if not facts and (not reading.words or is_small_talk(sentence)):
        return Sentence(sentence, Support.NEUTRAL, reason="states nothing that could be checked")
    judgement = _judge(reading, facts, [evidence(p, language) for p in passages], embed)
    if is_introduction(sentence) and not (judgement.score <= _FALSE and facts):
        return Sentence(sentence, Support.NEUTRAL, reason="announces what follows")
    score = round(judgement.score, 3)
    if score < THRESHOLD:
        return Sentence(sentence, Support.UNSUPPORTED, score=score, reason=judgement.reason)
    citations = tuple(_citation(m, score) for m in judgement.matches)
    return Sentence(sentence, Support.SUPPORTED, citations, score)


def unchecked(sentence: str) -> Sentence:
    """A sentence of an answer that was asked for without documents."""
    return Sentence(sentence, Support.NEUTRAL, reason="answered without documents")


def _neutral_reason(sentence: str) -> str:
    if not sentence.strip():
        return "empty"
    if says_not_found(sentence) and not beyond_admission(sentence):
        return "says that the passages hold no answer"
    return "asks a question" if is_question(sentence) else ""


def _judge(claim: Reading, facts: Sequence[Fact], passages: Sequence[Evidence], embed: Embed | None) -> _Judgement:
    """Score a claim against all passages."""
    unknown = [f for f in facts if not any(f.is_in(e.whole, e.context) for e in passages)]
    matches = [m for e in passages if (m := best_match(claim, facts, e))]
    matches.sort(key=lambda m: m.worth, reverse=True)
    if not matches:
        return _Judgement(0.0, (), "there are no passages")
    first = matches[0]
    score = _score(first.words, first.order)
    if unknown:
        return _Judgement(min(score, _FALSE), (), _not_there(unknown))
    if denied := opposed(claim, first.window):
        return _Judgement(score * _OPPOSED, (), f"the passages and the sentence disagree on whether “{denied}” holds")
    if names := swapped(claim, first.window):
        return _Judgement(score * _OPPOSED, (), f"the passages have “{names[0]}” and “{names[1]}” the other way round")
    if any(f.kind != "name" or not f.is_in(first.evidence.whole, first.evidence.context) for f in first.missing):
        return _judge_apart(claim, facts, first, passages)
    score = _with_vectors(score, claim, matches, embed)
    return _Judgement(score, (first,), _too_little(claim, passages))


def _judge_apart(claim: Reading, facts: Sequence[Fact], first: Match, passages: Sequence[Evidence]) -> _Judgement:
    """Facts that stand in the passages, but not all in one window: two windows may carry the sentence together."""
    second = second_match(claim, first, facts, passages)
    lacking = [f for f in first.missing if second is None or f in second.missing]
    lacking = [f for f in lacking if f.kind != "name"]
    score = _score(first.words, first.order)
    if second is None or lacking:
        names = _listed([f.text for f in lacking or first.missing])
        return _Judgement(min(score, _BORROWED), (), f"{names} stands elsewhere in the passages, not with the rest")
    words, order = joined(claim, facts, first, second)
    return _Judgement(_score(words, order), (first, second), _too_little(claim, passages))


def _score(words: float, order: float) -> float:
    return min(1.0, 0.75 * words + 0.25 * order)


def _with_vectors(score: float, claim: Reading, matches: Sequence[Match], embed: Embed | None) -> float:
    """Let the embedder speak where words alone leave it open."""
    low, high = _UNSURE
    if embed is None or not low <= score < high:
        return score
    vectors = embed([claim.text, *(m.window.text.strip() for m in matches[:3])])
    cosine = float((vectors[1:] @ vectors[0]).max())
    return max(0.0, min(1.0, score + 0.5 * (cosine - 0.6)))


# --- words and places ------------------------------------------------------------------------------------------


def _listed(texts: Sequence[str]) -> str:
    shown = [f"“{t}”" for t in dict.fromkeys(texts)][:_WORDS_SHOWN]
    return ", ".join(shown)


def _not_there(facts: Sequence[Fact]) -> str:
    names = list(dict.fromkeys(f.text for f in facts))[:_WORDS_SHOWN]
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not in the passages"


def _too_little(claim: Reading, passages: Sequence[Evidence]) -> str:
    missing = list(dict.fromkeys(missing_words(claim, passages)))
    if missing:
        return f"the passages do not speak of {_listed(missing)}"
    return "no passage says this in one place"


def _citation(match: Match, score: float) -> Citation:
    passage, window = match.evidence.passage, match.window
    lead = len(window.text) - len(window.text.lstrip())
    quote = window.text.strip()
    start_line, end_line = passage.start_line, passage.end_line
    if passage.lines_match:
        start_line = min(end_line, start_line + passage.text.count("\n", 0, window.start + lead))
        end_line = min(end_line, start_line + quote.count("\n"))
    return Citation(
        number=passage.number,
        document_id=passage.document_id,
        path=passage.path,
        page=passage.page,
        page_label=passage.page_label,
        start_line=start_line,
        end_line=end_line,
        lines_match=passage.lines_match,
        heading=passage.heading,
        quote=quote,
        score=score,
        content_hash=passage.content_hash,
    )
