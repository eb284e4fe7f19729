"""Decides before any model runs whether the found chunks can answer the question; never asks a model.

Three things speak for an answer: the nearest chunk is near in meaning, one chunk holds most of the question's words,
and no word that stands out (a name, a number) is missing from all that was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from termrag.analysis import Keyword, keywords, terms
from termrag.records import Hit

_LOOKED_AT = 8  # hits, best first
_TRUSTED = 0.3  # vector weight from which the embedder is taken to read the question's language


@dataclass(frozen=True, slots=True)
class GateDecision:
    """`confidence`, 0 to 1, is how sure it is that the hits hold an answer; `reason` is for the user to read."""

    passes: bool
    reason: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Signals:
    """What the decision rests on, all 0 to 1: the best cosine, the share of the question's words in the best single
    chunk and in all chunks looked at, and the share of the standing-out words that no chunk holds."""

    cosine: float | None
    best: float
    all_of: float
    missing: float
    missing_words: tuple[str, ...]


def gate(question: str, hits: Sequence[Hit], *, strictness: float = 1.0) -> GateDecision:
    """Whether to answer from these hits, best first. `strictness` 0 never refuses, 1 is as calibrated, 2 asks twice
    the odds."""
    if not hits:
        return GateDecision(strictness <= 0, "nothing in the documents resembles the question", 0.0)
    signals = measure(question, hits)
    odds = _odds(signals)
    confidence = round(odds / (1 + odds), 3)
    if strictness <= 0 or odds >= strictness:
        return GateDecision(True, "the documents speak of this", confidence)
    return GateDecision(False, _reason(signals), confidence)


def measure(question: str, hits: Sequence[Hit]) -> Signals:
    """Read the signals from a question and its hits."""
    looked = hits[:_LOOKED_AT]
    languages = tuple(dict.fromkeys(h.chunk.language for h in looked))
    wanted = keywords(question, languages)
    held = [_held(wanted, hit) for hit in looked]
    together = frozenset().union(*held)
    missing = [k for k in wanted if k.word not in together]
    cosines = [h.scores.cosine for h in hits if h.scores.cosine is not None and h.scores.vector_weight >= _TRUSTED]
    return Signals(
        cosine=max(cosines, default=None),
        best=max(_weight(wanted, words) for words in held),
        all_of=_weight(wanted, together),
        missing=max((k.weight for k in missing), default=0.0),
        missing_words=tuple(k.word for k in sorted(missing, key=lambda k: -k.weight)),
    )


def _held(wanted: Sequence[Keyword], hit: Hit) -> frozenset[str]:
    chunk = hit.chunk
    found = set(terms(f"{chunk.title}\n{chunk.heading}\n{chunk.text}", chunk.language).split())
    return frozenset(k.word for k in wanted if k.is_in(found))


def _weight(wanted: Sequence[Keyword], words: frozenset[str]) -> float:
    return sum(k.weight for k in wanted if k.word in words)


def _odds(signals: Signals) -> float:
    """Odds that the hits hold an answer, from a logistic fit over several collections: see bench/grounding.py."""
    if signals.cosine is None:
        return math.exp(9.0 * (signals.best - 0.45))
    return math.exp(14.0 * (signals.cosine - 0.42) + 3.0 * (signals.best - 0.5))


def _reason(signals: Signals) -> str:
    if signals.missing_words:
        shown = ", ".join(f"“{word}”" for word in signals.missing_words[:3])
        return f"the nearest passages do not speak of {shown}"
    return "no passage comes near enough to the question"
