"""Which documents a request means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from termrag.records import Filters
from termrag.server.faults import Refused

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.server.shapes import FilterBody


async def filters_of(rag: Rag, body: FilterBody) -> Filters:
    """Raises NotFound for a document that is not there, Refused (422) for what is no day."""
    ids = [(await rag.document(reference)).id for reference in body.documents]
    return Filters(
        globs=body.globs,
        types=tuple(suffix.lstrip(".").lower() for suffix in body.types),
        after_ns=_nanoseconds(body.after, "after"),
        before_ns=_nanoseconds(body.before, "before"),
        document_ids=tuple(ids),
    )


def _nanoseconds(day: str, name: str) -> int | None:
    if not day:
        return None
    try:
        return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    except ValueError:
        raise Refused(422, "invalid", f"filters.{name}: not a day like 2026-01-31", "see /openapi.json") from None
