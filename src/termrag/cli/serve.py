"""`termrag serve` and `termrag keys`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

from termrag.cli import output
from termrag.cli.session import open_rag
from termrag.errors import ConfigError
from termrag.paths import default_paths

_UNITS = {"h": 3600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000}


@click.command(
    epilog="""\b
Examples:
  termrag serve                                  on 127.0.0.1:8765, and on a Unix socket
  termrag keys create laptop                     a key for programs that come by the port
  curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8765/api/v1/search \\
       -H 'Content-Type: application/json' -d '{"query": "ferry"}'"""
)
@click.option("--host", help="Address to listen on; loopback unless you say otherwise.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
@click.option("--log", type=click.Choice(["console", "json"]), help="Form of the log on stderr.")
@click.pass_context
def serve(ctx: click.Context, /, **options: Any) -> None:
    """Give other programs the documented API, and the command line a warm model, until Ctrl-C."""
    try:
        from termrag.server.log import open_logs
        from termrag.server.running import serve as run
    except ImportError as error:
        raise ConfigError(f"the server needs {error.name}", "pip install 'termrag[server]'") from error

    async def work() -> int:
        async with open_rag(ctx, server=options) as rag:
            open_logs(
                rag.config.server.log,
                rag.paths.state / "audit.log",
                debug=bool((ctx.find_root().obj or {}).get("debug")),
            )
            await run(rag, ready=_tell)
        return 0

    output.run_async(work)


def _tell(host: str, port: int) -> None:
    name = f"[{host}]" if ":" in host else host
    output.note(f"termrag: http://{name}:{port}  (documentation: http://{name}:{port}/docs)")


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
