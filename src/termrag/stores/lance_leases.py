"""Leases in a small table beside the chunks: who may write to what, until when; decided by one conditional upsert."""

from __future__ import annotations

import time
from typing import Any

from termrag.stores import Lease
from termrag.stores.failures import guarded
from termrag.stores.filters import sql_text
from termrag.stores.lance_place import run
from termrag.stores.rows import KEY

_TABLE = "leases"
_TIDY_EVERY = 50  # each renewal is a version of the table


def take_lease(connection: Any, name: str, holder: str, until: float) -> Lease:
    """See `Store.take_lease`."""
    table = _table(connection)
    offered = _schema_table([{"name": name, "holder": holder, "until": until}])
    is_free = f"target.until < {time.time()} OR target.holder = {sql_text(holder)}"

    async def offer() -> None:
        await table.checkout_latest()  # whoever made the table at the same moment may have replaced it
        upsert = table.merge_insert("name").when_matched_update_all(where=is_free).when_not_matched_insert_all()
        await upsert.use_index(False).execute(offered)

    async def tidy() -> None:
        if await table.version() % _TIDY_EVERY == 0:
            await table.optimize()

    for work in (offer, tidy):
        guarded(lambda work=work: run(work()), refresh=lambda: run(table.checkout_latest()))  # type: ignore[misc]
    return _found(table, name) or Lease(name, holder, until)


def drop_lease(connection: Any, name: str, holder: str) -> None:
    """See `Store.drop_lease`."""
    table = _table(connection)
    where = f"name = {sql_text(name)} AND holder = {sql_text(holder)}"
    guarded(lambda: run(table.delete(where)), refresh=lambda: run(table.checkout_latest()))


def _found(table: Any, name: str) -> Lease | None:
    rows = guarded(lambda: run(table.query().where(f"name = {sql_text(name)}").limit(1).to_list()))
    return Lease(rows[0]["name"], rows[0]["holder"], rows[0]["until"]) if rows else None


def _table(connection: Any) -> Any:
    if _TABLE in guarded(lambda: run(connection.list_tables())).tables:
        return guarded(lambda: run(connection.open_table(_TABLE)))
    try:
        # Never `exist_ok`: of two that create at once it lets the second replace what the first has written.
        return run(connection.create_table(_TABLE, schema=_schema(), mode="create"))
    except (RuntimeError, ValueError, OSError):  # another was first
        return guarded(lambda: run(connection.open_table(_TABLE)))


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("name", pa.string(), nullable=False, metadata=KEY),
            pa.field("holder", pa.string()),
            pa.field("until", pa.float64()),
        ]
    )


def _schema_table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=_schema())
