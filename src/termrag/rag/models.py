"""The façade's models: known, fetched, chosen, loaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from termrag import connection, fetching
from termrag.connection import Reached
from termrag.events import AskEvent, PullEvent
from termrag.rag.door import Door
from termrag.records import ModelInfo

if TYPE_CHECKING:
    from termrag.models import FileOrigin


class Models(Door):
    """The models on this machine, and which of them is in use."""

    async def models(self) -> list[ModelInfo]:
        """The catalogue, with what is here and what is in use."""
        return await self._looks.run(fetching.models, self._parts)

    async def model(self, name: str) -> ModelInfo:
        """One model. Raises NotFound."""
        return await self._looks.run(fetching.model, self._parts, name)

    async def model_files(self, name: str) -> list[FileOrigin]:
        """Where each file of a catalogue model comes from, and how far its hash can be trusted. Raises NotFound."""
        return await self._looks.run(fetching.origins, self._parts, name)

    async def starter_models(self) -> list[str]:
        """The names of the models that need no model hub: enough to begin with."""
        return [self.config.models.starter, self.config.models.embedding]

    async def pull(self, name: str, *, engine: str | None = None) -> AsyncGenerator[PullEvent, None]:
        """Fetch, verify and place a model. Raises NotFound or ModelMissing."""
        async with aclosing(self._disk.stream(lambda: fetching.pull(self._parts, name, engine))) as events:
            async for event in events:
                yield event

    async def remove_model(self, name: str) -> int:
        """Delete a model's files and return the bytes freed."""
        return await self._disk.run(fetching.remove_model, self._parts, name)

    async def use(self, name: str) -> str:
        """Make a model the chosen one, here and in the configuration file, and say what was written."""
        info = await self.model(name)
        key = "embedding" if info.role == "embedding" else "chat"
        await self.change("models", key, name)
        if key == "chat" and self.config.models.engine == "openai":
            await self.change("models", "engine", "auto")  # the endpoint would go on answering
        missing = "" if info.is_here else f"; fetch it with: termrag models pull {name}"
        return f"models.{key} = {name}{missing}"

    async def use_remote(self, model: str) -> None:
        """Let the endpoint's model answer from the next question on; kept in the configuration file."""
        await self.change("openai", "model", model)
        await self.change("models", "engine", "openai")

    async def reach_endpoint(self) -> Reached:
        """Ask the endpoint which models it has; waits for no answer or ingest in hand. Raises ConfigError or
        EngineFailed."""
        return await asyncio.to_thread(connection.reach, self.config.openai, self._environ)

    @property
    def api_key(self) -> str:
        """The endpoint's key, masked; empty if there is none."""
        return connection.masked_key(self._environ)

    @property
    def is_api_key_given(self) -> bool:
        """Whether the environment names the key, so that one stored here would not be heard."""
        return bool(self._given.get(connection.API_KEY))

    async def set_api_key(self, key: str) -> None:
        """Keep the endpoint's key in a file of the user's own; an empty one is forgotten."""
        await self._looks.run(connection.store_key, self.paths.api_key_file, key)
        self._environ = connection.with_stored_key(self._given, self.paths)
        await self._models.run(self._parts.change_environ, self._environ)

    def write_at_once(self, answers: int) -> None:
        """Let a local model write so many answers at the same time, from its next loading on; each takes memory for a
        context of its own. What is asked beyond that waits."""
        self._parts.chats.slots = answers

    @property
    def loaded_model(self) -> str | None:
        """The chat model that is in memory."""
        chat = self._parts.chats.current
        return chat.engine.model if chat else None

    async def load_models(self) -> AsyncGenerator[AskEvent, None]:
        """Make the models ready for the next question. Raises ModelMissing or EngineFailed."""
        async with aclosing(self._models.stream(self._parts.load_models)) as events:
            async for event in events:
                yield event

    async def unload_models(self) -> None:
        """Free the models; the next use loads them again. An answer in hand keeps its model until it ends."""
        await self._models.run(self._parts.unload_models)
