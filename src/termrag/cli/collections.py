"""`termrag collections`: named libraries, each with its own documents, settings and conversations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from termrag.cli import output
from termrag.cli.session import open_rag
from termrag.wire import plain

if TYPE_CHECKING:
    from termrag.collections import Collection
    from termrag.rag import Rag

_json = click.option("--json", "as_json", is_flag=True, help="JSON.")


@click.group(
    epilog="""\b
Examples:
  termrag collections create work
  termrag -C work add ~/work
  termrag -C work -C home search "rent"
  termrag -C all ask "When is the rent due?"
  termrag -C work config set retrieval.passages 6"""
)
def collections() -> None:
    """List, make, rename and remove named libraries."""


@collections.command("list", epilog="Example: termrag collections list --json | jq -r '.[].name'")
@_json
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the collections with what they hold; a star marks the one that is meant."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            found = await rag.collections()
        if as_json:
            output.out_json(plain(found))
            return 0
        rows = [
            (
                "*" if each.is_chosen else " ",
                each.name,
                str(each.documents),
                str(each.chunks),
                output.one_line(each.folder),
            )
            for each in found
        ]
        for line in output.table(rows, header=(" ", "NAME", "DOCUMENTS", "CHUNKS", "FOLDER")):
            output.out(line)
        return 0

    output.run_async(work)


@collections.command(epilog="Example: termrag collections create work && termrag -C work add ~/work")
@click.argument("name")
@_json
@click.pass_context
def create(ctx: click.Context, name: str, *, as_json: bool) -> None:
    """Make an empty collection."""
    _change(
        ctx,
        lambda rag: rag.create_collection(name),
        lambda _: f"collection {name}; fill it: termrag -C {name} add PATH",
        as_json=as_json,
    )


@collections.command(epilog="Example: termrag collections rename work office")
@click.argument("name")
@click.argument("new_name", metavar="NEW")
@_json
@click.pass_context
def rename(ctx: click.Context, name: str, new_name: str, *, as_json: bool) -> None:
    """Give a collection another name."""
    _change(
        ctx,
        lambda rag: rag.rename_collection(name, new_name),
        lambda _: f"collection {name} is {new_name} now",
        as_json=as_json,
    )


@collections.command(epilog="Example: termrag collections rm office --yes")
@click.argument("name")
@click.option("--yes", "sure", is_flag=True, help="Also one that holds documents.")
@_json
@click.pass_context
def rm(ctx: click.Context, name: str, *, sure: bool, as_json: bool) -> None:
    """Remove a collection with its index and conversations. The indexed files stay where they are."""
    _change(
        ctx,
        lambda rag: rag.remove_collection(name, sure=sure),
        lambda gone: f"collection {name} is removed ({gone.documents} documents)",
        as_json=as_json,
    )


def _change(
    ctx: click.Context,
    change: Callable[[Rag], Awaitable[Collection]],
    words: Callable[[Collection], str],
    *,
    as_json: bool,
) -> None:
    """Change a collection, and say what it is now: as JSON, or in `words`."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            now = await change(rag)
        if as_json:
            output.out_json(plain(now))
        else:
            output.note(words(now))
        return 0

    output.run_async(work)
