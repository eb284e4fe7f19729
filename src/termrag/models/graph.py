"""Builds the ONNX graph of a BERT sentence embedder from its weights: mean pooling and unit length included.

Needs numpy and onnx, no training framework. The same weights give the same bytes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OPSET = 20  # the first with Gelu as one operator
_IR_VERSION = 9


def build_bert_graph(weights: Path, config: Path, target: Path) -> None:
    """Write a float32 graph: input_ids and attention_mask, int64, shape (batch, tokens) → sentence_embedding, float32,
    shape (batch, dimension), unit vectors."""
    import onnx

    settings = json.loads(config.read_text(encoding="utf-8"))
    model = _Bert(read_safetensors(weights), settings).model()
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def read_safetensors(file: Path) -> dict[str, NDArray[np.float32]]:
    """Every float32 tensor of a safetensors file: an 8-byte header length, a JSON header, raw data.
    Source: https://github.com/huggingface/safetensors#format"""
    import numpy as np

    data = np.memmap(file, dtype=np.uint8, mode="r")
    start = 8 + int(data[:8].view("<u8")[0])
    header = json.loads(bytes(data[8:start]))
    return {
        name: data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        .view("<f4")
        .reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


class _Bert:
    """Collects nodes and weights; every method returns the name of the value that it adds."""

    def __init__(self, weights: dict[str, NDArray[np.float32]], settings: dict[str, Any]) -> None:
        self._weights = weights
        self._heads = int(settings["num_attention_heads"])
        self._hidden = int(settings["hidden_size"])
        self._layers = int(settings["num_hidden_layers"])
        self._epsilon = float(settings["layer_norm_eps"])
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def model(self) -> Any:
        from onnx import TensorProto, helper

        state = self._embeddings()
        mask = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        bias = self._mask_bias(mask)
        for number in range(self._layers):
            state = self._layer(state, bias, f"encoder.layer.{number}.")
        self._pool(state, mask)
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", self._hidden])
        graph = helper.make_graph(self._nodes, "sentence-bert", inputs, [output], self._constants)
        opsets = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="termrag")

    def _embeddings(self) -> str:
        words = self._op("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        length = self._op("Gather", self._op("Shape", "input_ids"), self._ints(1), axis=0)
        table = self._weight("embeddings.position_embeddings.weight")
        places = self._op("Slice", table, self._ints(0), length, self._ints(0))
        # One text per row, so the token type is 0 everywhere.
        kind = self._constant(self._weights["embeddings.token_type_embeddings.weight"][0])
        return self._norm(self._op("Add", self._op("Add", words, kind), places), "embeddings.LayerNorm")

    def _mask_bias(self, mask: str) -> str:
        import numpy as np

        absent = self._op("Sub", self._constant(np.float32(1)), self._op("Unsqueeze", mask, self._ints(1, 2)))
        return self._op("Mul", absent, self._constant(np.float32(-1e9)))

    def _layer(self, state: str, bias: str, prefix: str) -> str:
        mixed = self._attention(state, bias, prefix + "attention.self.")
        added = self._op("Add", self._linear(mixed, prefix + "attention.output.dense"), state)
        state = self._norm(added, prefix + "attention.output.LayerNorm")
        inner = self._op("Gelu", self._linear(state, prefix + "intermediate.dense"))
        added = self._op("Add", self._linear(inner, prefix + "output.dense"), state)
        return self._norm(added, prefix + "output.LayerNorm")

    def _attention(self, state: str, bias: str, prefix: str) -> str:
        import numpy as np

        size = self._hidden // self._heads
        query, key, value = (
            self._op("Reshape", self._linear(state, prefix + part), self._ints(0, 0, self._heads, size))
            for part in ("query", "key", "value")
        )
        scores = self._op(
            "MatMul",
            self._op("Transpose", query, perm=[0, 2, 1, 3]),
            self._op("Transpose", key, perm=[0, 2, 3, 1]),
        )
        scaled = self._op("Div", scores, self._constant(np.float32(math.sqrt(size))))
        shares = self._op("Softmax", self._op("Add", scaled, bias), axis=-1)
        mixed = self._op("MatMul", shares, self._op("Transpose", value, perm=[0, 2, 1, 3]))
        joined = self._op("Transpose", mixed, perm=[0, 2, 1, 3])
        return self._op("Reshape", joined, self._ints(0, 0, self._hidden))

    def _pool(self, state: str, mask: str) -> None:
        from onnx import helper

        weights = self._op("Unsqueeze", mask, self._ints(2))
        total = self._op("ReduceSum", self._op("Mul", state, weights), self._ints(1), keepdims=0)
        mean = self._op("Div", total, self._op("ReduceSum", weights, self._ints(1), keepdims=0))
        self._nodes.append(helper.make_node("LpNormalization", [mean], ["sentence_embedding"], axis=-1, p=2))

    def _linear(self, value: str, prefix: str) -> str:
        product = self._op("MatMul", value, self._constant(self._weights[prefix + ".weight"].T))
        return self._op("Add", product, self._weight(prefix + ".bias"))

    def _norm(self, value: str, prefix: str) -> str:
        scale, shift = self._weight(prefix + ".weight"), self._weight(prefix + ".bias")
        return self._op("LayerNormalization", value, scale, shift, axis=-1, epsilon=self._epsilon)

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _weight(self, name: str) -> str:
        return self._constant(self._weights[name])

    def _ints(self, *values: int) -> str:
        import numpy as np

        return self._constant(np.array(values, np.int64))

    def _constant(self, array: Any) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name
