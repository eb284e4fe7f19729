"""Models and engines for the engine tests: one loaded engine of each kind per module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from termrag.config import ModelSettings, OpenAISettings
from termrag.engines import Engine, EngineChoice, open_engine
from termrag.engines.gguf import convert_gguf
from termrag.models import Shelf

from .endpoint_server import EndpointServer, running_server
from .tiny import write_tiny_gguf

# As the engine does before its import; some tests import llama.cpp before any engine, and libgomp reads it only once.
os.environ.setdefault("GOMP_SPINCOUNT", "60")

SCRIPT = (
    "The lamp on the northern pier was lit in 1874, and it burned whale oil until the spring of 1902. Its keeper, "
    "Łucja Brandström, wrote every evening: “Wind ENE, 6 Bft; sea rough.” In 東京 they read her letters. "
) + "She counted the ships that passed, one by one, and forgot none of them. " * 40

ENGINES = [
    "scripted",
    "openai",
    "llamacpp-tiny",
    "mlx-tiny",
    pytest.param("llamacpp-starter", marks=pytest.mark.model),
    pytest.param("mlx-starter", marks=pytest.mark.model),
]


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_mlx(tiny_gguf: Path) -> Path:
    folder = tiny_gguf.with_name("mlx")
    convert_gguf(tiny_gguf, folder)
    return folder


@pytest.fixture(scope="session")
def starter_mlx(shelf: Shelf) -> Path:
    for _ in shelf.pull("smollm2-135m", "mlx"):
        pass
    return shelf.locate("smollm2-135m", "mlx")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[EndpointServer]:
    with running_server(SCRIPT) as server:
        yield server


def opened(request: pytest.FixtureRequest, slots: int = 1) -> Engine:
    """The loaded engine that the fixture's parameter names, with a window of 1,024 tokens, as the factory opens it."""
    name, _, size = request.param.partition("-")
    path, openai = None, OpenAISettings()
    if name == "openai":
        openai = OpenAISettings(url=request.getfixturevalue("endpoint").url, model="scripted", context_tokens=1024)
    elif size:
        path = request.getfixturevalue(f"{size}_{'mlx' if name == 'mlx' else 'gguf'}")
    engine = open_engine(
        EngineChoice(name, "the test says so"),
        model="test",
        path=path,
        models=ModelSettings(script=SCRIPT, context_tokens=1024),
        openai=openai,
        environ={},
        slots=slots,
    )
    engine.load()
    return engine


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A loaded engine with a window of 1,024 tokens, as the factory opens it."""
    engine = opened(request)
    yield engine
    engine.close()
