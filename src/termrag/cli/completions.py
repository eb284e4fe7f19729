"""`termrag completions`: the completion scripts of bash, zsh and fish."""

from __future__ import annotations

import click

from termrag.cli import output


@click.command(
    epilog="""\b
Examples:
  termrag completions bash > ~/.local/share/bash-completion/completions/termrag
  termrag completions zsh > "${fpath[1]}/_termrag"
  termrag completions fish > ~/.config/fish/completions/termrag.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completions(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell."""
    output.out(script(ctx.find_root().command, shell), end="")


def script(command: click.Command, shell: str) -> str:
    """The script that asks termrag itself what may come next."""
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    assert maker is not None
    completer = maker(command, {}, "termrag", "_TERMRAG_COMPLETE")
    return str(completer.source_template % completer.source_vars()).rstrip() + "\n"
