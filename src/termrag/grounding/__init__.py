"""Trust, decided by code: whether to answer, which sentence rests on which passage, and what the answer is worth.

Everything here is deterministic and says its reasons; nothing knows of engines, stores or faces.
"""

from __future__ import annotations

from termrag.grounding.cleaning import Cleaner
from termrag.grounding.gate import GateDecision, gate
from termrag.grounding.sentences import SentenceStream, split
from termrag.grounding.support import THRESHOLD, Embed, check, prepare, remembering, unchecked
from termrag.grounding.verdict import cited, marks, verdict

__all__ = [
    "THRESHOLD",
    "Cleaner",
    "Embed",
    "GateDecision",
    "SentenceStream",
    "check",
    "cited",
    "gate",
    "marks",
    "prepare",
    "remembering",
    "split",
    "unchecked",
    "verdict",
]
