"""The remote endpoint: its key, whether it answers, and which models it has; sends no question and no document.

A key comes from TERMRAG_OPENAI_API_KEY, or from a file of the user's own (mode 0600). It is never shown whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from termrag.config import OpenAISettings
    from termrag.paths import Paths

API_KEY = "TERMRAG_OPENAI_API_KEY"
_PATIENCE_S = 8.0
_SHOWN = 4  # characters at the end of a key


@dataclass(frozen=True, slots=True)
class Reached:
    """An endpoint that answers: after how many milliseconds, and with which models."""

    url: str
    milliseconds: float
    models: tuple[str, ...]


def with_stored_key(environ: Mapping[str, str], paths: Paths) -> Mapping[str, str]:
    """The environment, with the stored key where it names none."""
    if environ.get(API_KEY) or not (key := _stored(paths.api_key_file)):
        return environ
    return {**environ, API_KEY: key}


def masked_key(environ: Mapping[str, str]) -> str:
    """The key as it may be shown; empty if there is none."""
    key = environ.get(API_KEY, "")
    return "•" * 8 + (key[-_SHOWN:] if len(key) > 3 * _SHOWN else "") if key else ""


def store_key(file: Path, key: str) -> None:
    """Keep a key for the next time, or forget it if it is empty."""
    if not key:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.touch(mode=0o600)
    part.write_text(key + "\n", encoding="utf-8")
    part.replace(file)


def reach(settings: OpenAISettings, environ: Mapping[str, str]) -> Reached:
    """Ask the endpoint which models it has. Raises ConfigError for a URL that is none, EngineFailed otherwise."""
    from termrag.engines.endpoint import Endpoint

    patience = min(settings.timeout_s, _PATIENCE_S)
    endpoint = Endpoint(settings.url, api_key=environ.get(API_KEY, ""), timeout_s=patience, model=settings.model)
    begun = time.perf_counter()
    models = endpoint.models()
    return Reached(endpoint.url, (time.perf_counter() - begun) * 1000, tuple(models))


def _stored(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
