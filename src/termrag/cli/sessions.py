"""`termrag sessions`: the kept conversations, listed, shown, found, exported, renamed and removed."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.session import open_rag, read_stdin
from termrag.records import Support, Verdict
from termrag.turns import Freshness, TurnState
from termrag.wire import citations, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from termrag.rag import Rag
    from termrag.turns import Session, SessionInfo, Turn

_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0, "m": 2_592_000.0, "y": 31_536_000.0}
_STALE = {Freshness.CHANGED: "a source has changed since", Freshness.GONE: "a source is gone"}


@click.group(
    epilog="""\b
Examples:
  termrag sessions list
  termrag sessions show last
  termrag sessions search "notice period"
  termrag sessions export 3f2a --format html > lease.html"""
)
def sessions() -> None:
    """List, show, search, export and remove conversations. An id may be cut to its first four signs or more; `last`
    is the one that changed last."""


def _with_rag(ctx: click.Context, work: Callable[[Rag], Coroutine[Any, Any, None]]) -> None:
    async def run() -> int:
        async with open_rag(ctx) as rag:
            await work(rag)
        return 0

    output.run_async(run)


@sessions.command("list", epilog="Example: termrag sessions list --json | jq -r '.[].title'")
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--deleted", is_flag=True, help="Those that were removed and can be restored.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
def list_(ctx: click.Context, *, limit: int, deleted: bool, as_json: bool) -> None:
    """List conversations, the last changed first."""

    async def work(rag: Rag) -> None:
        _show_list(await rag.sessions(limit=limit, deleted=deleted), as_json=as_json)

    _with_rag(ctx, work)


@sessions.command(epilog='Example: termrag sessions search "notice period"')
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
def search(ctx: click.Context, *, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find conversations by what was asked or answered in them."""

    async def work(rag: Rag) -> None:
        _show_list(await rag.sessions(" ".join(words), limit=limit), as_json=as_json)

    _with_rag(ctx, work)


def _show_list(found: list[SessionInfo], *, as_json: bool) -> None:
    if as_json:
        output.out_json([plain(info) for info in found])
        return
    rows = [
        (
            info.id[:8],
            _moment(info.changed_at),
            str(info.turns),
            output.one_line(info.title),
            output.one_line(info.snippet),
        )
        for info in found
    ]
    for line in output.table(rows, header=("ID", "CHANGED", "TURNS", "TITLE", "") if rows else ()):
        output.out(line.rstrip())


@sessions.command(epilog="Example: termrag sessions show last")
@click.argument("reference", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, *, reference: str, as_json: bool) -> None:
    """Show a conversation: questions, answers, sources, and whether these have changed since."""

    async def work(rag: Rag) -> None:
        session = await rag.session(reference)
        if as_json:
            output.out_json(plain(session))
        else:
            _show_session(session)

    _with_rag(ctx, work)


def _show_session(session: Session) -> None:
    output.out(output.styled(output.one_line(session.info.title), bold=True))
    for turn in session.turns:
        output.out(f"\n{output.styled('> ' + output.printable(turn.question), bold=True)}")
        output.out(output.printable(_said(turn)))
        for citation in citations(turn.answer) if turn.answer else []:
            output.out(output.styled(f"[{citation.number}] {output.one_line(citation.place)}", dim=True))
        if turn.freshness in _STALE:
            output.out(output.styled(f"({_STALE[turn.freshness]})", fg="yellow"))


def _said(turn: Turn) -> str:
    answer = turn.answer
    if turn.state is TurnState.FAILED:
        return f"(failed: {turn.error})"
    if answer is None:
        return "(stopped before anything came)"
    if answer.verdict is Verdict.NOT_FOUND:
        return f"(not in the documents: {answer.reason})"
    doubtful = sum(each.support is Support.UNSUPPORTED for each in answer.sentences)
    marks = [f"{doubtful} of {len(answer.sentences)} sentences without support"] if doubtful else []
    marks += ["stopped"] if turn.state is TurnState.STOPPED else []
    return answer.cited_text + (f"\n({', '.join(marks)})" if marks else "")


@sessions.command(epilog='Example: termrag sessions rename last "Lease 2025"')
@click.argument("reference", metavar="ID")
@click.argument("title")
@click.pass_context
def rename(ctx: click.Context, *, reference: str, title: str) -> None:
    """Give a conversation another title."""
    if not title.strip():
        raise click.UsageError('A title needs a sign. Example: termrag sessions rename last "Lease 2025"', ctx)

    async def work(rag: Rag) -> None:
        info = await rag.rename_session(reference, title)
        output.note(f"{info.id[:8]} is now called {output.one_line(info.title)}")

    _with_rag(ctx, work)


@sessions.command(epilog="Example: termrag sessions export last --format html -o lease.html")
@click.argument("reference", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(["markdown", "html", "json"]), default="markdown", show_default=True
)
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="Instead of stdout.")
@click.pass_context
def export(ctx: click.Context, *, reference: str, form: str, file: Path | None) -> None:
    """Write a conversation with its sources: markdown or html to read, json to import elsewhere."""

    async def work(rag: Rag) -> None:
        text = await rag.export_session(reference, form)
        if file is None:
            output.out(text, end="")
        else:
            file.write_text(text, encoding="utf-8")
            output.note(f"written to {file}")

    _with_rag(ctx, work)


@sessions.command("import", epilog="Example: termrag sessions import lease.json")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.pass_context
def import_(ctx: click.Context, *, file: Path) -> None:
    """Take in a conversation that `export --format json` wrote. `-` reads standard input."""
    text = read_stdin() if str(file) == "-" else file.read_text(encoding="utf-8", errors="replace")

    async def work(rag: Rag) -> None:
        info = await rag.import_session(text)
        output.out(info.id)

    _with_rag(ctx, work)


@sessions.command(epilog="Example: termrag sessions rm 3f2a")
@click.argument("references", metavar="ID...", nargs=-1, required=True)
@click.pass_context
def rm(ctx: click.Context, *, references: tuple[str, ...]) -> None:
    """Remove conversations; `restore` brings them back until `prune`."""

    async def work(rag: Rag) -> None:
        for reference in references:
            info = await rag.delete_session(reference)
            output.note(f"removed {output.one_line(info.title)}; undo: termrag sessions restore {info.id[:8]}")

    _with_rag(ctx, work)


@sessions.command(epilog="Example: termrag sessions restore 3f2a")
@click.argument("reference", metavar="ID")
@click.pass_context
def restore(ctx: click.Context, *, reference: str) -> None:
    """Bring back a conversation that was removed."""

    async def work(rag: Rag) -> None:
        info = await rag.restore_session(reference)
        output.note(f"{output.one_line(info.title)} is back")

    _with_rag(ctx, work)


@sessions.command(epilog="Example: termrag sessions prune --older-than 1y")
@click.option("--older-than", "age", metavar="AGE", help="Also those unchanged for so long: 36h, 30d, 8w, 6m, 1y.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def prune(ctx: click.Context, *, age: str | None, yes: bool) -> None:
    """Remove for good what was removed, and what is older than AGE."""
    older_than_s = _seconds(age)
    if age and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("This cannot be undone: add --yes.", ctx)
        click.confirm(f"Remove all conversations unchanged for {age}, for good?", abort=True, err=True)

    async def work(rag: Rag) -> None:
        gone = await rag.prune_sessions(older_than_s)
        output.note(f"{gone} conversations are gone for good")

    _with_rag(ctx, work)


def _seconds(age: str | None) -> float | None:
    if age is None:
        return None
    found = re.fullmatch(r"(\d+)([hdwmy])", age)
    if not found:
        raise click.BadParameter(f"{age!r} is not an age like 30d or 1y", param_hint="--older-than")
    return int(found[1]) * _UNITS[found[2]]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 - the user's own clock
