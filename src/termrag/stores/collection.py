"""What the Qdrant store needs of a collection, wherever it lies; conditions and payloads are plain JSON data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from termrag.stores.conditions import Condition
from termrag.stores.points import Held, Point, Sparse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEYWORDS = ("document_id", "revision", "path", "within", "endings")
NUMBERS = ("position", "modified_ns", "staged")


class Collection(Protocol):
    """One collection with the vectors `dense` (cosine) and `words` (inverse document frequency is applied to it).
    Every call raises StoreUnavailable, StoreUnreachable or StoreBusy; every write may be repeated."""

    @property
    def place(self) -> str:
        """Folder or URL, for messages; never with a secret."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines may use it."""

    def note(self) -> dict[str, Any] | None:
        """What was noted at the collection; None where there is none."""

    def create(self, dimension: int, note: Mapping[str, Any]) -> None:
        """Make it, with payload indexes for KEYWORDS and NUMBERS; finishes what another began."""

    def renote(self, note: Mapping[str, Any]) -> None:
        """Replace what is noted."""

    @property
    def may_show_staged(self) -> bool:
        """Whether a reader may meet staged points: false where `writing` holds readers off and none were left."""

    def writing(self) -> AbstractContextManager[None]:
        """Within it readers of this process see nothing half done, where the collection can hold them off."""

    def upsert(self, points: Sequence[Point], only: Condition | None = None) -> None:
        """Put points; of those that are there already only the ones for which `only` holds."""

    def set_payload(self, condition: Condition, payload: Mapping[str, Any]) -> None: ...

    def show(self, shown: Condition, removed: Condition) -> None:
        """Take `staged` from the points of `shown`, then delete those of `removed`."""

    def delete(self, condition: Condition) -> None: ...

    def put_dense(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Give points, by id, their dense vector."""

    def put_words(self, weights: Mapping[str, Sparse]) -> None:
        """Give points, by id, their words."""

    def nearest(
        self, query: NDArray[np.float32] | Sparse, condition: Condition, limit: int, fields: list[str], *, exact: bool
    ) -> list[Held]:
        """The best points, best first: dense for an array, words for weights."""

    def page(
        self, condition: Condition, fields: list[str], limit: int, after: str | None, *, with_dense: bool = False
    ) -> tuple[list[Held], str | None]:
        """Points in the order of their ids, and where the next page begins; None at the end."""

    def values(self, field: str, condition: Condition) -> dict[str, int]:
        """Every value of an indexed field among the points, with how many have it."""

    def count(self, condition: Condition) -> int: ...

    @property
    def vector_index(self) -> str:
        """The kind of index over the vectors; empty where all of them are compared."""

    def segments(self) -> tuple[int, int, int]:
        """(parts of the files that are better merged, points outside a vector index, bytes on this machine's disk)."""

    def optimize(self, *, force: bool) -> bool:
        """Merge and index what is due (all, if forced), where it is not done by itself; True if anything was done."""

    def interrupt(self) -> None:
        """Let an `optimize` that waits give up; it raises StoreUnavailable then."""

    def drop(self) -> None:
        """Delete the collection."""

    def close(self) -> None: ...
