"""The local embedder: the model's own numbers, truncation, batches, laziness."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from termrag.embedders.local import LocalEmbedder
from termrag.embedders.onnx import OnnxNetwork
from termrag.embedders.tokens import length_sorted_batches
from termrag.errors import EngineFailed, ModelMissing
from termrag.models.graph import build_bert_graph, read_safetensors


def test_batches_hold_like_lengths_longest_first_and_every_index_once():
    assert length_sorted_batches([30, 90, 10, 85, 80, 25], 2) == [[1, 3], [4], [0, 5], [2]]
    assert length_sorted_batches([], 4) == []


@pytest.mark.model
def test_vectors_are_those_that_the_authors_of_the_model_publish(embedder):
    """Similarities as printed in https://sbert.net/docs/quickstart.html for all-MiniLM-L6-v2."""
    vectors = embedder.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])

    published = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    assert np.allclose(vectors @ vectors.T, published, atol=1e-4)


@pytest.mark.model
def test_only_the_beginning_of_a_long_text_counts(embedder):
    words = " ".join(["harbour"] * 254)  # one token each; two places are for the special tokens
    assert embedder.count_tokens(words) == 254

    exact, longer, shorter = embedder.embed([words, words + " zebra quartz", words.removesuffix(" harbour")])

    assert np.allclose(exact, longer, atol=1e-5)
    assert not np.allclose(exact, shorter, atol=1e-5)


@pytest.mark.model
def test_offsets_point_at_the_characters_of_each_token(embedder):
    text = "Größe: 42 km"

    offsets = embedder.token_offsets(text)

    assert len(offsets) == embedder.count_tokens(text)
    assert text[offsets[0][0] : offsets[0][1]].startswith("Gr")
    assert [text[start:end] for start, end in offsets[-2:]] == ["42", "km"]


@pytest.mark.model
def test_counting_loads_no_network(shelf):
    code = f"""
import sys, pathlib
from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import open_embedder
from termrag.models import Shelf
embedder = open_embedder(ModelSettings(), OpenAISettings(), Shelf(pathlib.Path({str(shelf.folder)!r})), {{}})
print(embedder.count_tokens("four words are here"), embedder.dimension, embedder.fingerprint)
print([name for name in ("onnxruntime", "numpy", "onnx", "httpx") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["4 384 all-minilm-l6-v2 53aa51172d142c89 mean unit 256", "[]"]


@pytest.mark.model
def test_the_number_of_threads_changes_no_vector(shelf, embedder):
    folder = shelf.locate("all-minilm-l6-v2", "onnx")
    single = _by_onnx(lambda: folder, threads=1)

    assert np.allclose(single.embed(["one thread"]), embedder.embed(["one thread"]), atol=1e-5)


def test_a_missing_model_is_missing_only_when_it_is_used():
    def locate():
        raise ModelMissing("m is not on this machine", "termrag models pull m")

    embedder = _by_onnx(locate, dimension=3)

    assert (embedder.dimension, embedder.fingerprint) == (3, "f")
    with pytest.raises(ModelMissing):
        embedder.embed(["text"])


@pytest.mark.parametrize("damaged", ["tokenizer.json", "model.onnx"])
@pytest.mark.model
def test_a_damaged_file_is_named_with_the_commands_that_mend_it(shelf, tmp_path, damaged):
    folder = shelf.locate("all-minilm-l6-v2", "onnx")
    for name in ("tokenizer.json", "model.onnx"):
        if name == damaged:
            (tmp_path / name).write_bytes(b"\x08\x07 nonsense")
        else:
            (tmp_path / name).symlink_to(folder / name)
    embedder = _by_onnx(lambda: tmp_path)

    with pytest.raises(EngineFailed, match=damaged) as caught:
        embedder.load()

    assert caught.value.hint == "termrag models rm m && termrag models pull m"


def _by_onnx(locate, *, dimension=384, threads=0):
    return LocalEmbedder(
        "m",
        fingerprint="f",
        dimension=dimension,
        max_tokens=256,
        locate=locate,
        open_network=partial(OnnxNetwork, threads=threads),
    )


def _tiny_bert(folder):
    """Weights of a two-layer BERT in a safetensors file, and its config."""
    hidden, inner, words, places = 16, 24, 30, 12
    shapes = {
        "embeddings.word_embeddings.weight": (words, hidden),
        "embeddings.position_embeddings.weight": (places, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for layer in range(2):
        at = f"encoder.layer.{layer}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{at}{part}.weight": (hidden, hidden), f"{at}{part}.bias": (hidden,)}
        shapes |= {f"{at}intermediate.dense.weight": (inner, hidden), f"{at}intermediate.dense.bias": (inner,)}
        shapes |= {f"{at}output.dense.weight": (hidden, inner), f"{at}output.dense.bias": (hidden,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{at}{part}.weight": (hidden,), f"{at}{part}.bias": (hidden,)}
    random = np.random.default_rng(3)
    weights = {name: random.normal(0, 0.5, shape).astype("<f4") for name, shape in shapes.items()}
    header, data = {}, b""
    for name, array in weights.items():
        start, data = len(data), data + array.tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    (folder / "w.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    settings = {"num_attention_heads": 4, "hidden_size": hidden, "num_hidden_layers": 2, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(settings))
    return weights


def _reference(weights, ids):
    """BERT, mean pooling and unit length written out in float64, for one text without padding."""
    from math import erf, sqrt

    w = {name: array.astype(np.float64) for name, array in weights.items()}

    def linear(x, at):
        return x @ w[at + ".weight"].T + w[at + ".bias"]

    def norm(x, at):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[at + ".weight"] + w[at + ".bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x + w["embeddings.position_embeddings.weight"][: len(ids)], "embeddings.LayerNorm")
    for layer in range(2):
        at = f"encoder.layer.{layer}."
        heads = []
        parts = [linear(x, f"{at}attention.self.{part}") for part in ("query", "key", "value")]
        for head in range(4):
            query, key, value = (part[:, head * 4 : head * 4 + 4] for part in parts)
            scores = np.exp(query @ key.T / 2)
            heads.append(scores / scores.sum(-1, keepdims=True) @ value)
        x = norm(
            x + linear(np.concatenate(heads, -1), f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm"
        )
        inner = linear(x, f"{at}intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(erf)(inner / sqrt(2)))
        x = norm(x + linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_graph_computes_bert_and_padding_changes_nothing(tmp_path):
    import onnxruntime

    weights = _tiny_bert(tmp_path)
    build_bert_graph(tmp_path / "w.safetensors", tmp_path / "config.json", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    ids = np.array([[5, 9, 2, 14, 28, 1, 7], [3, 3, 8, 21, 0, 0, 0]], np.int64)
    mask = np.array([[1] * 7, [1, 1, 1, 1, 0, 0, 0]], np.int64)

    (vectors,) = session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})

    assert np.allclose(vectors[0], _reference(weights, ids[0]), atol=1e-5)
    assert np.allclose(vectors[1], _reference(weights, ids[1][:4]), atol=1e-5)


def test_the_same_weights_give_the_same_graph(tmp_path):
    weights = _tiny_bert(tmp_path)
    for name in ("one.onnx", "two.onnx"):
        build_bert_graph(tmp_path / "w.safetensors", tmp_path / "config.json", tmp_path / name)

    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    read = read_safetensors(tmp_path / "w.safetensors")
    assert all(np.array_equal(read[name], array) for name, array in weights.items())
