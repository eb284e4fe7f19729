"""A home with a user's settings, a default library and two collections, filled behind the façade."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.conftest import Ran, termrag  # noqa: F401
from embedding_endpoint import Endpoint, served
from termrag.collections import settings_of
from termrag.rag import Rag

NOTES = {
    "default": {"lamp.md": "# The lamp\n\nThe lamp of Korrin burns 40 litres of oil a week.\n"},
    "work": {
        "rent.md": "# The rent\n\nThe rent of the workshop is 900 euros, due on the third of each month.\n",
        "rope.md": "# The rope\n\nThe rope of the workshop is 12 metres long and was bought in 2021.\n",
    },
    "home": {"rent.md": "# The rent at home\n\nThe rent of the flat is 640 euros, due on the first of each month.\n"},
}


@pytest.fixture(scope="module")
def vectors() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vectors: Endpoint) -> Path:
    """TERMRAG_HOME with settings that need no model but the endpoint's."""
    root = tmp_path / "home"
    (root / "config").mkdir(parents=True)
    (root / "config" / "config.toml").write_text(
        f'[models]\nengine = "scripted"\nscript = "The rent of the flat is 640 euros."\nembedding = "openai:words"\n'
        f'[openai]\nurl = "{vectors.url}"\n[retrieval]\ngate = 0.0\n'
    )
    for name in [name for name in os.environ if name.startswith("TERMRAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TERMRAG_HOME", str(root))
    return root


Open = Callable[..., Rag]


@pytest.fixture
def open_rag(home: Path) -> Open:
    """The façade of the named collections, as the command line opens it."""

    def opened(*names: str) -> Rag:
        config, paths, members = settings_of(names)
        return Rag(config, paths, members=members)

    return opened


@pytest.fixture
async def filled(open_rag: Open, home: Path, tmp_path: Path) -> Open:
    for name, notes in NOTES.items():
        folder = tmp_path / "notes" / name
        folder.mkdir(parents=True)
        for file, text in notes.items():
            (folder / file).write_text(text)
        if name != "default":
            async with open_rag() as rag:
                await rag.create_collection(name)
        async with open_rag(name) as rag:
            async for _ in rag.ingest([folder], wait=True):
                pass
    return open_rag
