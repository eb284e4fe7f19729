"""Decides before any model runs whether the found chunks can answer the question; never asks a model.

Three things speak for an answer: the nearest chunk is near in meaning, one chunk holds most of the question's words,
and both searches put the same chunk first. Meaning counts only as far as the embedder reads the language.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from termrag.analysis import Keyword, keywords, terms
from termrag.records import Hit

_LOOKED_AT = 8  # hits, best first
_FULL_TRUST = 0.5  # vector weight at which the embedder is taken to read the question's language well
_REFUSES_ALL = 12.0  # log odds that no strictness passes


@dataclass(frozen=True, slots=True)
class GateDecision:
    """`confidence`, 0 to 1, is how sure it is that the hits hold an answer; `reason` is for the user to read."""

    passes: bool
    reason: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Signals:
    """What the decision rests on.

    `cosine` is the best, `background` the eighth best (in a library of a dozen documents it is low); `trust`, 0 to 1,
    is how far cosines mean anything. `share` and `held` are the weighted share and the count of the question's words
    in the best single chunk; `agreed` says that both searches put the same chunk first. `missing` are the question's
    words that no chunk looked at holds, weightiest first.
    """

    cosine: float
    background: float
    trust: float
    share: float
    held: int
    agreed: bool
    missing: tuple[str, ...]


def gate(question: str, hits: Sequence[Hit], *, strictness: float = 1.0) -> GateDecision:
    """Whether to answer from these hits, best first. `strictness` 0 never refuses, 1 is as calibrated, 2 asks for
    twice the odds that the hits hold an answer."""
    if not hits:
        return GateDecision(strictness <= 0, "nothing in the documents resembles the question", 0.0)
    signals = measure(question, hits)
    odds = math.exp(min(_REFUSES_ALL, log_odds(signals)))
    confidence = round(odds / (1 + odds), 3)
    if odds >= strictness:
        return GateDecision(True, "the documents speak of this", confidence)
    return GateDecision(False, _reason(signals), confidence)


def measure(question: str, hits: Sequence[Hit]) -> Signals:
    """Read the signals from a question and its hits."""
    looked = hits[:_LOOKED_AT]
    wanted = keywords(question, tuple(dict.fromkeys(h.chunk.language for h in looked)))
    held = [_held(wanted, hit) for hit in looked]
    cosines = sorted((h.scores.cosine for h in hits if h.scores.cosine is not None), reverse=True)
    missing = sorted((k for k in wanted if not any(k in found for found in held)), key=lambda k: -k.weight)
    return Signals(
        cosine=cosines[0] if cosines else 0.0,
        background=cosines[min(_LOOKED_AT, len(cosines)) - 1] if cosines else 0.0,
        trust=min(1.0, hits[0].scores.vector_weight / _FULL_TRUST) if cosines else 0.0,
        share=max(sum(k.weight for k in found) for found in held),
        held=max(len(found) for found in held),
        agreed=any(h.scores.cosine_rank == 1 == h.scores.bm25_rank for h in hits),
        missing=tuple(k.word for k in missing),
    )


def log_odds(signals: Signals) -> float:
    """Log odds that the hits hold an answer: a logistic fit over eight collections of 12 to 5,183 documents, rounded;
    see bench/grounding.py. Where the embedder does not read the language, words alone decide."""
    words = 2.0 * math.log1p(signals.held)
    alone = 6.0 * signals.share + 1.3 * words + 1.8 * signals.agreed - 5.4
    meaning = 10.0 * signals.cosine + 3.0 * max(0.0, 0.25 - signals.background)
    together = meaning + 3.0 * signals.share + words + 1.0 * signals.agreed - 8.75
    weight = signals.trust**2
    return weight * together + (1 - weight) * alone


def _held(wanted: Sequence[Keyword], hit: Hit) -> frozenset[Keyword]:
    chunk = hit.chunk
    name = chunk.path.rsplit("/", 1)[-1]
    found = set(terms(f"{name}\n{chunk.title}\n{chunk.heading}\n{chunk.text}", chunk.language).split())
    return frozenset(keyword for keyword in wanted if keyword.is_in(found))


def _reason(signals: Signals) -> str:
    if signals.missing:
        shown = ", ".join(f"“{word}”" for word in signals.missing[:3])
        return f"the nearest passages do not speak of {shown}"
    return "no passage comes near enough to the question"
