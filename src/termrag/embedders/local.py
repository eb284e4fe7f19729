"""An embedding model that runs in this process: tokenizer, batches and lifetime; the network itself is handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from termrag.embedders.tokens import Tokens, length_sorted_batches, padded
from termrag.errors import EngineFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 4  # of a network that is not loaded yet


class Network(Protocol):
    """A loaded network. `batch` is how many texts it runs fastest at once."""

    batch: int

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """One unit vector per row: float32, shape (rows, dimension). `ids` and `mask` have shape (rows, tokens); the
        mask is 1 where there is a token. Raises RuntimeError if it cannot run."""

    def trim(self) -> None:
        """Give back memory that only the last texts needed."""


class LocalEmbedder:
    """A local embedding model. Tokenizer and network load apart, each on first use: counting needs no network.

    `locate` gives the model's folder and raises ModelMissing; `open_network` loads from it and raises EngineFailed. The
    network `is_parallel` if several threads may run it at once.
    """

    def __init__(
        self,
        name: str,
        *,
        fingerprint: str,
        dimension: int,
        max_tokens: int,
        locate: Callable[[], Path],
        open_network: Callable[[str, Path], Network],
        is_parallel: bool = False,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.max_tokens = max_tokens
        self.is_parallel = is_parallel
        self._locate = locate
        self._open_network = open_network
        self._tokens = Tokens(name, max_tokens, locate)
        self._network: Network | None = None
        self._loading = threading.Lock()

    @property
    def batch(self) -> int:
        network = self._network  # another thread may free it meanwhile
        return network.batch if network else _BATCH

    def load(self) -> None:
        """Load tokenizer and network; idempotent. Raises ModelMissing or EngineFailed."""
        self._loaded()

    def _loaded(self) -> Network:
        with self._loading:
            self._tokens.load()
            if self._network is None:
                self._network = self._open_network(self.name, self._locate())
            return self._network

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32, shape (len(texts), dimension), in input order; texts longer than
        `max_tokens` count by their beginning. Raises ModelMissing, or EngineFailed if the network cannot run."""
        import numpy as np

        network = self._loaded()
        rows = [self._tokens.ids(text) for text in texts]
        vectors = np.empty((len(rows), self.dimension), np.float32)
        try:
            for batch in length_sorted_batches([len(row) for row in rows], network.batch):
                vectors[batch] = network.run(*padded([rows[index] for index in batch]))
        except RuntimeError as error:
            raise EngineFailed(f"{self.name} failed while embedding: {error}", "termrag doctor") from error
        network.trim()
        return vectors

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, without special tokens, not truncated; loads the tokenizer alone."""
        return self._tokens.count(text)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of every token as character offsets of `text`, without special tokens, not truncated."""
        return self._tokens.offsets(text)

    def close(self) -> None:
        """Free the model; idempotent."""
        self._tokens.close()
        self._network = None
