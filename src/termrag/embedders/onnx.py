"""Sentence embeddings on the CPU by onnxruntime, from model.onnx."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from termrag.embedders.tokens import cannot_load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OnnxNetwork:
    """The network of the model `name` in `folder`. `threads` 0 means one per core that this process may use.

    Raises EngineFailed for a file that cannot be loaded.
    """

    # Larger batches are slower on a CPU and hold more memory: attention of a batch should stay in the cache.
    batch = 4

    def __init__(self, name: str, folder: Path, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Waiting threads that spin take the core from whoever could finish the work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = folder / "model.onnx"
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's errors have no common base of their own
            raise cannot_load(name, file, error) from error

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        result = self._session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})
        vectors: NDArray[np.float32] = result[0]
        return vectors

    def trim(self) -> None:
        """Nothing to do: the arena of the longest texts is what the next ones need."""


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
