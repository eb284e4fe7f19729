"""The models of this machine as a library's settings see them: known, fetched, removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from termrag.errors import TermragError
from termrag.events import PullEvent
from termrag.records import ModelInfo

if TYPE_CHECKING:
    from termrag.models import FileOrigin
    from termrag.parts import Parts


def models(parts: Parts) -> list[ModelInfo]:
    return [_with_use(parts, info) for info in parts.shelf().models()]


def model(parts: Parts, name: str) -> ModelInfo:
    return _with_use(parts, parts.shelf().info(name))


def origins(parts: Parts, name: str) -> list[FileOrigin]:
    """The model's files: where each comes from, and how far its hash can be trusted. Raises NotFound."""
    return parts.shelf().origins(name)


def _with_use(parts: Parts, info: ModelInfo) -> ModelInfo:
    return replace(info, active=info.name in (parts.config.models.chat, parts.config.models.embedding))


def pull(parts: Parts, name: str, engine: str | None) -> Iterator[PullEvent]:
    info = parts.shelf().info(name)
    return parts.shelf().pull(name, engine or _engine_for(parts, info))


def _engine_for(parts: Parts, info: ModelInfo) -> str:
    """The form to fetch: the one that this configuration's engine loads, else the first there is."""
    if info.role == "embedding":
        return info.engines[0]
    try:
        chosen = parts.engine_choice().name
    except TermragError:
        chosen = ""
    return chosen if chosen in info.engines else info.engines[0]


def remove_model(parts: Parts, name: str) -> int:
    return parts.shelf().remove(name)
