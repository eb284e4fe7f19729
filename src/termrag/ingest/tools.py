"""What an ingest works with: every part as a plain function, so that nothing is opened before it is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from termrag.readers import Fingerprint
from termrag.records import Chunk, Content

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.converter import Converter
    from termrag.stores import Store

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]


@dataclass(frozen=True, slots=True)
class Tools:
    """`embed` gives unit vectors in input order; `open_store` the same open store each time, made if there is none;
    `discard_store` empties it before a rebuild. `recipe` names the versions of reader and chunker: another recipe means
    that a file is read again. `read` and `fingerprint` raise UnreadableFile. For a store that does not answer a run
    waits `patience_s`."""

    is_readable: Callable[[str], bool]
    fingerprint: Callable[[str], Fingerprint]
    read: Callable[[str, str], Content]
    chunk: Callable[[Content], Sequence[Chunk]]
    embed: Embed
    open_store: Callable[[], Store]
    discard_store: Callable[[], None]
    recipe: str
    patience_s: float = 0.0


def make_tools(
    *,
    embed: Embed,
    count_tokens: Callable[[str], int],
    open_store: Callable[[], Store],
    discard_store: Callable[[], None],
    converter: Converter,
    max_bytes: int,
    chunk_tokens: int,
    patience_s: float = 0.0,
) -> Tools:
    """The tools that termrag itself uses; nothing is opened here."""
    from termrag import readers
    from termrag.chunking import CHUNKER_VERSION, chunk, word_bound

    return Tools(
        is_readable=lambda path: readers.is_readable(Path(path)),
        fingerprint=lambda path: readers.fingerprint(Path(path), max_bytes=max_bytes),
        read=lambda path, hashed: readers.read(Path(path), converter, max_bytes=max_bytes, expected_hash=hashed),
        chunk=lambda content: chunk(content, word_bound(count_tokens), chunk_tokens),
        embed=embed,
        open_store=open_store,
        discard_store=discard_store,
        patience_s=patience_s,
        recipe=f"{readers.READER_VERSION}/{CHUNKER_VERSION}/{chunk_tokens}",
    )
