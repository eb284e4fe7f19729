"""What holds for every embedder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import Embedder, open_embedder
from termrag.embedders.local import LocalEmbedder
from termrag.embedders.mlx import open_mlx_network
from termrag.models import Shelf

TEXTS = [
    "The last ferry leaves at six.",
    "The last ferry leaves at six in the evening.",
    "Copper conducts heat well.",
    "",
    "Ünïcödé, 漢字 and \x00 control characters",
    "lone surrogate \udcff of a name that is not UTF-8",
    "x",
]


@pytest.fixture(scope="session")
def mlx_folder(shelf: Shelf) -> Path:
    pytest.importorskip("mlx.core", reason="needs MLX: pip install 'termrag[mlx]'")
    for _ in shelf.pull("all-minilm-l6-v2", "mlx"):
        pass
    return shelf.locate("all-minilm-l6-v2", "mlx")


def _by_mlx(folder: Path) -> LocalEmbedder:
    return LocalEmbedder(
        "m",
        fingerprint="m",
        dimension=384,
        max_tokens=256,
        locate=lambda: folder,
        open_network=open_mlx_network,
    )


LOCAL = [pytest.param(name, marks=pytest.mark.model) for name in ("onnx", "mlx")]


@pytest.fixture(params=["openai", *LOCAL])
def opened(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    embedder: Embedder
    if request.param == "onnx":
        shelf = request.getfixturevalue("shelf")
        embedder = open_embedder(ModelSettings(), OpenAISettings(), shelf, {})
    elif request.param == "mlx":
        folder = request.getfixturevalue("mlx_folder")
        embedder = _by_mlx(folder)
    else:
        openai = OpenAISettings(url=request.getfixturevalue("endpoint").url, timeout_s=5)
        embedder = open_embedder(ModelSettings(embedding="openai:tiny"), openai, None, {})
    yield embedder
    embedder.close()


def test_vectors_are_unit_float32_in_input_order(opened):
    together = opened.embed(TEXTS)

    assert together.dtype == np.float32
    assert together.shape == (len(TEXTS), opened.dimension)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    for number, text in enumerate(TEXTS):
        assert float(together[number] @ opened.embed([text])[0]) > 0.9999


def test_like_texts_are_nearer_than_unlike_ones(opened):
    ferry, ferry_too, copper, *_ = opened.embed(TEXTS)

    assert float(ferry @ ferry_too) > float(ferry @ copper) + 0.2


def test_no_texts_give_no_vectors(opened):
    assert opened.embed([]).shape == (0, opened.dimension)


def test_the_fingerprint_names_the_model_and_stays(opened):
    before = opened.fingerprint
    opened.load()
    opened.load()

    assert opened.name.partition(":")[2] in before or opened.name in before
    assert opened.fingerprint == before


def test_counting_is_monotonous_and_not_truncated(opened):
    assert opened.count_tokens("") == 0
    assert 0 < opened.count_tokens("one") <= opened.count_tokens("one two") <= opened.count_tokens("one two three")
    assert opened.count_tokens("word " * 3000) >= 3000
    assert opened.count_tokens("\udcff") > 0


def test_close_frees_and_the_next_use_opens_again(opened):
    before = opened.embed(["again"])
    opened.close()
    opened.close()

    assert np.allclose(opened.embed(["again"]), before, atol=1e-6)


@pytest.mark.model
def test_mlx_gives_the_vectors_of_onnxruntime(embedder, mlx_folder):
    mlx = _by_mlx(mlx_folder)

    cosines = (mlx.embed(TEXTS) * embedder.embed(TEXTS)).sum(axis=1)

    assert cosines.min() > 0.9999
