"""How much of a sentence is copied from a text, and from how many pieces it is put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff]|[^\W_]+")
_COPIED = 3  # words in a row from which one speaks of copying
_PATCHWORK = 8  # words that a sentence must have to be put together from copies


@dataclass(frozen=True, slots=True)
class Flow:
    """`unity` is 1 for one unbroken copy and falls to 0 as every word comes from elsewhere; `copied` is the share of
    words in runs of three and more, 0 for short sentences; `joints` counts the seams."""

    unity: float
    copied: float
    joints: int


def flow(sentence: str, sources: Sequence[str]) -> Flow:
    """Lay a sentence out in the longest runs of words that the sources hold, from left to right."""
    words = _TOKEN.findall(sentence.casefold())
    if not words:
        return Flow(1.0, 0.0, 0)
    runs = _runs(words, " | ".join(f" {' '.join(_TOKEN.findall(source.casefold()))} " for source in sources))
    copied = sum(run for run in runs if run >= _COPIED) / len(words) if len(words) >= _PATCHWORK else 0.0
    return Flow(1 - len(runs) / len(words), copied, len(runs) - 1)


def _runs(words: Sequence[str], source: str) -> list[int]:
    """Lengths of the runs; 0 for a word that the source does not hold."""
    runs: list[int] = []
    start = 0
    while start < len(words):
        end = start
        while end < len(words) and f" {' '.join(words[start : end + 1])} " in source:
            end += 1
        runs.append(end - start)
        start = max(end, start + 1)
    return runs
