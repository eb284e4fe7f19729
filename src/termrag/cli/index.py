"""`termrag index`: the index as a whole, looked at, cared for, carried elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.library import draw_ingest
from termrag.cli.session import open_rag
from termrag.events import Copied, Copying, Examined, Failed, Progress
from termrag.wire import plain

if TYPE_CHECKING:
    from termrag.events import CopyEvent
    from termrag.indexstate import IndexReport, IndexStats
    from termrag.rag import Rag

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group(
    epilog="""\b
Examples:
  termrag index verify --fix
  termrag index backup ~/backups/notes
  termrag index migrate --to qdrant"""
)
def index() -> None:
    """Look at the index as a whole, care for it, carry it elsewhere."""


@index.command(epilog="Example: termrag index stats --json | jq .fragments")
@_json
@click.pass_context
def stats(ctx: click.Context, *, as_json: bool) -> None:
    """Show what the index holds, where it lies, and what made it."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            found = await rag.index_stats()
        if as_json:
            output.out_json(plain(found))
        else:
            for line in output.table(_stats_rows(found)):
                output.out(line)
        return 0

    output.run_async(work)


def _stats_rows(found: IndexStats) -> list[tuple[str, str]]:
    waiting = f", {found.waiting} wait for their vectors" if found.waiting else ""
    unindexed = (
        f", {found.unindexed_chunks} chunks not yet in it" if found.vector_index and found.unindexed_chunks else ""
    )
    return [
        ("store", f"{found.store}, {output.size(found.size_bytes)}"),
        ("place", output.one_line(found.place)),
        ("ledger", f"{found.documents} documents, {found.chunks} chunks{waiting}"),
        ("stored", f"{found.stored_documents} documents, {found.stored_chunks} chunks in {found.fragments} fragments"),
        ("vector index", f"{found.vector_index or 'none: every vector is compared'}{unindexed}"),
        ("embedding", f"{found.embedder}, {found.dimension} dimensions"),
        ("chunker", found.chunker),
        ("analyser", found.analyzer),
    ]


@index.command(epilog="Example: termrag index optimize")
@_json
@click.pass_context
def optimize(ctx: click.Context, *, as_json: bool) -> None:
    """Compact what many small changes have left, and bring the indexes up to date."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            before = await rag.index_stats()
            output.progress("compacting…")
            await rag.optimize()
            after = await rag.index_stats()
        output.clear_line()
        if as_json:
            output.out_json({"before": plain(before), "after": plain(after)})
        else:
            output.note(
                f"{before.fragments} fragments became {after.fragments}, "
                f"{output.size(before.size_bytes)} became {output.size(after.size_bytes)}"
            )
        return 0

    output.run_async(work)


@index.command(epilog="Example: termrag config set models.embedding multilingual-e5-small && termrag index rebuild")
@click.option("--yes", is_flag=True, help="Also an index that other machines use.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@click.option("--jsonl", is_flag=True, help="One JSON object per event, as it happens.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures.")
@click.pass_context
def rebuild(ctx: click.Context, /, **options: Any) -> None:
    """Make the index anew from the files, for another embedding model or chunk size."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            return await draw_ingest(rag.ingest([], rebuild=True, sure=options["yes"]), options)

    output.run_async(work)


# --- carried elsewhere -------------------------------------------------------------------------------------------


@index.command(epilog="Example: termrag index export notes-index && scp -r notes-index other:")
@click.argument("folder")
@_json
@click.pass_context
def export(ctx: click.Context, folder: str, *, as_json: bool) -> None:
    """Write documents, chunks and vectors to a new FOLDER (Parquet and a manifest)."""
    _copy(ctx, lambda rag: rag.export_index(folder), "exported to", as_json=as_json)


@index.command("import", epilog="Example: termrag -C colleagues index import notes-index")
@click.argument("folder")
@click.option("--yes", "replace", is_flag=True, help="Replace the library's documents, if it has any.")
@_json
@click.pass_context
def import_(ctx: click.Context, folder: str, *, replace: bool, as_json: bool) -> None:
    """Fill an empty library from what `export` wrote."""
    _copy(ctx, lambda rag: rag.import_index(folder, replace=replace), "imported into", as_json=as_json)


@index.command(epilog="Example: termrag index backup ~/backups/$(date +%F)")
@click.argument("folder")
@_json
@click.pass_context
def backup(ctx: click.Context, folder: str, *, as_json: bool) -> None:
    """Write the whole library to a new FOLDER, while it is in use."""
    _copy(ctx, lambda rag: rag.back_up_index(folder), "backed up to", as_json=as_json)


@index.command(epilog="Example: termrag index restore ~/backups/2026-11-26 --yes")
@click.argument("folder")
@click.option("--yes", "replace", is_flag=True, help="Replace the library as it is now.")
@_json
@click.pass_context
def restore(ctx: click.Context, folder: str, *, replace: bool, as_json: bool) -> None:
    """Make the library what it was when `backup` wrote FOLDER."""
    _copy(ctx, lambda rag: rag.restore_index(folder, replace=replace), "restored into", as_json=as_json)


@index.command(
    epilog="""\b
Examples:
  termrag index migrate --to qdrant
  termrag index migrate --to s3://bucket/notes
  termrag index migrate --to lancedb --drop-source

Interrupted, it goes on where it was when it is run again."""
)
@click.option("--to", "target", required=True, metavar="STORE", help="lancedb, qdrant, or a URI for LanceDB's tables.")
@click.option("--drop-source", is_flag=True, help="Delete the old index when the new one is verified and in use.")
@click.option("--yes", "replace", is_flag=True, help="Replace an index that is there already.")
@_json
@click.pass_context
def migrate(ctx: click.Context, /, target: str, **options: Any) -> None:
    """Move the index to another store, and use that one from then on."""
    _copy(
        ctx,
        lambda rag: rag.migrate_index(target, drop_source=options["drop_source"], replace=options["replace"]),
        "moved to",
        as_json=options["as_json"],
    )


def _copy(
    ctx: click.Context, start: Callable[[Rag], AsyncGenerator[CopyEvent, None]], done: str, *, as_json: bool
) -> None:
    async def work() -> int:
        copied: Copied | None = None
        async with open_rag(ctx) as rag, contextlib.aclosing(start(rag)) as events:
            async for event in events:
                match event:
                    case Copying():
                        _draw(event)
                    case Copied():
                        copied = event
        output.clear_line()
        assert copied is not None
        if as_json:
            output.out_json(plain(copied))
            return 0
        output.note(
            f"{done} {output.one_line(copied.place)}: {copied.documents} documents, {copied.chunks} chunks, "
            f"{output.size(copied.size_bytes)} in {output.duration(copied.seconds)}"
        )
        for text in copied.notes:
            output.note(f"note: {output.one_line(text)}")
        return 0

    output.run_async(work)


def _draw(event: Copying) -> None:
    count = f"{event.done}/{event.total}"
    if event.stage == "checking files":
        count = f"{output.size(event.done)} of {output.size(event.total)}"
    output.progress(f"{event.stage}  {count}, {output.duration(event.eta_s)} left")


# --- verified ----------------------------------------------------------------------------------------------------


@index.command(
    epilog="""\b
Examples:
  termrag index verify
  termrag index verify --fix --json | jq .problems

Exit code 1: something is wrong and was not mended."""
)
@click.option("--fix", is_flag=True, help="Mend what is wrong: read again, take out, embed, index.")
@_json
@click.pass_context
def verify(ctx: click.Context, *, fix: bool, as_json: bool) -> None:
    """Read every row, hold the ledger against the store, and measure how well the index finds."""

    async def work() -> int:
        report: IndexReport | None = None
        async with open_rag(ctx) as rag, contextlib.aclosing(rag.verify_index(fix=fix)) as events:
            async for event in events:
                match event:
                    case Copying():
                        _draw(event)
                    case Progress():
                        output.progress(f"{event.files_done}/{event.files_total} files, {event.chunks_done} chunks")
                    case Failed(path, message):
                        output.note(f"failed: {output.one_line(path)}: {message}")
                    case Examined(report):
                        pass
        output.clear_line()
        assert report is not None
        if as_json:
            output.out_json({**plain(report), "is_sound": report.is_sound})
        else:
            _show_report(report)
        return 0 if report.is_sound else 1

    output.run_async(work)


def _show_report(report: IndexReport) -> None:
    for problem in report.problems:
        what = f"{problem.kind}: {problem.path}: " if problem.path else f"{problem.kind}: "
        mended = f" ({problem.mended})" if problem.mended else ""
        output.out(output.one_line(f"{what}{problem.detail}{mended}"))
    recall = "" if report.recall is None else f", recall@10 {report.recall:.3f}"
    output.note(f"{report.documents} documents, {report.chunks} chunks, {len(report.problems)} problems{recall}")
    if not report.is_sound:
        output.note("hint: termrag index verify --fix")
