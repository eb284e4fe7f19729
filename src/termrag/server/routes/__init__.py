"""The endpoints by theme. Each module has a tuple OPERATIONS; this table is all there is."""

from __future__ import annotations

from termrag.server.operations import Operation
from termrag.server.routes import asking, documents, index, mcp, models, openai, searching, sessions, standing, watching

OPERATIONS: tuple[Operation, ...] = (
    *standing.OPERATIONS,
    *asking.OPERATIONS,
    *searching.OPERATIONS,
    *documents.OPERATIONS,
    *index.OPERATIONS,
    *models.OPERATIONS,
    *sessions.OPERATIONS,
    *watching.OPERATIONS,
    *openai.OPERATIONS,
    *mcp.OPERATIONS,
)
