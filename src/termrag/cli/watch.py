"""`termrag watch` and `termrag sync`: folders that stay in the index by themselves."""

from __future__ import annotations

import os
import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.library import draw_ingest
from termrag.cli.session import command_line, library, no_host, open_rag
from termrag.events import Failed, Held, Indexed, Moved, Notice, Progress, Removed
from termrag.wire import event, plain

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.service import Service
    from termrag.watcher import WatchEvent
    from termrag.watchstate import WatchedFolder, WatchStatus


class _Watch(click.Group):
    """A group whose own command is to watch: what is no subcommand is a folder or an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Watch,
    epilog="""\b
Examples:
  termrag watch ~/notes ~/papers        keep both in the index until Ctrl-C
  termrag watch                         the same for all remembered folders
  termrag watch --status                what the watching process is at
  termrag watch install                 at every login, as a service

What is no subcommand is a folder: `termrag watch run --help` lists the options.""",
)
def watch() -> None:
    """Keep folders in the index by themselves."""


@watch.command()
@click.argument("paths", nargs=-1)
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files like this, as in .gitignore.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No files like this, as in .gitignore.")
@click.option("--once", is_flag=True, help="Look once, then end.")
@click.option("--poll", is_flag=True, help="Look from time to time: for network file systems.")
@click.option("--yes", "sure", is_flag=True, help="Believe it at once if most of a folder is gone.")
@click.option("--status", "only_status", is_flag=True, help="Show what the watching process is at.")
@click.option("--json", "as_json", is_flag=True, help="JSON: one object per event, or the status.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures.")
@click.pass_context
def run(ctx: click.Context, /, paths: tuple[str, ...], *, only_status: bool, **options: Any) -> None:
    """Watch the given folders and all remembered ones, until Ctrl-C."""
    if only_status:
        _show_status_of(ctx, as_json=options["as_json"])
        return

    async def work() -> int:
        from termrag.daemon import keep_watching

        async with open_rag(ctx, alone=True) as rag:
            for path in paths:
                await rag.watch_folder(path, options["include"], options["exclude"])
            if not await rag.watched():
                raise click.UsageError("Which folders? Example: termrag watch ~/notes", ctx)
        show = _show_json if options["as_json"] else _Lines(quiet=options["quiet"]).show
        await keep_watching(
            lambda: open_rag(ctx, alone=True),
            show,
            begin_anew=lambda: _begin_anew(ctx, options),
            once=options["once"],
            poll=options["poll"],
            sure=options["sure"],
        )
        return 0

    output.run_async(work)


def _begin_anew(ctx: click.Context, options: dict[str, Any]) -> None:
    """Replace this process by a fresh one that watches the remembered folders, under the same number."""
    flags = [f"--{name}" for name, is_set in (("poll", options["poll"]), ("json", options["as_json"])) if is_set]
    quiet = ["--quiet"] if options["quiet"] else []
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *command_line(ctx), "watch", "run", *flags, *quiet])


@watch.command(epilog="Example: termrag watch add ~/notes --exclude 'drafts/'")
@click.argument("paths", nargs=-1, required=True)
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files like this, as in .gitignore.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No files like this, as in .gitignore.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of the folders.")
@click.pass_context
def add(
    ctx: click.Context, paths: tuple[str, ...], include: tuple[str, ...], exclude: tuple[str, ...], *, as_json: bool
) -> None:
    """Remember folders; a process that watches takes them up by itself."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            added = [await rag.watch_folder(path, include, exclude) for path in paths]
        if as_json:
            output.out_json(plain(added))
        for folder in added:
            output.note(f"watching {output.one_line(folder.path)}; index it now: termrag sync")
        return 0

    output.run_async(work)


@watch.command(epilog="Example: termrag watch rm ~/notes && termrag rm ~/notes")
@click.argument("paths", nargs=-1, required=True)
@click.pass_context
def rm(ctx: click.Context, paths: tuple[str, ...]) -> None:
    """Forget folders. Their documents stay in the index."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            for path in paths:
                await rag.unwatch(path)
        return 0

    output.run_async(work)


@watch.command(epilog="Example: termrag watch ls --json | jq -r '.[].path'")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
def ls(ctx: click.Context, *, as_json: bool) -> None:
    """List the remembered folders."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            folders = await rag.watched()
        if as_json:
            output.out_json(plain(folders))
        else:
            for folder in folders:
                output.out(_folder_line(folder))
        return 0

    output.run_async(work)


# --- as a service ------------------------------------------------------------------------------------------------


def _service(ctx: click.Context) -> Service:
    from termrag.paths import default_paths
    from termrag.service import service

    return service(
        [sys.executable, *command_line(ctx), "watch", "--quiet"],
        Path.home(),
        default_paths().log_file,
        library(ctx)[1].collection,
    )


@watch.command()
@click.option("--print", "only_print", is_flag=True, help="Print the file instead of writing it.")
@click.pass_context
def install(ctx: click.Context, *, only_print: bool) -> None:
    """Watch at every login: a systemd user unit, or a launchd agent on macOS."""
    from termrag import service

    wanted = _service(ctx)
    if only_print:
        output.out(wanted.text, end="")
        return
    service.install(wanted)
    output.note(f"installed and started: {wanted.file}")


@watch.command()
@click.pass_context
def uninstall(ctx: click.Context) -> None:
    """Stop the service and remove it. The folders stay remembered."""
    from termrag import service

    service.uninstall(_service(ctx))


@watch.command()
@click.pass_context
def start(ctx: click.Context) -> None:
    """Start the installed service."""
    from termrag import service

    service.control(_service(ctx).start)


@watch.command()
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop the service, or whichever process watches this library."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            pid = await rag.stop_watching()
        output.note(f"process {pid} no longer watches" if pid else "nothing watches this library")
        return 0

    output.run_async(work)


@watch.command()
@click.option("-n", "--lines", type=click.IntRange(1, 100_000), default=40, help="How many lines.")
def logs(lines: int) -> None:
    """Show the end of the log file."""
    from termrag.paths import default_paths

    file = default_paths().log_file
    if file.exists():
        with file.open(encoding="utf-8", errors="replace") as log:
            for line in deque(log, maxlen=lines):
                output.out(output.printable(line), end="")


# --- sync --------------------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  termrag sync
  termrag sync --dry-run"""
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", "sure", is_flag=True, help="Believe it at once if most of a folder is gone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@click.option("--jsonl", is_flag=True, help="One JSON object per event, as it happens.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures.")
@no_host
@click.pass_context
def sync(ctx: click.Context, /, *, dry_run: bool, sure: bool, **options: Any) -> None:
    """Make the index equal, now, to all watched folders and to everything that was added."""

    async def work() -> int:
        async with open_rag(ctx) as rag:
            if dry_run:
                return await _preview(rag, as_json=options["as_json"] or options["jsonl"])
            return await draw_ingest(rag.sync(sure=sure), options)

    output.run_async(work)


async def _preview(rag: Rag, *, as_json: bool) -> int:
    plan = await rag.preview_sync()
    if as_json:
        output.out_json(plan)
        return 0
    for what, paths in plan.items():
        for path in paths:
            output.out(f"{what:<6} {output.one_line(path)}")
    if not any(plan.values()):
        output.note("nothing to do")
    return 0


# --- what is shown -----------------------------------------------------------------------------------------------


def _show_json(item: WatchEvent) -> None:
    output.out_json(event(item), lines=True)


class _Lines:
    """One line on stderr for each thing that happened, with the time."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def show(self, item: WatchEvent) -> None:
        match item:
            case Failed(path, message):
                self._say(f"failed   {output.one_line(path)}: {message}")
            case Notice(text):
                self._say(text)
            case Held(path, count):
                self._say(
                    f"{count} documents of {output.one_line(path)} have no file any more; they stay until a second "
                    "look finds the same. At once: termrag sync --yes"
                )
            case Progress() if not self._quiet:
                output.progress(f"{item.files_done}/{item.files_total} files, {item.chunks_done} chunks")
            case Indexed(path=path, chunks=chunks) if not self._quiet:
                self._say(f"indexed  {output.one_line(path)} ({chunks} chunks)")
            case Moved(old, new) if not self._quiet:
                self._say(f"moved    {output.one_line(old)} -> {output.one_line(new)}")
            case Removed(path) if not self._quiet:
                self._say(f"removed  {output.one_line(path)}")
            case _:
                pass

    def _say(self, text: str) -> None:
        output.note(f"{datetime.now(UTC).astimezone():%H:%M:%S} {text}")


def _show_status_of(ctx: click.Context, *, as_json: bool) -> None:
    async def work() -> int:
        async with open_rag(ctx) as rag:
            now = await rag.watch_status()
            failed = (await rag.status()).failures
        if as_json:
            output.out_json({**plain(now), "failures": plain(failed)})
            return 0
        for line in output.table(_status_rows(now)):
            output.out(line)
        for folder in now.folders:
            output.out(_folder_line(folder))
        for document in failed:
            output.out(f"failed: {output.one_line(document.path)}: {document.error}")
        return 0

    output.run_async(work)


def _status_rows(now: WatchStatus) -> list[tuple[str, str]]:
    process = f" (process {now.pid})" if now.pid else ""
    rows = [("watching", f"{now.state}{process}{': ' + now.reason if now.reason else ''}")]
    if now.working or now.queued:
        rows.append(("in work", f"{output.one_line(now.working) or '-'}, {now.queued} waiting"))
        rows.append(("speed", f"{now.chunks_per_second:.0f} chunks/s, {output.duration(now.eta_s)} left"))
    if now.pid:
        notices = "looks from time to time" if now.polling else "told by the system"
        rows.append(("since the start", f"{now.done} files done, {now.failed} failed; {notices}"))
    rows.append(("last sweep", _moment(now.last_sweep_at)))
    return rows


def _folder_line(folder: WatchedFolder) -> str:
    notes = [f"only {pattern}" for pattern in folder.include] + [f"not {pattern}" for pattern in folder.exclude]
    notes += [f"cannot be seen now: {folder.trouble}; its documents stay"] if folder.trouble else []
    notes += [f"{folder.held} deletions wait for a second sweep"] if folder.held else []
    return output.one_line(folder.path) + (f"  ({'; '.join(notes)})" if notes else "")


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}" if seconds else "never"
