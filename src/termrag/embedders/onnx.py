"""Sentence embeddings on the CPU by onnxruntime, from a folder with model.onnx and tokenizer.json."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.embedders.tokens import Tokens, cannot_load, length_sorted_batches, padded
from termrag.errors import EngineFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Larger batches are slower on a CPU and hold more memory: attention of a batch should stay in the cache.
_BATCH = 4


class OnnxEmbedder:
    """A local embedding model. Tokenizer and network load apart, each on first use: counting needs no network.

    `locate` gives the model's folder; it is called on first use and raises ModelMissing. `threads` 0 means one per
    core that this process may use.
    """

    def __init__(
        self,
        name: str,
        *,
        fingerprint: str,
        dimension: int,
        max_tokens: int,
        locate: Callable[[], Path],
        threads: int = 0,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.max_tokens = max_tokens
        self._locate = locate
        self._threads = threads
        self._tokens = Tokens(name, max_tokens, locate)
        self._session: Any = None

    def load(self) -> None:
        """Load tokenizer and network; idempotent. Raises ModelMissing or EngineFailed."""
        self._tokens.load()
        if self._session is None:
            self._session = self._open_session()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32, shape (len(texts), dimension), in input order; texts longer than
        `max_tokens` count by their beginning. Raises ModelMissing, or EngineFailed if the network cannot run."""
        import numpy as np

        self.load()
        rows = [self._tokens.ids(text) for text in texts]
        vectors = np.empty((len(rows), self.dimension), np.float32)
        for batch in length_sorted_batches([len(row) for row in rows], _BATCH):
            vectors[batch] = self._run([rows[index] for index in batch])
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
        self._session = None

    def _run(self, rows: list[list[int]]) -> NDArray[np.float32]:
        ids, mask = padded(rows)
        try:
            result = self._session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})
        except RuntimeError as error:
            raise EngineFailed(f"{self.name} failed while embedding: {error}", "termrag doctor") from error
        vectors: NDArray[np.float32] = result[0]
        return vectors

    def _open_session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads or _cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Waiting threads that spin take the core from whoever could finish the work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = self._locate() / "model.onnx"
        try:
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's errors have no common base of their own
            raise cannot_load(self.name, file, error) from error


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
