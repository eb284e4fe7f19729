"""Leases as points that no reader sees: who may write to what, until when; decided by one conditional write."""

from __future__ import annotations

import time

from termrag.stores import Lease
from termrag.stores.collection import Collection
from termrag.stores.conditions import equals
from termrag.stores.points import Point, Sparse, point_id


def take_lease(collection: Collection, name: str, holder: str, until: float) -> Lease:
    """See `Store.take_lease`."""
    payload = {"staged": 1, "lease": name, "holder": holder, "until": until}
    is_free = {"should": [equals("holder", holder), {"key": "until", "range": {"lt": time.time()}}]}
    collection.upsert([Point(point_id(name, "lease"), payload, Sparse([], []), None)], only=is_free)
    held, _ = collection.page({"must": [equals("lease", name)]}, ["holder", "until"], 1, None)
    return Lease(name, held[0].payload["holder"], held[0].payload["until"]) if held else Lease(name, holder, until)


def drop_lease(collection: Collection, name: str, holder: str) -> None:
    """See `Store.drop_lease`."""
    collection.delete({"must": [equals("lease", name), equals("holder", holder)]})
