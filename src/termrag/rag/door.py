"""What every part of the façade works with: settings, the lanes, and the parts behind them.

`models` computes; `disk` changes documents and index, a file or a commit at a time, and waits there for a server that
is away; `care` puts the index in order. Nobody who only reads waits for these: `looks` reads ledger, conversations and
settings, and opens no store and no model; `searches` reads the index; what answers rest on is found beside them, in
`evidence`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from termrag import connection
from termrag.collections import load_settings
from termrag.config import Config, all_settings, forget_setting, write_setting
from termrag.errors import ConfigError
from termrag.lane import Lane
from termrag.parts import Parts
from termrag.paths import Paths, default_paths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEARCHES = 4  # at once: much of one is waiting, for the models lane and for the store
QUESTIONS = 2  # whose evidence is looked for at once: they wait longer for the model than for this


class Door:
    """One library with its models: opened, changed and closed here, used through the classes beside."""

    def __init__(
        self,
        config: Config | None = None,
        paths: Paths | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        members: Mapping[str, tuple[Config, Paths]] | None = None,
        host: Door | None = None,
    ) -> None:
        """`members` are collections that are asked together; `host` lends its threads and models."""
        self.paths = paths or default_paths()
        self._given = os.environ if environ is None else environ
        self._environ = connection.with_stored_key(self._given, self.paths)
        self.config = config or load_settings(self.paths, self._given)
        self._host = host
        self._models: Lane = host._models if host else Lane("models")
        self._searches: Lane = host._searches if host else Lane("searches", SEARCHES)
        self._evidence: Lane = host._evidence if host else Lane("evidence", QUESTIONS)
        self._disk: Lane = host._disk if host else Lane("disk")
        self._looks: Lane = host._looks if host else Lane("looks")
        self._care: Lane = host._care if host else Lane("care")
        self._parts = self._made_parts(members or {})

    def _made_parts(self, members: Mapping[str, tuple[Config, Paths]]) -> Parts:
        lender = self._host._parts if self._host else None
        if not members:
            return Parts(self.config, self.paths, self._environ, lender=lender)
        from termrag.together import Together

        return Together(self.config, self.paths, self._environ, members, lender=lender)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._host:
            for lane in (self._searches, self._evidence, self._care):
                await asyncio.to_thread(lane.close)  # a search still in hand would open all again
        await self._models.run(self._parts.close_models)
        await self._disk.run(self._parts.close)
        if not self._host:
            for lane in (self._models, self._disk, self._looks):
                lane.close()

    async def change(self, section: str, key: str, value: object, *, save: bool = True) -> None:
        """Set one setting, in force from the next question on, and kept in the configuration file if `save`. A model
        that is replaced finishes its answers. Raises ConfigError."""
        config = self.config.with_values({section: {key: value}}, f"{section}.{key}")
        if save:
            await self._looks.run(write_setting, self.paths.settings_file, section, key, value)
        await self.take_over(config)

    async def reset(self, section: str, key: str) -> object:
        """Let a setting's default hold again, here and in the configuration file, and return it. Raises ConfigError."""
        known = next((each for each in all_settings() if (each.section, each.key) == (section, key)), None)
        if known is None:
            raise ConfigError(f"unknown setting {section}.{key}", "termrag config show lists them all")
        await self._looks.run(forget_setting, self.paths.settings_file, section, key)
        value = known.default
        if self.paths.collection:  # what the user's own settings say
            value = getattr(getattr(load_settings(self.paths, self._given), section), key)
        await self.take_over(self.config.with_values({section: {key: value}}, f"{section}.{key}"))
        return value

    async def take_over(self, config: Config) -> None:
        """Work with other settings from the next question on. A model that is replaced finishes its answers."""
        self.config = config
        await self._models.run(self._parts.change, config)

    def _embed_elsewhere(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors for another lane: computed there, if the embedder is for several threads; else on the models lane, a
        few texts at a time, so that a chat there keeps its turns."""
        if self._parts.embedder().is_parallel:
            return self._parts.embed(texts)
        parts = self._batches(texts)
        return in_order(parts, [self._models.call(self._parts.embed, [texts[each] for each in part]) for part in parts])

    def _batches(self, texts: Sequence[str]) -> list[list[int]]:
        """Indexes of texts of about one length, few enough for whoever else waits for the models to have a turn."""
        batch = self._parts.embedder().batch
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        return [order[start : start + batch] for start in range(0, len(order), batch)]


def in_order(parts: Sequence[Sequence[int]], vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The vectors of the parts, each where its index says."""
    import numpy as np

    together = np.concatenate(vectors)
    ordered = np.empty_like(together)
    ordered[[index for part in parts for index in part]] = together
    return ordered
