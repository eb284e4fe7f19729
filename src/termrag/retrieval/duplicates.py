"""Which chunks say again what another one has said."""

from __future__ import annotations

import re
from functools import lru_cache

from termrag.records import IndexedChunk

_SHINGLE_WORDS = 3
_SAME = 0.9  # Jaccard similarity of shingles from which two texts count as one
_WORD = re.compile(r"\w+")


class Seen:
    """Chunks met so far. Texts are compared by their runs of three words; figures count, so that two years of one
    form are two texts."""

    def __init__(self) -> None:
        self._hashes: set[str] = set()
        self._shingles: list[frozenset[int]] = []

    def is_new(self, chunk: IndexedChunk) -> bool:
        """Whether nothing like this chunk was met before; remembers it if so."""
        if chunk.text_hash in self._hashes:
            return False
        own = shingles(chunk.text)
        if any(_alike(own, other) for other in self._shingles):
            return False
        self._hashes.add(chunk.text_hash)
        self._shingles.append(own)
        return True


@lru_cache(maxsize=1024)
def shingles(text: str) -> frozenset[int]:
    """The runs of three words of a text as hashes; of characters where it has no spaces to speak of."""
    parts: list[str] = _WORD.findall(text.casefold())
    if len(parts) * 12 < len(text):
        parts = list("".join(parts))
    count = max(1, len(parts) - _SHINGLE_WORDS + 1)
    return frozenset(hash(tuple(parts[i : i + _SHINGLE_WORDS])) for i in range(count))


def _alike(first: frozenset[int], second: frozenset[int]) -> bool:
    small, large = sorted((len(first), len(second)))
    if small < _SAME * large:
        return False
    common = len(first & second)
    return common >= _SAME * (small + large - common)
