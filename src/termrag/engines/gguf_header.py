"""Reads the header of a GGUF file without loading it: enough to refuse damaged files with a clear sentence.

Layout: magic, version, counts, metadata (key, type, value), tensor table (name, shape, type, offset), padding, data.
Source: github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from termrag.errors import EngineFailed, ModelMissing

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 1_000_000  # a damaged count must not make us read for minutes

# Elements per block and bytes per block of the common tensor types. Source: ggml.c, type_traits.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Metadata without its arrays, and how many tensors the file holds."""

    metadata: dict[str, Any]
    tensor_count: int

    @property
    def context_length(self) -> int:
        """Tokens the model was trained for; 0 if the file does not say."""
        return int(self.metadata.get(f"{self.metadata.get('general.architecture', '')}.context_length", 0))


def read_header(file: Path) -> GgufHeader:
    """Read the header and check that every tensor lies within the file.

    Raises ModelMissing if there is no such file, EngineFailed if it is not a whole GGUF file of version 2 or 3.
    """
    try:
        with file.open("rb") as opened:
            if opened.read(4) != b"GGUF":
                raise _damaged(file, "it does not begin with GGUF")
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data).header()
    except FileNotFoundError as error:
        raise ModelMissing(f"there is no file {file}", "termrag models list") from error
    except OSError as error:
        raise EngineFailed(f"{file} cannot be read: {error.strerror}", f"ls -l {file}") from error
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise _damaged(file, str(error) or type(error).__name__) from error


def _damaged(file: Path, why: str) -> EngineFailed:
    return EngineFailed(
        f"{file} is damaged or not a GGUF file: {why}", "termrag models rm and termrag models pull fetch it afresh"
    )


class _Reader:
    """Walks the bytes from the front."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 4

    def header(self) -> GgufHeader:
        version = self._scalar("I")
        if version not in (2, 3):
            raise ValueError(f"version {version} is not 2 or 3")
        tensors, entries = self._count("Q"), self._count("Q")
        metadata: dict[str, Any] = {}
        for _ in range(entries):
            key = self._string()
            value = self._value(self._scalar("I"))
            if value is not None:
                metadata[key] = value
        ends = [self._tensor_end() for _ in range(tensors)]
        alignment = int(metadata.get("general.alignment", 32))
        start = math.ceil(self._at / alignment) * alignment
        if ends and start + max(ends) > len(self._data):
            raise ValueError(f"it has {len(self._data)} bytes of {start + max(ends)}")
        return GgufHeader(metadata, tensors)

    def _tensor_end(self) -> int:
        """Where a tensor ends, counted from the start of the data; where it begins, for an unknown type."""
        self._string()
        shape = [self._scalar("Q") for _ in range(self._scalar("I"))]
        kind, offset = self._scalar("I"), self._scalar("Q")
        per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
        return int(offset + math.prod(shape) // per_block * block_bytes)

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def _count(self, code: str) -> int:
        count = int(self._scalar(code))
        if count > _MOST_ENTRIES:
            raise ValueError(f"a count of {count} makes no sense")
        return count

    def _skip(self, length: int) -> int:
        """Step over `length` bytes; where they begin."""
        start = self._at
        if start + length > len(self._data):
            raise ValueError("the header ends too early")
        self._at += length
        return start

    def _string(self) -> str:
        length = self._scalar("Q")
        start = self._skip(length)
        return self._data[start : start + length].decode("utf-8")

    def _value(self, kind: int) -> Any:
        """The value at this place; None for an array, which is stepped over."""
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._scalar(_SCALARS[kind])
        element, count = self._scalar("I"), self._count("Q")
        if element in _SCALARS:
            self._skip(struct.calcsize(f"<{_SCALARS[element]}") * count)
        for _ in range(0 if element in _SCALARS else count):
            if element == _STRING:
                self._skip(self._scalar("Q"))
            else:
                self._value(element)
        return None
