"""A watched folder for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from watch.watched import Watched

Watch = Callable[..., Watched]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Three notes, one of them in a folder below."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    for name in ("harbour", "lamp", "sub/tide"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nWhat is known of the {name} is written here.\n")
    return folder


@pytest.fixture
def watch(tmp_path: Path, endpoint: Endpoint) -> Iterator[Watch]:
    """`watch(folder, …)` returns once the first sweep is done."""
    opened: list[Watched] = []

    def start(*folders: Path, home: Path | None = None, **options: object) -> Watched:
        opened.append(Watched(home or tmp_path / f"home{len(opened)}", endpoint, list(folders), **options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
