"""`termrag mcp`."""

from __future__ import annotations

import click

from termrag.cli import output
from termrag.cli.session import open_rag
from termrag.errors import ConfigError


@click.command(
    epilog="""\b
Example, in the settings of a program that uses tools:
  {"mcpServers": {"termrag": {"command": "termrag", "args": ["mcp"]}}}"""
)
@click.pass_context
def mcp(ctx: click.Context, /) -> None:
    """Give another program's model tools over your documents, on standard input and output."""
    try:
        import mcp as _sdk  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigError(f"this needs {error.name}", "pip install 'termrag[mcp]'") from error

    async def work() -> int:
        from termrag.mcp import serve_stdio

        async with open_rag(ctx) as rag:
            await serve_stdio(rag)
        return 0

    output.run_async(work)
