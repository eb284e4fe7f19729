"""The façade's kept conversations."""

from __future__ import annotations

from termrag import conversing
from termrag.rag.door import Door
from termrag.turns import Session, SessionInfo, Turn


class Conversations(Door):
    """Conversations that are kept: listed, shown, changed, exported."""

    async def start_session(self) -> SessionInfo:
        """A new conversation; it is listed from its first turn on."""
        return await self._looks.run(conversing.start, self._parts)

    async def sessions(self, query: str = "", *, limit: int = 200, deleted: bool = False) -> list[SessionInfo]:
        """The last changed first; with a query those that hold its words, best first, with the place."""
        return await self._looks.run(conversing.list_sessions, self._parts, query, limit, deleted)

    async def session(self, reference: str) -> Session:
        """A conversation by id, unique beginning of one, or `last`, with how its sources stand. Raises NotFound."""
        return await self._looks.run(conversing.session, self._parts, reference)

    async def rename_session(self, reference: str, title: str) -> SessionInfo:
        return await self._looks.run(conversing.rename, self._parts, reference, title)

    async def delete_session(self, reference: str) -> SessionInfo:
        """Put it out of sight; `restore_session` brings it back until it is pruned."""
        return await self._looks.run(conversing.delete, self._parts, reference)

    async def restore_session(self, reference: str) -> SessionInfo:
        return await self._looks.run(conversing.restore, self._parts, reference)

    async def prune_sessions(self, older_than_s: float | None = None) -> int:
        """Remove deleted conversations for good, and those unchanged for so long; return how many."""
        return await self._looks.run(conversing.prune, self._parts, older_than_s)

    async def export_session(self, reference: str, form: str = "markdown") -> str:
        """As markdown, html or json. Raises NotFound, ConfigError for another form."""
        return await self._looks.run(conversing.export_session, self._parts, reference, form)

    async def import_session(self, text: str) -> SessionInfo:
        """Take in what `export_session` wrote as json. Raises ConfigError for anything else."""
        return await self._looks.run(conversing.import_session, self._parts, text)

    async def branches(self, turn_id: str) -> list[Turn]:
        """The turns that follow the same turn as this one, itself among them, oldest first. Raises NotFound."""
        return await self._looks.run(conversing.branches, self._parts, turn_id)

    async def choose_branch(self, turn_id: str) -> Session:
        """Make the branch through a turn the current one of its conversation. Raises NotFound."""
        return await self._looks.run(conversing.choose_branch, self._parts, turn_id)
