"""What models termrag knows by name, as values read from models.toml; touches neither network nor shelf."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CATALOGUE_FILE = Path(__file__).parent.parent / "models.toml"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source. `member` is its path within a wheel; an empty `sha256` is not pinned."""

    name: str
    member: str = ""
    sha256: str = ""
    size_bytes: int = 0
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where one engine's form of a model comes from: exactly one of `wheel`, `hub`, `convert_from` is set.

    `wheel` is NAME==VERSION. `build` names what is made of the fetched files. `loads` is the file that the engine
    opens; empty: it opens the folder.
    """

    engine: str
    wheel: str = ""
    wheel_sha256: str = ""
    wheel_bytes: int = 0
    hub: str = ""
    revision: str = "main"
    convert_from: str = ""
    build: str = ""
    loads: str = ""
    files: tuple[SourceFile, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def origin(self) -> str:
        """In words, for people."""
        if self.wheel:
            return f"wheel {self.wheel}"
        return f"hub {self.hub}@{self.revision}" if self.hub else f"made from the {self.convert_from} file"


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model that has a name. `passage_characters` is how much text of passages a chat model reads with profit, 0 for
    all that fits. The last four fields are an embedder's; `max_tokens` counts special tokens too."""

    name: str
    role: str
    licence: str
    description: str
    sources: tuple[Source, ...]
    context_length: int = 0
    passage_characters: int = 0
    dimension: int = 0
    max_tokens: int = 0
    pooling: str = ""
    weights_sha256: str = ""

    @property
    def engines(self) -> tuple[str, ...]:
        return tuple(source.engine for source in self.sources)

    def source(self, engine: str) -> Source | None:
        return next((source for source in self.sources if source.engine == engine), None)

    @property
    def fingerprint(self) -> str:
        """Names everything that changes an embedder's vectors, and nothing of how its graph was built."""
        return f"{self.name} {self.weights_sha256[:16]} {self.pooling} unit {self.max_tokens}"


def read_catalogue(file: Path = CATALOGUE_FILE) -> dict[str, CatalogueModel]:
    """The catalogue by name, in the file's order."""
    return {name: _model(name, table) for name, table in tomllib.loads(file.read_text(encoding="utf-8")).items()}


def _model(name: str, table: dict[str, Any]) -> CatalogueModel:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sources = tuple(_source(engine, sub) for engine, sub in table.items() if isinstance(sub, dict))
    return CatalogueModel(name=name, sources=sources, **plain)


def _source(engine: str, table: dict[str, Any]) -> Source:
    files = tuple(SourceFile(**file) for file in table.get("files", ()))
    return Source(engine=engine, **{**table, "files": files})
