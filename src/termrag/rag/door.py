"""What every part of the façade works with: settings, the lanes, and the parts behind them.

`models` computes, `disk` reads and writes documents, `looks` is for what must not wait for either: it opens no store
and no model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from termrag import connection
from termrag.config import Config, all_settings, forget_setting, load_config, write_setting
from termrag.errors import ConfigError
from termrag.lane import Lane
from termrag.parts import Parts
from termrag.paths import Paths, default_paths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBED_SLICE = 16  # texts embedded before whoever else waits for the models has a turn


class Door:
    """One library with its models: opened, changed and closed here, used through the classes beside."""

    def __init__(
        self, config: Config | None = None, paths: Paths | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self.paths = paths or default_paths()
        self.config = config or load_config(self.paths.config_file)
        self._models = Lane("models")
        self._disk = Lane("disk")
        self._looks = Lane("looks")
        self._given = os.environ if environ is None else environ
        self._environ = connection.with_stored_key(self._given, self.paths)
        self._parts = Parts(self.config, self.paths, self._environ)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._models.run(self._parts.close_models)
        await self._disk.run(self._parts.close)
        for lane in (self._models, self._disk, self._looks):
            lane.close()

    async def change(self, section: str, key: str, value: object, *, save: bool = True) -> None:
        """Set one setting, in force from the next question on, and kept in the configuration file if `save`. A model
        that is replaced finishes its answers. Raises ConfigError."""
        config = self.config.with_values({section: {key: value}}, f"{section}.{key}")
        if save:
            await self._disk.run(write_setting, self.paths.config_file, section, key, value)
        await self.take_over(config)

    async def reset(self, section: str, key: str) -> object:
        """Let a setting's default hold again, here and in the configuration file, and return it. Raises ConfigError."""
        known = next((each for each in all_settings() if (each.section, each.key) == (section, key)), None)
        if known is None:
            raise ConfigError(f"unknown setting {section}.{key}", "termrag config show lists them all")
        await self._disk.run(forget_setting, self.paths.config_file, section, key)
        await self.take_over(self.config.with_values({section: {key: known.default}}, f"{section}.{key}"))
        return known.default

    async def take_over(self, config: Config) -> None:
        """Work with other settings from the next question on. A model that is replaced finishes its answers."""
        self.config = config
        await self._models.run(self._parts.change, config)

    def _embed_from_disk(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors, computed on the models lane a few texts at a time, so that a chat there keeps its turns."""
        import numpy as np

        slices = [texts[start : start + EMBED_SLICE] for start in range(0, len(texts), EMBED_SLICE)]
        return np.concatenate([self._models.call(self._parts.embed, part) for part in slices])
