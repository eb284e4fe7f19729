"""One converter for all tests of documents, and short ways to read a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from termrag import readers
from termrag.converter import Converter, Limits
from termrag.records import Content

MAX_BYTES = 200_000_000

Read = Callable[[Path], Content]
ReadBytes = Callable[[str, bytes], Content]


@pytest.fixture(scope="session")
def converter() -> Iterator[Converter]:
    with Converter(Limits(timeout_s=110)) as converter:
        yield converter


@pytest.fixture
def read(converter: Converter) -> Read:
    return lambda path: readers.read(path, converter, max_bytes=MAX_BYTES)


@pytest.fixture
def read_bytes(read: Read, tmp_path: Path) -> ReadBytes:
    """Reads a file of the given name and bytes."""

    def read_one(name: str, data: bytes) -> Content:
        path = tmp_path / name
        path.write_bytes(data)
        return read(path)

    return read_one
