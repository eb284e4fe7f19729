"""Sentence embeddings on the CPU by onnxruntime, from a folder with model.onnx and tokenizer.json."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        self._tokenizer: Any = None
        self._session: Any = None

    def load(self) -> None:
        """Load tokenizer and network; idempotent. Raises ModelMissing or EngineFailed."""
        self._open_tokenizer()
        self._open_session()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32, shape (len(texts), dimension), in input order; texts longer than
        `max_tokens` count by their beginning. Raises ModelMissing, or EngineFailed if the network cannot run."""
        import numpy as np

        self.load()
        rows = [self._token_ids(text) for text in texts]
        vectors = np.empty((len(rows), self.dimension), np.float32)
        for batch in length_sorted_batches([len(row) for row in rows], _BATCH):
            vectors[batch] = self._run([rows[index] for index in batch])
        return vectors

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, without special tokens, not truncated; loads the tokenizer alone."""
        return len(self._encode(text, special=False))

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of every token as character offsets of `text`, without special tokens, not truncated."""
        offsets: list[tuple[int, int]] = self._encode(text, special=False).offsets
        return offsets

    def close(self) -> None:
        """Free the model; idempotent."""
        self._tokenizer = self._session = None

    def _token_ids(self, text: str) -> list[int]:
        ids: list[int] = self._encode(text, special=True).ids
        if len(ids) > self.max_tokens:
            return [*ids[: self.max_tokens - 1], ids[-1]]  # the last one closes the text
        return ids

    def _encode(self, text: str, *, special: bool) -> Any:
        tokenizer = self._open_tokenizer()
        try:
            return tokenizer.encode(text, add_special_tokens=special)
        except TypeError:  # lone surrogates, as in a file name that is not UTF-8; each becomes one character
            return tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=special)

    def _run(self, rows: list[list[int]]) -> NDArray[np.float32]:
        import numpy as np

        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        try:
            result = self._session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})
        except RuntimeError as error:
            raise EngineFailed(f"{self.name} failed while embedding: {error}", "termrag doctor") from error
        vectors: NDArray[np.float32] = result[0]
        return vectors

    def _open_tokenizer(self) -> Any:
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            file = self._locate() / "tokenizer.json"
            try:
                tokenizer = Tokenizer.from_file(str(file))
            except Exception as error:  # the library raises bare Exception
                raise self._broken(file, error) from error
            # The file asks for padding and truncation to 128.
            tokenizer.no_padding()
            tokenizer.no_truncation()
            self._tokenizer = tokenizer
        return self._tokenizer

    def _open_session(self) -> None:
        if self._session is not None:
            return
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads or _cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Waiting threads that spin take the core from whoever could finish the work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = self._locate() / "model.onnx"
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's errors have no common base of their own
            raise self._broken(file, error) from error

    def _broken(self, file: Path, error: Exception) -> EngineFailed:
        words = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return EngineFailed(
            f"{file} cannot be loaded: {words}", f"termrag models rm {self.name} && termrag models pull {self.name}"
        )


def length_sorted_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indexes of texts in batches of like length, longest first: little padding, and the most memory is asked for
    once, at the start."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + size] for start in range(0, len(order), size)]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
