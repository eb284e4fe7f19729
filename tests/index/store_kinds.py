"""Every kind of store there is to test: LanceDB, Qdrant in a folder, Qdrant behind a URL."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from termrag.config import Config
from termrag.stores import Identity, Store, open_store

REAL_URL = os.environ.get("TERMRAG_TEST_QDRANT_URL", "")
NAMES = ["lancedb", "qdrant", "qdrant-http", *(["qdrant-real"] if REAL_URL else [])]


@dataclass(frozen=True)
class Kind:
    """`name` is one of NAMES; `qdrant-http` speaks to the stand-in, `qdrant-real` to a server of the user's."""

    name: str
    config: Config = field(default_factory=Config)

    @property
    def store(self) -> str:
        return self.name.partition("-")[0]

    @property
    def is_in_folder(self) -> bool:
        return not self.config.qdrant.url

    @property
    def takes_other_processes(self) -> bool:
        return self.name != "qdrant"

    def open(self, folder: Path, identity: Identity | None, *, create: bool = True) -> Store:
        return open_store(self.store, folder, identity, create=create, config=self.config)


def at(url: str) -> Config:
    """Settings for a collection of one's own at a server."""
    values = {"url": url, "collection": f"test-{uuid.uuid4().hex}"}
    return Config().with_values({"qdrant": values}, "test")
