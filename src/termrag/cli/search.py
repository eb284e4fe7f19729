"""`termrag search`: passages for a query, with every score on request; asks no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.session import filters_of, no_host, open_rag

if TYPE_CHECKING:
    from termrag.records import Hit

_EPILOG = """\b
Examples:
  termrag search "ferry timetable"
  termrag search "type:pdf after:2026-01-01 rent" --explain
  termrag search "retry with back-off" --in src/ --files | xargs wc -l

A query may carry filters: type:pdf, in:contracts/, after:2026-01-31, before:2026-12-31. Exit code 3: nothing found."""


@click.command(epilog=_EPILOG)
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=8, show_default=True, help="How many hits.")
@click.option("--mode", type=click.Choice(["hybrid", "vector", "text"]), default="hybrid", show_default=True)
@click.option("--in", "within", multiple=True, metavar="GLOB", help="Only documents under this folder or glob.")
@click.option("--type", "types", multiple=True, metavar="SUFFIX", help="Only files of this type, such as pdf.")
@click.option("--after", metavar="DATE", help="Only files changed on or after this day.")
@click.option("--before", metavar="DATE", help="Only files changed before this day.")
@click.option("--explain", is_flag=True, help="Show every score and rank.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.option("--jsonl", is_flag=True, help="One JSON object per hit.")
@click.option("--files", is_flag=True, help="Only the paths, each once.")
@no_host
@click.pass_context
def search(ctx: click.Context, /, words: tuple[str, ...], **options: Any) -> None:
    """Find passages without asking a model."""
    rag = open_rag(ctx, several=True)
    filters = filters_of(options["within"], options["types"], options["after"], options["before"])

    async def work() -> int:
        async with rag:
            hits = await rag.search(" ".join(words), limit=options["limit"], filters=filters, mode=options["mode"])
            for notice in await rag.notices():
                output.note(notice)
        _show(hits, options)
        return 0 if hits else 3

    output.run_async(work)


def _show(hits: list[Hit], options: dict[str, Any]) -> None:
    from termrag.wire import plain

    if options["jsonl"]:
        for hit in hits:
            output.out_json(plain(hit), lines=True)
    elif options["as_json"]:
        output.out_json(plain(hits))
    elif options["files"]:
        for path in dict.fromkeys(hit.chunk.path for hit in hits):
            output.out(path)
    else:
        for rank, hit in enumerate(hits, 1):
            _show_hit(rank, hit, explain=options["explain"])
        if not hits:
            output.note("termrag: nothing found")


def _show_hit(rank: int, hit: Hit, *, explain: bool) -> None:
    from termrag.records import place

    chunk = hit.chunk
    within = f"{chunk.collection}: " if chunk.collection else ""
    where = output.styled(output.one_line(f"{within}{place(chunk)}"), bold=True)
    output.out(f"{rank}. {where}  {output.styled(output.one_line(chunk.path), dim=True)}")
    if explain:
        scores = hit.scores
        output.out(
            f"   fused {scores.fused:.4f} · cosine {_score(scores.cosine, scores.cosine_rank)}"
            f" · bm25 {_score(scores.bm25, scores.bm25_rank)}"
            f" · vector weight {scores.vector_weight:.2f} · coverage {scores.coverage:.2f}"
            f" · named {scores.named:.2f}"
        )
    text = " ".join(output.printable(chunk.text).split())
    output.out(f"   {text[:240]}{'…' if len(text) > 240 else ''}")


def _score(score: float | None, rank: int | None) -> str:
    return "-" if score is None else f"{score:.3f} (rank {rank})"
