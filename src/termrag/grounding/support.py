"""Decides whether a sentence rests on the passages, and on which span of them; never asks a model to judge.

A sentence is measured against every window of one to three neighbouring sentences of each passage. What it states
exactly (numbers, dates, names, codes) must be there; the rest of its words must agree well enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from termrag.analysis.languages import fold, question_languages
from termrag.grounding.agreement import (
    Fact,
    Match,
    best_match,
    facts_of,
    joined,
    missing_words,
    opposed,
    rival,
    second_match,
    swapped,
)
from termrag.grounding.evidence import Evidence, Reading, evidence, read
from termrag.grounding.flow import flow
from termrag.grounding.phrases import (
    beyond_admission,
    claim_of,
    is_introduction,
    is_question,
    is_small_talk,
    names_columns,
    says_not_found,
)
from termrag.records import Citation, Passage, Sentence, Support

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]

THRESHOLD = 0.5  # a sentence in its own words is supported from this score on
_COPY_THRESHOLD = 0.85  # ... and one that copies from here: what is copied and yet broken was put together anew
_FALSE = 0.3  # the most that a sentence scores which states something the passages do not hold
_BORROWED = 0.45  # ... whose facts stand in the passages, but not together
_OPPOSED = 0.6  # what is left of the score where one side denies what the other says, or has it the other way round
_STRANGER = 0.75  # what is left of the score where the passages do not know what the sentence speaks of
_JOINT = 0.01  # what each seam between copied pieces costs
_UNSURE = (0.3, 0.7)  # scores between these are worth asking the embedder about
_COSINE_WEIGHT, _NEUTRAL_COSINE = 0.5, 0.6  # what its answer adds: weight times (cosine - neutral)
_MOST_GAIN = _COSINE_WEIGHT * (1 - _NEUTRAL_COSINE)
_CAPITALISED_NOUNS = ("de", "lb")
_OF_SCRIPTS = ("en", "ar", "ru", "hi")  # what a text without function words is read as, by its script
_SAMPLE_CHARS = 400
_WORDS_SHOWN = 3
_COMMON_ENDING = re.compile(r"(?:s|ing|ly|ed|ion|ment|ness|ung|heit|keit)\Z")


@dataclass(frozen=True, slots=True)
class _Judgement:
    """`needed` is the score from which the sentence counts as supported."""

    score: float
    matches: tuple[Match, ...]
    reason: str = ""
    needed: float = THRESHOLD


def check(sentence: str, passages: Sequence[Passage], *, embed: Embed | None = None, before: str = "") -> Sentence:
    """Say how one sentence of an answer stands to the passages of its prompt; `before` is the sentence before it.

    At most two citations, best first, a second only for facts that the first lacks; `score` is 0 to 1, supported from
    THRESHOLD on; `reason` says in words what is missing, or why nothing was checked. `embed` gives unit vectors and is
    asked only about sentences that words alone leave open.
    """
    if reason := _neutral_reason(sentence, before):
        return Sentence(sentence, Support.NEUTRAL, reason=reason)
    claim = beyond_admission(sentence) or claim_of(sentence)
    language = _language(_sample(passages) or claim)
    reading = read(claim, language)
    facts = facts_of(reading, nouns_are_capitalised=language in _CAPITALISED_NOUNS)
    if not facts and (not reading.words or is_small_talk(sentence)):
        return Sentence(sentence, Support.NEUTRAL, reason="states nothing that could be checked")
    judgement = _judge(reading, facts, [evidence(p, language) for p in passages], embed)
    if is_introduction(sentence) and not (judgement.score <= _FALSE and facts):
        return Sentence(sentence, Support.NEUTRAL, reason="announces what follows")
    score = round(judgement.score, 3)
    if score < judgement.needed or not judgement.matches:
        return Sentence(sentence, Support.UNSUPPORTED, score=score, reason=judgement.reason)
    citations = tuple(_citation(m, score) for m in judgement.matches)
    return Sentence(sentence, Support.SUPPORTED, citations, score)


@lru_cache(maxsize=32)  # of the passages, for each sentence of an answer
def _language(text: str) -> str:
    """The language whose function words the text has: quick, and enough to choose a stemmer."""
    return question_languages([fold(word.casefold()) for word in text.split()], _OF_SCRIPTS)[0]


def _sample(passages: Sequence[Passage]) -> str:
    return " ".join(passage.text[:_SAMPLE_CHARS] for passage in passages)


def prepare(passages: Sequence[Passage]) -> None:
    """Read the passages ahead of the first sentence, so that no check delays the text that streams behind it."""
    language = _language(_sample(passages))
    for passage in passages:
        evidence(passage, language)


def remembering(embed: Embed) -> Embed:
    """The same embedder, asked once for each text: sentences of one answer are held against the same few windows."""
    known: dict[str, NDArray[np.float32]] = {}

    def embed_new(texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    return embed_new


def unchecked(sentence: str) -> Sentence:
    """A sentence of an answer that was asked for without documents."""
    return Sentence(sentence, Support.NEUTRAL, reason="answered without documents")


def _neutral_reason(sentence: str, before: str) -> str:
    if not sentence.strip():
        return "empty"
    if names_columns(sentence, before):
        return "names the columns of a table"
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
    if unknown:
        return _Judgement(min(_score(claim, first).score, _FALSE), (), _not_there(unknown))
    if first.missing and not _only_names_nearby(first):
        judgement = _judge_apart(claim, first, passages)
    else:
        judgement = _score(claim, first)
        judgement = _with_vectors(judgement, claim, matches, embed)
    if judgement.score >= judgement.needed and (conflict := _conflict(claim, first)):
        score = min(judgement.score * _OPPOSED, judgement.needed - 0.01)
        return replace(judgement, score=score, matches=(), reason=conflict)
    if (stranger := _stranger(claim, passages)) and not facts:
        judgement = replace(
            judgement, score=judgement.score * _STRANGER, reason=f"the passages do not speak of “{stranger}”"
        )
    return judgement if judgement.reason else replace(judgement, reason=_too_little(claim, passages))


def _judge_apart(claim: Reading, first: Match, passages: Sequence[Evidence]) -> _Judgement:
    """Facts that stand in the passages, but not all in one window: two windows may carry the sentence together."""
    second = second_match(claim, first, passages)
    lacking = [f for f in first.missing if second is None or f in second.missing]
    lacking = [f for f in lacking if f.kind != "name"]
    judgement = _score(claim, first, second)
    if second is None or lacking:
        texts = _listed([f.text for f in lacking or first.missing])
        reason = f"{texts} stands elsewhere in the passages, not with the rest"
        return replace(judgement, score=min(judgement.score, _BORROWED), matches=(), reason=reason)
    return judgement


def _only_names_nearby(match: Match) -> bool:
    """A name may stand anywhere in the passage: sentences go on with "it" and "she"."""
    return all(f.kind == "name" and f.is_in(match.evidence.whole, match.evidence.context) for f in match.missing)


def _score(claim: Reading, first: Match, second: Match | None = None) -> _Judgement:
    """Words count most, then how unbroken the sentence is, then which words stand side by side."""
    words, order = joined(claim, first, second) if second else (first.words, first.order)
    matches = (first, second) if second else (first,)
    laid = flow(claim.text, [m.evidence.passage.text for m in matches])
    score = 0.6 * words + 0.3 * laid.unity + 0.1 * order - _JOINT * laid.joints
    # Two windows are two pieces by right.
    needed = THRESHOLD + (0 if second else _COPY_THRESHOLD - THRESHOLD) * laid.copied
    return _Judgement(max(0.0, min(1.0, score)), matches, needed=needed)


def _conflict(claim: Reading, match: Match) -> str:
    """What the window says against the claim, in words; empty if nothing. A literal copy contradicts nothing."""
    if " ".join(claim.text.split()).rstrip(".") in " ".join(match.window.text.split()):
        return ""
    if denied := opposed(claim, match.window):
        return f"the passages and the sentence disagree on whether “{denied}” holds"
    if names := swapped(claim, match.window):
        return f"the passages have “{names[0]}” and “{names[1]}” the other way round"
    if numbers := rival(claim, match):
        return f"the passages say “{numbers[1]}” here, not “{numbers[0]}”"
    return ""


def _stranger(claim: Reading, passages: Sequence[Evidence]) -> str:
    """The word a sentence opens with, if it looks like a name and no passage holds it: who it speaks of is unknown."""
    first = claim.words[0] if claim.words else None
    if first is None or first.start > 0 or not first.text[0].isupper() or _COMMON_ENDING.search(first.text):
        return ""
    return first.text if first.text in missing_words(claim, passages) else ""


def _with_vectors(judgement: _Judgement, claim: Reading, matches: Sequence[Match], embed: Embed | None) -> _Judgement:
    """Let the embedder speak where words alone leave it open, and where it could still tip the scales."""
    low, high = _UNSURE
    if embed is None or not low <= judgement.score < high or judgement.score + _MOST_GAIN < judgement.needed:
        return judgement
    vectors = embed([claim.text, *(m.window.text.strip() for m in matches[:3])])
    cosine = float((vectors[1:] @ vectors[0]).max())
    score = judgement.score + _COSINE_WEIGHT * (cosine - _NEUTRAL_COSINE)
    return replace(judgement, score=max(0.0, min(1.0, score)))


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
        collection=passage.collection,
    )
