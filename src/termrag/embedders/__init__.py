"""The contract of everything that turns texts into vectors, and the one lazy factory."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from termrag.errors import ConfigError, NotFound, UnfitVector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.config import ModelSettings, OpenAISettings
    from termrag.embedders.local import Network
    from termrag.models import CatalogueModel, Shelf


class Embedder(Protocol):
    """One embedding model. `max_tokens` is its window, special tokens included."""

    name: str
    max_tokens: int
    is_parallel: bool
    """Whether several threads may embed at once."""

    @property
    def batch(self) -> int:
        """How many texts of one length are best computed at once: more in a call only keep others waiting."""

    @property
    def dimension(self) -> int:
        """Length of a vector. A local model knows it without loading; a remote one is asked, once."""

    @property
    def fingerprint(self) -> str:
        """Names everything that changes vectors (model, weights hash, pooling, length limit): two vectors may be
        compared only under one fingerprint. A local model knows it without loading; a remote one is asked, once."""

    def load(self) -> None:
        """Make ready; idempotent. Raises ModelMissing or EngineFailed."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32, shape (len(texts), dimension), in input order; texts longer than
        `max_tokens` count by their beginning. Raises EngineFailed if the model cannot run."""

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by this model's tokenizer, without special tokens, not truncated; an estimate that is
        rather too high where the tokenizer is unknown. Does not load the network."""

    def close(self) -> None:
        """Free the model; idempotent."""


def unit_vector(values: Sequence[float], dimension: int) -> NDArray[np.float32]:
    """A vector that was given, as the embedder would have made it: float32, shape (dimension,), of length 1. Raises
    UnfitVector for another number of values, and where they point nowhere."""
    import numpy as np

    if len(values) != dimension:
        raise UnfitVector(
            f"the vector has {len(values)} numbers, those of the index have {dimension}",
            "make it with the embedding model of the index",
        )
    given = np.asarray(values, np.float64)
    largest = np.abs(given).max()
    if not (np.isfinite(largest) and largest):
        raise UnfitVector("the vector has no direction", "give finite numbers that are not all 0")
    given = given / largest  # the squares of very large and very small numbers are out of range
    unit: NDArray[np.float32] = (given / np.linalg.norm(given)).astype(np.float32)
    return unit


def open_embedder(models: ModelSettings, openai: OpenAISettings, shelf: Shelf, environ: Mapping[str, str]) -> Embedder:
    """The embedder that the settings name, not loaded. Raises NotFound for an unknown name, ConfigError for an
    endpoint without a URL. TERMRAG_OPENAI_API_KEY of `environ` is the endpoint's key."""
    provider, _, remote = models.embedding.partition(":")
    if provider == "openai":
        return _remote(remote or openai.model, openai, environ)
    model = shelf.known(models.embedding)
    if model.role != "embedding":
        raise NotFound(f"{model.name} is a {model.role} model and makes no vectors", "termrag models list")
    return _local(model, models.threads, shelf)


def _local(model: CatalogueModel, threads: int, shelf: Shelf) -> Embedder:
    """On Apple silicon MLX, if its form is what the user has fetched; onnxruntime everywhere else. Both give the same
    vectors."""
    from termrag.embedders.local import LocalEmbedder

    open_network: Callable[[str, Path], Network]
    if sys.platform == "darwin" and platform.machine() == "arm64" and "mlx" in shelf.info(model.name).files:
        from termrag.embedders.mlx import open_mlx_network

        engine, open_network = "mlx", open_mlx_network
    else:
        from termrag.embedders.onnx import OnnxNetwork

        engine, open_network = "onnx", partial(OnnxNetwork, threads=threads)
    return LocalEmbedder(
        model.name,
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        max_tokens=model.max_tokens,
        locate=lambda: shelf.locate(model.name, engine),
        open_network=open_network,
        is_parallel=engine == "onnx",
    )


def _remote(name: str, openai: OpenAISettings, environ: Mapping[str, str]) -> Embedder:
    url = openai.embedding_url or openai.url
    if not url:
        raise ConfigError(
            "models.embedding names a remote model, but openai.embedding_url is empty",
            "termrag config set openai.embedding_url http://localhost:8000/v1",
        )
    if not name:
        raise ConfigError("models.embedding names no remote model", "termrag config set models.embedding openai:NAME")
    from termrag.embedders.openai import OpenAIEmbedder

    key = environ.get("TERMRAG_OPENAI_API_KEY", "")
    return OpenAIEmbedder(name, url=url, api_key=key, timeout_s=openai.timeout_s)
