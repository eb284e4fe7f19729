"""Sentence embeddings by MLX, for the GPU of Apple silicon, from model.safetensors and config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.embedders.tokens import cannot_load
from termrag.errors import EngineFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH_CPU, _BATCH_GPU = 4, 32
_CACHE_BYTES = 256 << 20


def open_mlx_network(name: str, folder: Path) -> MlxNetwork:
    """The network of the model `name` in `folder`. Raises EngineFailed."""
    file = folder / "model.safetensors"
    try:
        return MlxNetwork(file, json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except ImportError as error:
        raise EngineFailed("MLX is not installed", "pip install 'termrag[mlx]'") from error
    except (RuntimeError, ValueError, KeyError) as error:
        raise cannot_load(name, file, error) from error


class MlxNetwork:
    """BERT with mean pooling and unit length, in float32: the same vectors, and so the same fingerprint, as the ONNX
    form's."""

    def __init__(self, file: Path, settings: dict[str, Any]) -> None:
        import mlx.core as mx

        self._mx = mx
        loaded: Any = mx.load(str(file))
        self._weights: dict[str, Any] = {name: array for name, array in loaded.items() if array.dtype == mx.float32}
        mx.eval(list(self._weights.values()))  # an evaluated array may be used from any thread
        self._heads = int(settings["num_attention_heads"])
        self._layers = int(settings["num_hidden_layers"])
        self._epsilon = float(settings["layer_norm_eps"])
        self.batch = _BATCH_GPU if mx.metal.is_available() else _BATCH_CPU

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        import numpy as np

        mx = self._mx
        tokens, weights = mx.array(ids.astype(np.int32)), mx.array(mask.astype(np.float32))
        state = self._states(tokens, mx.where(weights[:, None, None, :] > 0, 0.0, -1e9))
        mean = (state * weights[..., None]).sum(1) / weights.sum(1, keepdims=True)
        unit = mean / mx.linalg.norm(mean, axis=-1, keepdims=True)
        mx.eval(unit)
        return np.array(unit, np.float32)

    def trim(self) -> None:
        """Give back buffers: MLX keeps one for every shape it has seen."""
        if self._mx.get_cache_memory() > _CACHE_BYTES:
            self._mx.clear_cache()

    def _states(self, tokens: Any, bias: Any) -> Any:
        words = self._weights["embeddings.word_embeddings.weight"][tokens]
        places = self._weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        state = self._norm(words + places + kind, "embeddings.LayerNorm")
        for number in range(self._layers):
            state = self._layer(state, bias, f"encoder.layer.{number}.")
        return state

    def _layer(self, state: Any, bias: Any, prefix: str) -> Any:
        mixed = self._attention(state, bias, prefix + "attention.self.")
        added = state + self._linear(mixed, prefix + "attention.output.dense")
        state = self._norm(added, prefix + "attention.output.LayerNorm")
        inner = self._linear(state, prefix + "intermediate.dense")
        inner = inner * (1 + self._mx.erf(inner * 0.5**0.5)) * 0.5  # the exact GELU
        return self._norm(state + self._linear(inner, prefix + "output.dense"), prefix + "output.LayerNorm")

    def _attention(self, state: Any, bias: Any, prefix: str) -> Any:
        rows, length, hidden = state.shape
        size = hidden // self._heads
        query, key, value = (
            self._linear(state, prefix + part).reshape(rows, length, self._heads, size).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        mixed = self._mx.fast.scaled_dot_product_attention(query, key, value, scale=size**-0.5, mask=bias)
        return mixed.transpose(0, 2, 1, 3).reshape(rows, length, hidden)

    def _linear(self, value: Any, prefix: str) -> Any:
        return self._mx.addmm(self._weights[prefix + ".bias"], value, self._weights[prefix + ".weight"].T)

    def _norm(self, value: Any, prefix: str) -> Any:
        scale, shift = self._weights[prefix + ".weight"], self._weights[prefix + ".bias"]
        return self._mx.fast.layer_norm(value, scale, shift, self._epsilon)
