"""Texts to token ids by a local model's own tokenizer, and how they are put into batches; knows no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.errors import EngineFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST_FILL = 0.8


class Tokens:
    """The tokenizer of one model, from tokenizer.json in the folder that `locate` gives; loaded on first use.

    `max_tokens` counts the special tokens too.
    """

    def __init__(self, name: str, max_tokens: int, locate: Callable[[], Path]) -> None:
        self._name = name
        self._max_tokens = max_tokens
        self._locate = locate
        self._tokenizer: Any = None
        self._counted = lru_cache(maxsize=1024)(self._count)  # a search asks for the same chunks again and again

    def load(self) -> Any:
        """The tokenizer itself. Raises ModelMissing or EngineFailed."""
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            file = self._locate() / "tokenizer.json"
            try:
                tokenizer = Tokenizer.from_file(str(file))
            except Exception as error:  # the library raises bare Exception
                raise cannot_load(self._name, file, error) from error
            # The file asks for padding and truncation to 128.
            tokenizer.no_padding()
            tokenizer.no_truncation()
            self._tokenizer = tokenizer
        return self._tokenizer

    def ids(self, text: str) -> list[int]:
        """Token ids with special tokens, at most `max_tokens`: the beginning of a longer text."""
        ids: list[int] = self._encode(text, special=True).ids
        if len(ids) > self._max_tokens:
            return [*ids[: self._max_tokens - 1], ids[-1]]  # the last one closes the text
        return ids

    def count(self, text: str) -> int:
        """Number of tokens without special tokens, not truncated."""
        return self._counted(text)

    def _count(self, text: str) -> int:
        return len(self._encode(text, special=False))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) in characters of every token, without special tokens, not truncated."""
        offsets: list[tuple[int, int]] = self._encode(text, special=False).offsets
        return offsets

    def close(self) -> None:
        self._tokenizer = None

    def _encode(self, text: str, *, special: bool) -> Any:
        tokenizer = self.load()
        try:
            return tokenizer.encode(text, add_special_tokens=special)
        except TypeError:  # lone surrogates, as in a file name that is not UTF-8; each becomes one character
            return tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=special)


def length_sorted_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indexes of texts in batches of at most `size`, longest first, so that the most memory is asked for once, at the
    start. No text is less than four fifths of its batch's longest: padding costs as much as tokens do, while a smaller
    batch costs nothing on a CPU."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batches and len(batches[-1]) < size and lengths[index] >= _LEAST_FILL * lengths[batches[-1][0]]:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids filled up with 0 to the longest row, and 1 where there is a token: both int64, shape (rows, tokens)."""
    import numpy as np

    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


def cannot_load(name: str, file: Path, error: Exception) -> EngineFailed:
    """The error for a damaged file of a model, in one line."""
    words = str(error).strip().splitlines()
    return EngineFailed(
        f"{file} cannot be loaded: {words[0] if words else type(error).__name__}",
        f"termrag models rm {name} && termrag models pull {name}",
    )
