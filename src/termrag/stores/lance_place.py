"""Where a LanceDB store lies: in its own folder, or where a URI says; what object stores need to be told."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from termrag.errors import ConfigError, StoreUnavailable
from termrag.heap import share_arenas

if TYPE_CHECKING:
    from termrag.config import Config


_LEAST_CACHE_BYTES = 512 << 20
_METADATA_BYTES = 128 << 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """`folder` is local and holds notes of this machine; the tables lie at `uri`, which for most is the same folder."""

    folder: Path
    uri: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_shared(self) -> bool:
        return bool(self.uri)

    @property
    def index_note(self) -> Path:
        """Where this machine remembers how large the table was when its vector index was built."""
        mark = f"-{hashlib.blake2b(self.uri.encode(), digest_size=4).hexdigest()}" if self.uri else ""
        return self.folder / f"vector-index{mark}.json"

    @property
    def target(self) -> str:
        return self.uri or str(self.folder)


def place_of(folder: Path, config: Config | None) -> Place:
    """Where the settings put the tables. Raises ConfigError for storage options that are not `key=value`."""
    if config is None or not config.lancedb.uri:
        return Place(folder)
    options: dict[str, str] = {}
    for each in config.lancedb.options:
        key, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(f"lancedb.options: {each!r} is not key=value", "termrag config edit")
        options[key.strip()] = value.strip()
    return Place(folder, config.lancedb.uri.rstrip("/"), options)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Let LanceDB do its asynchronous work on its own loop, and wait for it. So a search crosses threads once; through
    the synchronous half it crosses them seven times, and waits for its turn each time where threads are many."""
    from lancedb.background_loop import LOOP

    done: _T = LOOP.run(work)  # type: ignore[no-untyped-call]
    return done


def _cache_bytes() -> int:
    """An eighth of the machine's memory for what is read of indexes, also of such as are replaced: LanceDB's own limit
    is 6 GB."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return _LEAST_CACHE_BYTES
    return max(_LEAST_CACHE_BYTES, memory // 8)


def connect(place: Place) -> Any:
    """LanceDB's asynchronous connection, for `run`. Raises StoreUnavailable."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # its warnings would be written over the screen
    share_arenas()
    import lancedb

    options = dict(place.options) or None
    session = lancedb.Session(index_cache_size_bytes=_cache_bytes(), metadata_cache_size_bytes=_METADATA_BYTES)
    always = timedelta(0)
    try:
        return run(
            lancedb.connect_async(
                place.target, read_consistency_interval=always, storage_options=options, session=session
            )
        )
    except (ValueError, RuntimeError, OSError) as error:
        code = re.search(r"<Code>(\w+)</Code>", str(error))  # what an S3 says
        reason = code[1] if code else str(error).strip().splitlines()[0][:200]
        raise StoreUnavailable(
            f"{place.target} cannot be opened: {reason}",
            "Look at lancedb.uri, lancedb.options, and the object store's keys in the environment.",
        ) from error
