"""The façade: the one asynchronous door that every face uses. Parts load on first use and are closed at the end.

    async with Rag(config) as rag:
        async for event in rag.ask("When does the last ferry leave?"): ...

Models run on one lane, changes of documents on another, whatever only reads beside them; leaving a stream stops its
compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from termrag.rag.asking import Asking, SearchMode
from termrag.rag.collections import Collections
from termrag.rag.conversations import Conversations
from termrag.rag.folders import Folders
from termrag.rag.index import Index
from termrag.rag.library import Library
from termrag.rag.models import Models
from termrag.records import Status

if TYPE_CHECKING:
    from termrag.doctor import Finding

__all__ = ["Rag", "SearchMode"]


class Rag(Asking, Conversations, Library, Index, Folders, Collections, Models):
    """One library with its models. Safe for one event loop; several processes may open the same library at once."""

    async def status(self) -> Status:
        """What there is. Loads neither model nor store."""
        from termrag.status import take_status

        return await self._looks.run(take_status, self._parts)

    async def examine(self) -> list[Finding]:
        """What may be wrong, each with what mends it."""
        from termrag.doctor import examine

        return await self._searches.run(examine, self._parts)
