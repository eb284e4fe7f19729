"""The command line: which commands there are, found without importing them; bare text and piped stdin mean ask."""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from termrag import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# name: (module, one line of help). The module is imported when its command runs, not before.
COMMANDS = {
    "ask": ("ask", "Ask a question of your documents."),
    "chat": ("chat", "Talk with your documents on the whole screen."),
    "search": ("search", "Find passages without asking a model."),
    "add": ("library", "Index files and folders, or text from standard input."),
    "sync": ("watch", "Make the index equal to all that was added or is watched."),
    "watch": ("watch", "Keep folders in the index by themselves."),
    "ls": ("library", "List the indexed documents."),
    "get": ("library", "Show a document's text: FILE, FILE:LINE or FILE#PAGE."),
    "rm": ("library", "Take documents out of the index."),
    "sessions": ("sessions", "List, show, search, export and remove conversations."),
    "index": ("index", "Verify, back up, export and move the index."),
    "collections": ("collections", "List, make, rename and remove named libraries."),
    "status": ("library", "Show the library, the store, the models and what failed."),
    "serve": ("serve", "Give other programs the API, and the command line a warm model."),
    "mcp": ("mcp", "Give another program's model tools over your documents."),
    "keys": ("serve", "Make, list and revoke keys of the API."),
    "models": ("models", "List, fetch, choose and remove models."),
    "config": ("config", "Show and change settings."),
    "doctor": ("doctor", "Look for problems and say what mends them."),
    "completions": ("completions", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"termrag.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in COMMANDS:
            return super().resolve_command(ctx, args)
        if len(args) == 1 and not any(char.isspace() for char in args[0]) and sys.stdin.isatty():
            close = get_close_matches(args[0], COMMANDS, n=1)
            meant = f"Did you mean `termrag {close[0]}`?" if close else f'To ask it: termrag ask "{args[0]}"'
            raise click.UsageError(f"No such command: {args[0]}. {meant}", ctx)
        return "ask", self.get_command(ctx, "ask"), args


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Example: termrag add ~/notes && termrag "When does the last ferry leave?"',
)
@click.version_option(__version__, "-V", "--version", message="termrag %(version)s")
@click.option("--debug", is_flag=True, help="Log to stderr as well as to the log file.")
@click.option("--library", metavar="FOLDER", help="Use the index in this folder.")
@click.option("--no-host", is_flag=True, help="Do not use a running server (TERMRAG_NO_HOST does the same).")
@click.option(
    "-C",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    shell_complete=lambda *_: _collection_names(),
    help="Use this named library; search and ask take several, or `all`.",
)
@click.pass_context
def cli(ctx: click.Context, debug: bool, library: str | None, collections: tuple[str, ...], no_host: bool) -> None:
    """Private chat over your own documents, in the terminal.

    Text that is no command is a question: termrag "What did we agree on?"
    """
    if library and collections:
        raise click.UsageError("Either --library or -C.", ctx)
    ctx.obj = {"debug": debug, "library": library, "collections": collections, "no_host": no_host}
    if ctx.invoked_subcommand is not None:
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        from termrag.cli.chat import open_chat

        open_chat(ctx)
        return
    if sys.stdin.isatty():
        click.echo(ctx.get_help())
        return
    command = ctx.command
    assert isinstance(command, click.Group)
    ask = command.get_command(ctx, "ask")
    assert ask is not None
    ctx.invoke(ask)


def _collection_names() -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from termrag.collections import ALL, names
    from termrag.paths import default_paths

    return [CompletionItem(name) for name in (*names(default_paths()), ALL)]


def run() -> None:
    """Run the command line and leave with its exit code, whatever native threads are still at."""
    from termrag.cli.output import leave

    leave(cli)
