"""`termrag serve` and `termrag keys`."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.session import command_line, open_rag, settings
from termrag.errors import ConfigError
from termrag.paths import default_paths
from termrag.wire import plain

if TYPE_CHECKING:
    from termrag.config import Config
    from termrag.remote import HostInfo

_START_S, _STOP_S = 60.0, 30.0
_UNITS = {"h": 3600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000}


@click.command(
    epilog="""\b
Examples:
  termrag serve                                  on 127.0.0.1:8765, and on a Unix socket
  termrag serve --background                     goes on by itself; termrag ask finds the model warm
  termrag keys create laptop                     a key for programs that come by the port
  curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8765/api/v1/search \\
       -H 'Content-Type: application/json' -d '{"query": "ferry"}'"""
)
@click.option("--host", help="Address to listen on; loopback unless you say otherwise.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
@click.option("--log", type=click.Choice(["console", "json"]), help="Form of the log on stderr.")
@click.option("--background", is_flag=True, help="Start it, wait until it answers, and let it go on by itself.")
@click.option("--status", "wants_status", is_flag=True, help="Show the server that runs; exit code 1 if none does.")
@click.option("--stop", "wants_stop", is_flag=True, help="End the server that runs, and wait until it has.")
@click.option("--install", is_flag=True, help="Serve at every login: a systemd user unit, or a launchd agent.")
@click.option("--uninstall", is_flag=True, help="Undo --install.")
@click.option("--json", "as_json", is_flag=True, help="With --background, --status, --stop: one JSON object.")
@click.option("--ready-fd", type=int, hidden=True)
@click.pass_context
def serve(
    ctx: click.Context,
    /,
    *,
    background: bool,
    wants_status: bool,
    wants_stop: bool,
    install: bool,
    uninstall: bool,
    as_json: bool,
    ready_fd: int | None,
    **options: Any,
) -> None:
    """Give other programs the documented API, and the command line a warm model, until Ctrl-C.

    SIGHUP reads keys and settings anew; connections and answers in hand go on.
    """
    if sum((background, wants_status, wants_stop, install, uninstall)) > 1:
        raise click.UsageError("One of --background, --status, --stop, --install and --uninstall.", ctx)
    if wants_status:
        _show_status(settings(ctx, server=options), as_json=as_json)
    elif wants_stop:
        _stop(as_json=as_json)
    elif install or uninstall:
        _keep(ctx, options, installed=install)
    elif background:
        _start(ctx, options, as_json=as_json)
    else:
        _run(ctx, options, ready_fd)


def _run(ctx: click.Context, options: dict[str, Any], ready_fd: int | None) -> None:
    try:
        from termrag.server.log import open_logs
        from termrag.server.running import serve as run
        from termrag.server.running import server_lock
    except ImportError as error:
        raise ConfigError(f"the server needs {error.name}", "pip install 'termrag[server]'") from error

    def ready(host: str, port: int) -> None:
        from termrag.server.background import tell_ready

        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        output.note(f"termrag: {address}  (chat: {address}/chat, documentation: {address}/docs)")
        if ready_fd is not None:
            tell_ready(ready_fd, address)

    async def work() -> int:
        with server_lock(default_paths().runtime):
            return await serve_locked()

    async def serve_locked() -> int:
        async with open_rag(ctx, alone=True, server=options) as rag:
            open_logs(
                rag.config.server.log,
                rag.paths.state / "audit.log",
                debug=bool((ctx.find_root().obj or {}).get("debug")),
            )
            await run(rag, ready=ready, reload=lambda: settings(ctx, server=options), is_locked=True)
        return 0

    output.run_async(work)


# --- one that runs by itself -------------------------------------------------------------------------------------


def _start(ctx: click.Context, options: dict[str, Any], *, as_json: bool) -> None:
    from termrag.server.background import start

    settings(ctx, server=options)
    log_file = default_paths().state / "server.log"
    said = start(_serving(ctx, options), log_file, _START_S)
    if as_json:
        output.out_json({**said, "log": str(log_file)})
    else:
        output.note(f"termrag: {said['address']}  (process {said['pid']}, log {output.one_line(str(log_file))})")


def _serving(ctx: click.Context, options: dict[str, Any]) -> list[str]:
    """What to run Python with to serve like this."""
    flags = [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]
    return [*command_line(ctx), "serve", *flags]


def _keep(ctx: click.Context, options: dict[str, Any], *, installed: bool) -> None:
    """Make it a service of the user's session, or no longer."""
    from termrag import service

    command = [sys.executable, *_serving(ctx, options)]
    wanted = service.service(command, Path.home(), default_paths().log_file, name="serve")
    if installed:
        service.install(wanted)
        output.note(f"installed and started: {output.one_line(str(wanted.file))}")
    else:
        service.uninstall(wanted)


def _stop(*, as_json: bool) -> None:
    from termrag.remote import stop_host

    gone = stop_host(default_paths(), _STOP_S)
    if as_json:
        output.out_json({"stopped": gone.pid if gone else None})
    else:
        output.note(f"process {gone.pid} has ended" if gone else "no server runs")


def _show_status(config: Config, *, as_json: bool) -> None:
    from termrag.remote import find_host, likeness

    paths = default_paths()
    info = find_host(paths)
    is_same = info is not None and info.likeness == likeness(config, paths)
    if as_json:
        output.out_json({**plain(info), "same_settings": is_same} if info else None)
    elif info is None:
        output.note("termrag: no server runs\nhint: termrag serve --background")
    else:
        for line in output.table(_status_rows(info, is_same=is_same)):
            output.out(line)
    if info is None:
        raise output.Finish(1)


def _status_rows(info: HostInfo, *, is_same: bool) -> list[tuple[str, str]]:
    return [
        ("address", info.address),
        ("process", f"{info.pid}, termrag {info.version}, for {output.duration(time.time() - info.started_at)}"),
        ("library", output.one_line(info.library)),
        ("model", output.one_line(info.model) or "not loaded; the next question loads it"),
        ("at work", f"{info.at_work} answers and commands"),
        ("settings", "the same as here" if is_same else f"not the same as here; kill -HUP {info.pid} reads them anew"),
    ]


# --- keys --------------------------------------------------------------------------------------------------------


@click.group(epilog="Example: termrag keys create laptop --scope ask --expires 90d")
def keys() -> None:
    """Keys of the server's API: made, listed, revoked."""


@keys.command(epilog="Example: termrag keys create laptop --scope ask --scope write --expires 90d")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(["read", "ask", "write", "admin"]), default=("ask",),
    show_default=True, help="What it may do: ask includes read, admin everything.",
)  # fmt: skip
@click.option("--expires", metavar="AGE", help="After so long it is worthless: 12h, 90d, 1y.")
def create(name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Make a key and print it. It is shown this once."""
    key, text = _keys().create(name, scopes, expires_at=_moment(expires))
    output.note(f"key {key.id} ({', '.join(key.scopes)}): it is not shown again")
    output.out(text)


@keys.command("list", epilog="Example: termrag keys list --json")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def list_(*, as_json: bool) -> None:
    """List the keys, without what would open anything."""
    known = _keys().all()
    if as_json:
        fields = ("id", "name", "scopes", "state", "created_at", "expires_at")
        output.out_json([{name: getattr(key, name) for name in fields} for key in known])
        return
    rows = [
        (key.id, key.name, ",".join(key.scopes), key.state, _day(key.created_at), _day(key.expires_at)) for key in known
    ]
    for line in output.table(rows, header=("ID", "NAME", "MAY", "STATE", "MADE", "EXPIRES") if rows else ()):
        output.out(line)


@keys.command(epilog="Example: termrag keys revoke laptop")
@click.argument("reference", metavar="ID")
def revoke(reference: str) -> None:
    """Make a key worthless at once, also for a running server."""
    key = _keys().revoke(reference)
    output.note(f"key {key.id} ({key.name}) is revoked")


def _keys() -> Any:
    from termrag.server.keys import Keys

    return Keys(default_paths().config / "keys.json")


def _moment(age: str | None) -> float:
    if age is None:
        return 0.0
    found = re.fullmatch(r"(\d+)([hdwmy])", age)
    if not found:
        raise click.BadParameter(f"{age!r} is not an age like 90d", param_hint="--expires")
    return time.time() + int(found[1]) * _UNITS[found[2]]


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") if seconds else "never"
