"""`termrag chat`, and `termrag` alone on a terminal: the full-screen chat."""

from __future__ import annotations

import os
import sys
from typing import Any

import click


@click.command(epilog="Example: termrag chat")
@click.pass_context
def chat(ctx: click.Context, /, **_: Any) -> None:
    """Talk with your documents on the whole screen. `termrag` alone does the same on a terminal."""
    in_browser = "TERMRAG_CHAT_HOST" in os.environ
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError('The chat needs a terminal. To ask one question: termrag ask "…"', ctx)
    open_chat(ctx)


def open_chat(ctx: click.Context) -> None:
    """Open the chat with the settings of the command line laid over the user's own."""
    from termrag.cli.session import library
    from termrag.logs import open_log
    from termrag.tui import run

    config, paths, _ = library(ctx)
    open_log(paths.log_file)
    run(config, paths)
