"""`termrag doctor`: findings, each with what mends it."""

from __future__ import annotations

import click

from termrag.cli import output
from termrag.cli.session import open_rag
from termrag.wire import plain


@click.command(epilog="Example: termrag doctor --json | jq '.[] | select(.ok | not)'")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Look for problems and say what mends them. Exit code 1 if there is one."""
    rag = open_rag(ctx, alone=True)

    async def work() -> int:
        async with rag:
            findings = await rag.examine()
        if as_json:
            output.out_json([plain(finding) for finding in findings])
        else:
            for finding in findings:
                mark = output.styled("ok  ", fg="green") if finding.ok else output.styled("FIX ", fg="red", bold=True)
                output.out(f"{mark}{finding.subject}: {output.one_line(finding.detail)}")
                if not finding.ok:
                    output.out(f"    {output.one_line(finding.remedy)}")
        return 0 if all(finding.ok for finding in findings) else 1

    output.run_async(work)
