"""Points of a collection page by page, and documents whole: each as it was or as it is, once.

Qdrant keeps no snapshots. A document is met where its first chunk is; while it is replaced, or for good where a writer
was killed between showing the new points and deleting the old, there are two of these.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from termrag.stores.collection import Collection
from termrag.stores.conditions import Condition, equals, one_of, visible
from termrag.stores.points import Held, newest

PAGE = 1000  # points per page of a scroll
DOCUMENTS = 32  # read whole together
_LOOKS = 5  # at a document that is being replaced
_PAUSE_S = 0.2  # longer than another machine takes from showing the new points to deleting the old
_END = "end"


def documents(
    collection: Collection, after: str, fields: list[str], *, with_dense: bool = False
) -> Iterator[tuple[list[Held], str]]:
    """Some documents at a time, whole, and where the next begin."""
    following: str | None = after or None
    while following != _END:
        heads, behind = collection.page(_heads(), ["document_id"], DOCUMENTS, following)
        following = behind or _END
        names = list(dict.fromkeys(head.payload["document_id"] for head in heads))
        if names:
            found = whole(collection, names, fields, with_dense=with_dense)
            left_out = _met_elsewhere(collection, heads, found)
            yield [held for held in found if held.payload["document_id"] not in left_out], following


def whole(collection: Collection, names: Sequence[str], fields: list[str], *, with_dense: bool = False) -> list[Held]:
    """All points of documents. One that is replaced while its pages are read is looked at again."""
    read: list[Held] = []
    left = list(names)
    for look in range(_LOOKS):
        found: dict[str, list[Held]] = {}
        where = visible(one_of("document_id", left))
        for held in newest(every(collection, where, [*fields, "chunks"], with_dense=with_dense)):
            found.setdefault(held.payload["document_id"], []).append(held)
        torn = [each for each, points in found.items() if points[0].payload["chunks"] not in (0, len(points))]
        for each, points in found.items():
            if each not in torn or look == _LOOKS - 1:
                read += points
        left = torn
        if not left:
            break
    return read


def every(collection: Collection, where: Condition, fields: list[str], *, with_dense: bool = False) -> list[Held]:
    """All points that meet a condition."""
    return [held for page in pages(collection, where, fields, with_dense=with_dense) for held in page]


def pages(
    collection: Collection, where: Condition, fields: list[str], *, with_dense: bool = False
) -> Iterator[list[Held]]:
    """The same, as they are read."""
    following: str | None = None
    while True:
        held, following = collection.page(where, fields, PAGE, following, with_dense=with_dense)
        yield held
        if following is None:
            return


def _met_elsewhere(collection: Collection, heads: Sequence[Held], found: Sequence[Held]) -> set[str]:
    """The documents that another page brings: that of the newer first chunk, where the older is only left over, and a
    page still to come, where the document was replaced since this one was read."""
    here = {head.id for head in heads}
    newer = {
        held.payload["document_id"]: held.id for held in found if held.payload["position"] == 0 and held.id not in here
    }
    if not newer:
        return set()
    if collection.is_shared:
        time.sleep(_PAUSE_S)  # whoever is replacing it now has deleted the old chunk then
    there = every(collection, _heads(one_of("document_id", list(newer))), ["document_id"])
    left_over = {head.payload["document_id"] for head in there if head.id in here}
    return {name for name, at in newer.items() if name in left_over or at > heads[-1].id}


def _heads(*must: Condition) -> Condition:
    return visible(equals("position", 0), *must)
