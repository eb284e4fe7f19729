"""Fixtures that all tests share: a home of one's own for every test, and the real starter models, fetched once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedding_endpoint import endpoint  # noqa: F401
from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import Embedder, open_embedder
from termrag.models import Shelf


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(repo_root: Path) -> Path:
    """Folder of collections and documents that are not part of the repository; TERMRAG_SHARED moves it."""
    folder = Path(_SHARED or repo_root.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"needs the shared test data in {folder}; TERMRAG_SHARED names another folder")
    return folder


@pytest.fixture(scope="session")
def shelf(repo_root: Path) -> Shelf:
    """A shelf that has the starter models, kept between runs."""
    shelf = Shelf(repo_root / ".cache" / "models")
    for name, engine in (("smollm2-135m", "llamacpp"), ("all-minilm-l6-v2", "onnx")):
        for _ in shelf.pull(name, engine):
            pass
    return shelf


@pytest.fixture(scope="session")
def starter_gguf(shelf: Shelf) -> Path:
    return shelf.locate("smollm2-135m", "llamacpp")


@pytest.fixture(scope="session")
def embedder(shelf: Shelf) -> Iterator[Embedder]:
    """The default embedder, loaded."""
    embedder = open_embedder(ModelSettings(), OpenAISettings(), shelf, {})
    embedder.load()
    yield embedder
    embedder.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's own settings, library or models, and none reaches a model hub."""
    for name in [name for name in os.environ if name.startswith("TERMRAG_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("TERMRAG_HOME", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


_SHARED = os.environ.get("TERMRAG_SHARED", "")

# A shell ignores Ctrl-C on behalf of what it runs in the background, and children inherit that: tests that interrupt
# need it back.
signal.signal(signal.SIGINT, signal.default_int_handler)
