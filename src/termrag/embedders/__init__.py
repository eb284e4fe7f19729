"""The contract of everything that turns texts into vectors, and the one lazy factory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """One embedding model.

    `fingerprint` names everything that changes vectors (model, weights hash, pooling, prefixes, length limit): two
    vectors may be compared only under one fingerprint. `dimension` and `max_tokens` are known without loading.
    """

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int

    def load(self) -> None:
        """Make ready; idempotent. Raises ModelMissing or EngineFailed."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32, shape (len(texts), dimension), in input order; texts longer than
        `max_tokens` count by their beginning. Raises EngineFailed if the model cannot run."""

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by this model's tokenizer, without special tokens, not truncated."""

    def close(self) -> None:
        """Free the model; idempotent."""
