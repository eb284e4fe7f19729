"""Hits into numbered passages: neighbours under one heading joined, within a budget, in the order of the documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from termrag.config import RetrievalSettings
from termrag.records import Hit, IndexedChunk, Passage
from termrag.stores import Searchable

_TABLE_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?")


def passages(
    hits: Sequence[Hit],
    *,
    store: Searchable,
    settings: RetrievalSettings,
    count_tokens: Callable[[str], int],
    limit: int | None = None,
) -> list[Passage]:
    """Return at most `limit` passages (`settings.passages` if None) of together at most `settings.passage_tokens`,
    ordered by document and position and numbered from 1.

    Hits next to each other under one heading and on one page become one passage. What the budget leaves is given to
    the neighbours of the best ones. The best hit goes in even if it alone is over the budget.
    """
    limit = settings.passages if limit is None else limit
    budget = _Budget(settings.passage_tokens, count_tokens)
    groups: list[_Group] = []
    for hit in hits:
        group = next((group for group in groups if group.is_next_to(hit.chunk)), None)
        if group is None and len(groups) == limit:
            continue
        if not budget.take(hit.chunk.text, whatever=not groups):
            continue
        if group is None:
            groups.append(group := _Group(hit.scores.fused))
        group.chunks[hit.chunk.position] = hit.chunk
    around = _around(groups, store)
    for group in groups:
        _widen(group, groups, around, budget)
    groups = _joined(groups)
    return [group.passage(number) for number, group in enumerate(sorted(groups, key=_Group.place), 1)]


class _Budget:
    def __init__(self, tokens: int, count: Callable[[str], int]) -> None:
        self._left = tokens
        self._count = count

    def take(self, text: str, *, whatever: bool = False) -> bool:
        tokens = self._count(text)
        if tokens > self._left and not whatever:
            return False
        self._left -= tokens
        return True


@dataclass(slots=True)
class _Group:
    """Chunks of one document that follow each other, by position."""

    score: float
    chunks: dict[int, IndexedChunk] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[int, int]:
        return min(self.chunks), max(self.chunks)

    def place(self) -> tuple[str, int]:
        return next(iter(self.chunks.values())).document_id, self.ends[0]

    def is_next_to(self, chunk: IndexedChunk) -> bool:
        first, last = self.ends
        return chunk.position in (first - 1, last + 1) and self.goes_with(chunk)

    def goes_with(self, chunk: IndexedChunk) -> bool:
        own = next(iter(self.chunks.values()))
        return (own.document_id, own.content_hash, own.heading, own.page) == (
            chunk.document_id,
            chunk.content_hash,
            chunk.heading,
            chunk.page,
        )

    def passage(self, number: int) -> Passage:
        chunks = [self.chunks[position] for position in sorted(self.chunks)]
        first, last = chunks[0], chunks[-1]
        return Passage(
            number=number,
            document_id=first.document_id,
            path=first.path,
            title=first.title,
            heading=first.heading,
            page=first.page,
            page_label=first.page_label,
            start_line=first.start_line,
            end_line=last.end_line,
            lines_match=first.lines_match,
            text=_text(chunks),
            content_hash=first.content_hash,
            media_type=first.media_type,
            score=self.score,
            chunk_ids=tuple(chunk.chunk_id for chunk in chunks),
            collection=first.collection,
        )


def _around(groups: Sequence[_Group], store: Searchable) -> dict[tuple[str, int], IndexedChunk]:
    """What stands before and behind each group, by document and position."""
    places: dict[str, set[int]] = {}
    for group in groups:
        document_id, first = group.place()
        places.setdefault(document_id, set()).update({first - 1, group.ends[1] + 1} - {-1})
    return {(chunk.document_id, chunk.position): chunk for chunk in store.chunks_at(places)} if places else {}


def _widen(
    group: _Group, groups: Sequence[_Group], around: Mapping[tuple[str, int], IndexedChunk], budget: _Budget
) -> None:
    """Add what follows and what precedes, one chunk each, if it belongs to the same section and fits."""
    first, last = group.ends
    document_id, _ = group.place()
    taken = {position for other in groups if other.place()[0] == document_id for position in other.chunks}
    for position in (last + 1, first - 1):
        chunk = around.get((document_id, position)) if position not in taken else None
        if chunk is not None and group.goes_with(chunk) and budget.take(chunk.text):
            group.chunks[position] = chunk


def _joined(groups: Sequence[_Group]) -> list[_Group]:
    """Groups that have grown together become one, with the better score."""
    joined: list[_Group] = []
    for group in sorted(groups, key=_Group.place):
        before = joined[-1] if joined else None
        if before is not None and before.is_next_to(group.chunks[group.ends[0]]):
            before.chunks.update(group.chunks)
            before.score = max(before.score, group.score)
        else:
            joined.append(group)
    return joined


def _text(chunks: Sequence[IndexedChunk]) -> str:
    """The texts in a row, a table's header only once."""
    text = chunks[0].text
    for before, chunk in pairwise(chunks):
        rows = _continued_rows(before.text, chunk.text)
        if rows is not None:
            text = text.rstrip() + "\n" + rows
        else:
            gap = min(max(chunk.start_line - before.end_line, 0), 2)
            text = text.rstrip() + (" ", "\n", "\n\n")[gap] + chunk.text.lstrip("\n")
    return text


def _continued_rows(before: str, after: str) -> str | None:
    """The rows of a table that goes on in the next chunk, without the header it repeats; None if it is none."""
    old, new = before.split("\n"), after.split("\n")
    if (
        len(new) < 3
        or not _TABLE_RULE.fullmatch(new[1].strip())
        or new[:2] not in (old[i : i + 2] for i in range(len(old)))
    ):
        return None
    return "\n".join(new[2:])
