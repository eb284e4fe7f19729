"""The contract of everything that turns texts into vectors, and the one lazy factory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from termrag.errors import NotFound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.config import ModelSettings, OpenAISettings
    from termrag.models import Shelf


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


def open_embedder(models: ModelSettings, openai: OpenAISettings, shelf: Shelf, environ: Mapping[str, str]) -> Embedder:
    """The embedder that the settings name, not loaded. Raises NotFound for an unknown name, ConfigError for an
    endpoint without a URL. TERMRAG_OPENAI_API_KEY of `environ` is the endpoint's key."""
    name = models.embedding
    model = shelf.known(name)
    if model.role != "embedding":
        raise NotFound(f"{name} is a {model.role} model and makes no vectors", "termrag models list")
    from termrag.embedders.onnx import OnnxEmbedder

    return OnnxEmbedder(
        name,
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        max_tokens=model.max_tokens,
        locate=lambda: shelf.locate(name, "onnx"),
        threads=models.threads,
    )
