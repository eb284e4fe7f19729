"""The façade's collections: named libraries beside this one, and several of them asked together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from termrag import collections
from termrag.collections import Collection
from termrag.indexing import libraries
from termrag.rag.door import Door


class Collections(Door):
    """Named libraries."""

    async def collections(self) -> list[Collection]:
        """All of them, the default one first, with what they hold."""
        return await self._looks.run(libraries.list_collections, self._parts, self._given)

    async def create_collection(self, name: str) -> Collection:
        """Make an empty one. Raises ConfigError for a name that cannot be one or is taken."""
        return await self._disk.run(libraries.create_collection, self._parts, self._given, name)

    async def rename_collection(self, name: str, new_name: str) -> Collection:
        """Raises NotFound, ConfigError, LibraryBusy."""
        return await self._disk.run(libraries.rename_collection, self._parts, self._given, name, new_name)

    async def remove_collection(self, name: str, *, sure: bool = False) -> Collection:
        """Delete one with its index and conversations, and say what it was; the indexed files stay. Raises NotFound,
        LibraryBusy, and ConfigError for one that holds documents, unless `sure`."""

        def remove() -> Collection:
            return libraries.remove_collection(self._parts, self._given, name, sure=sure)

        return await self._disk.run(remove)

    def beside(self, names: Sequence[str]) -> Self:
        """The façade of another collection, or of several together, on this one's threads and with its models: for
        what serves many. Close it before this one. Raises NotFound with the list."""
        config, paths, members = collections.settings_of(names, self.paths.base, self._given)
        return type(self)(config, paths, self._given, members=members, host=self)
