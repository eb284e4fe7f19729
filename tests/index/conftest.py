"""A library of one's own and a folder of notes for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.index_library import Library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "library")
    yield library
    library.close()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Four Markdown files, one of them in a folder below, written a while ago."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    for name in ("harbour", "lamp", "bread"):
        (folder / f"{name}.md").write_text(f"# The {name}\n\nWhat is known of the {name} is written here.\n")
    (folder / "sub" / "tide.md").write_text(
        "# The tide\n\n" + " ".join(f"On day {day} the water came and went twice." for day in range(60))
    )
    for path in folder.rglob("*.md"):
        os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    return folder
