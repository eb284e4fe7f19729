"""`termrag models`: the catalogue, and what of it is on this machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.session import open_rag
from termrag.events import Downloading, Preparing, PullEvent, Verified
from termrag.wire import event, plain

if TYPE_CHECKING:
    from termrag.records import ModelInfo


@click.group(epilog="Example: termrag models pull llama-3.2-1b")
def models() -> None:
    """List, fetch, choose and remove models."""


@models.command("list", epilog="Example: termrag models list --json")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the catalogue; `*` marks the models in use."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            known = await rag.models()
        if as_json:
            output.out_json([plain(model) | {"is_here": model.is_here} for model in known])
            return 0
        rows = [_row(model) for model in known]
        for line in output.table(rows, header=("", "NAME", "ROLE", "SIZE", "HERE", "LICENCE", "WHAT IT IS")):
            output.out(line)
        return 0

    output.run_async(work)


def _row(model: ModelInfo) -> tuple[str, ...]:
    return (
        "*" if model.active else " ",
        model.name,
        model.role,
        output.size(model.size_bytes),
        "yes" if model.is_here else "no",
        model.licence,
        model.description,
    )


@models.command(epilog="Example: termrag models pull smollm2-135m")
@click.argument("name", required=False)
@click.option("--engine", help="Fetch the form that this engine loads, such as mlx or llamacpp.")
@click.option("--starter", is_flag=True, help="The small models that need no model hub: enough to begin with.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")
@click.pass_context
def pull(
    ctx: click.Context, *, name: str | None, engine: str | None, starter: bool, as_json: bool, quiet: bool
) -> None:
    """Fetch a model, check it against its known hash and put it in place. An interrupted fetch goes on where it was."""
    if not name and not starter:
        raise click.UsageError("Which one? termrag models list shows the names; --starter takes the small ones.", ctx)
    rag = open_rag(ctx, alone=True)

    async def work() -> int:
        async with rag:
            names = [name] if name else await rag.starter_models()
            for each in names:
                async with contextlib.aclosing(rag.pull(each, engine=engine)) as events:
                    async for item in events:
                        _draw_pull(item, as_json=as_json, quiet=quiet)
        return 0

    output.run_async(work)


def _draw_pull(item: PullEvent, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        output.out_json(event(item), lines=True)
        return
    match item:
        case Downloading(file=file, done_bytes=done, total_bytes=total):
            share = f"{100 * done // total:3d} % of " if total else ""
            output.progress(f"{file}: {share}{output.size(total or done)}")
        case Preparing(what=what):
            output.progress(what)
        case Verified(file=file, path=path) if not quiet:
            output.note(f"verified {file}: {output.one_line(path)}")
        case _:
            pass


@models.command(epilog="Example: termrag models rm smollm2-135m")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def rm(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Delete a model's files from this machine."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            freed = await rag.remove_model(name)
        if as_json:
            output.out_json({"removed": name, "freed_bytes": freed})
        else:
            output.note(f"removed {name}, {output.size(freed)} freed")
        return 0

    output.run_async(work)


@models.command(epilog="Example: termrag models use smollm2-135m")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def use(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Make a model the one that answers (or embeds): written to the configuration file."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            said = await rag.use(name)
            chosen = await rag.model(name)
        if as_json:
            output.out_json(plain(chosen) | {"active": True, "is_here": chosen.is_here})
        else:
            output.note(said)
        return 0

    output.run_async(work)


@models.command(epilog="Example: termrag models show llama-3.2-1b --json")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Show one model: licence, size, engines, files."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            model = await rag.model(name)
            files = [plain(each) for each in await rag.model_files(name)]
        if as_json:
            output.out_json(plain(model) | {"is_here": model.is_here, "origins": files})
            return 0
        for line in output.table([(key, _cell(value)) for key, value in plain(model).items()]):
            output.out(line)
        output.out("")
        for line in output.table([_origin(each) for each in files], header=("ENGINE", "FILE", "SIZE", "HASH", "FROM")):
            output.out(line)
        return 0

    output.run_async(work)


def _origin(file: dict[str, Any]) -> tuple[str, ...]:
    return (file["engine"], file["name"], output.size(file["size_bytes"]), file["trust"], file["origin"])


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {entry}" for key, entry in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)
