"""`termrag add, ls, get, rm, status`: what is in the library, and how it gets there."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.session import no_host, open_rag, read_stdin
from termrag.events import (
    Failed,
    Finished,
    Held,
    Indexed,
    IngestEvent,
    Moved,
    Notice,
    Planned,
    Progress,
    Removed,
    Skipped,
)
from termrag.wire import event, plain

if TYPE_CHECKING:
    from termrag.records import Document, IndexedChunk, Status


@click.command(
    epilog="""\b
Examples:
  termrag add ~/notes ~/papers
  dmesg | termrag add - --name dmesg.txt

Runs again at the cost of one look per unchanged file. Exit code 1 only if every file failed."""
)
@click.argument("paths", nargs=-1)
@click.option("--name", metavar="NAME", help="Name of the text on standard input (with `-`).")
@click.option("--force", is_flag=True, help="Read again even what has not changed.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Make the index anew, for another embedding model. Without PATHS: all that was added.",
)
@click.option("--yes", is_flag=True, help="Rebuild also an index that other machines use.")
@click.option("--wait", is_flag=True, help="End only when every vector is there too, even if a process watches.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@click.option("--jsonl", is_flag=True, help="One JSON object per event, as it happens.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures.")
@no_host
@click.pass_context
def add(ctx: click.Context, /, paths: tuple[str, ...], **options: Any) -> None:
    """Index files and folders, or text from standard input."""
    if "-" in paths and (len(paths) > 1 or not options["name"]):
        raise click.UsageError("`-` stands alone and needs a name: termrag add - --name log.txt", ctx)
    if not paths and not options["rebuild"]:
        raise click.UsageError("Which files? Example: termrag add ~/notes", ctx)
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            if paths == ("-",):
                events = rag.ingest_text(options["name"], read_stdin())
            else:
                chosen = {name: options[name] for name in ("force", "rebuild", "wait")}
                events = rag.ingest(list(paths), sure=options["yes"], **chosen)
            code = await draw_ingest(events, options)
            if not options["quiet"] and (waiting := (await rag.status()).unembedded):
                output.note(f"{waiting} documents are found by their words; their vectors follow (termrag status)")
            return code

    output.run_async(work)


async def draw_ingest(events: AsyncGenerator[IngestEvent, None], options: dict[str, Any]) -> int:
    """Show a run as it goes; failures come at the end, where they are seen."""
    failures: list[Failed] = []
    skipped: list[Skipped] = []
    finished: Finished | None = None
    async with _kept_on_interrupt(), contextlib.aclosing(events):
        async for item in events:
            if options["jsonl"]:
                output.out_json(event(item), lines=True)
            match item:
                case Failed():
                    failures.append(item)
                case Skipped():
                    skipped.append(item)
                case Held(path, count):
                    output.note(
                        f"kept: {count} documents of {output.one_line(path)}, most of it, have no file any more; "
                        "to believe it: termrag sync --yes"
                    )
                case Finished():
                    finished = item
                case _:
                    _draw(item, quiet=options["quiet"])
    output.clear_line()
    for failure in failures:
        hint = f" ({output.one_line(failure.hint)})" if failure.hint else ""
        output.note(f"failed: {output.one_line(failure.path)}: {failure.message}{hint}")
    assert finished is not None
    if options["as_json"]:
        output.out_json({**plain(finished), "failures": plain(failures), "skips": plain(skipped)})
    elif not options["quiet"]:
        output.note(_summary(finished))
    return 1 if finished.failed and not (finished.indexed or finished.unchanged or finished.moved) else 0


@contextlib.asynccontextmanager
async def _kept_on_interrupt() -> AsyncIterator[None]:
    """Say on Ctrl-C what became of the run: leaving the stream has committed what was finished."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "CancelledError":
            output.note("stopped: what is finished is kept; run it again to go on")
        raise


def _draw(item: IngestEvent, *, quiet: bool) -> None:
    match item:
        case Planned(add=new, change=changed, size_bytes=size_bytes) if new or changed:
            output.progress(f"{new + changed} files to read, {output.size(size_bytes)}")
        case Progress():
            rate = f"{item.chunks_per_second:.0f} chunks/s"
            output.progress(
                f"{item.files_done}/{item.files_total} files, {item.chunks_done} chunks, {rate}, "
                f"{output.duration(item.eta_s)} left  {Path(item.current).name}"
            )
        case Indexed(path=path, warnings=warnings) if warnings and not quiet:
            output.note(f"note: {output.one_line(path)}: {'; '.join(warnings)}")
        case Notice(message):
            output.note(message)
        case Moved() | Removed() | _:
            pass


def _summary(done: Finished) -> str:
    counts = {
        "indexed": done.indexed,
        "unchanged": done.unchanged,
        "moved": done.moved,
        "removed": done.removed,
        "skipped": done.skipped,
        "failed": done.failed,
    }
    parts = [f"{count} {word}" for word, count in counts.items() if count] or ["nothing to do"]
    chunks = f", {done.chunks} chunks ({done.embedded} embedded)" if done.indexed else ""
    stopped = "stopped: " if done.interrupted else ""
    return f"{stopped}{', '.join(parts)}{chunks} in {output.duration(done.seconds)}"


@click.command(
    epilog="""\b
Examples:
  termrag ls
  termrag ls contracts/ --long
  termrag ls --json | jq '.[] | select(.state == "failed")'"""
)
@click.argument("patterns", nargs=-1)
@click.option("-l", "--long", "as_table", is_flag=True, help="State, chunks, size and date too.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@no_host
@click.pass_context
def ls(ctx: click.Context, patterns: tuple[str, ...], *, as_table: bool, as_json: bool) -> None:
    """List the indexed documents: one path per line in a pipe, a table on a terminal."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            documents = await rag.documents(list(patterns))
        if as_json:
            output.out_json([plain(document) for document in documents])
        elif as_table or sys.stdout.isatty():
            _long_list(documents)
        else:
            for document in documents:
                output.out(document.path)
        return 0

    output.run_async(work)


def _long_list(documents: Iterable[Document]) -> None:
    rows = [
        (
            document.id[:8],
            str(document.state),
            f"{document.chunks}",
            output.size(document.size_bytes),
            _day(document.modified_ns),
            output.one_line(document.path) + (f"  ({document.error})" if document.error else ""),
        )
        for document in documents
    ]
    if not rows:
        output.note("termrag: no documents yet\nhint: termrag add PATH")
        return
    for line in output.table(rows, header=("ID", "STATE", "CHUNKS", "SIZE", "CHANGED", "PATH")):
        output.out(line)


def _day(modified_ns: int) -> str:
    return datetime.fromtimestamp(modified_ns / 1e9, tz=UTC).strftime("%Y-%m-%d")


@click.command(
    epilog="""\b
Examples:
  termrag get notes.md
  termrag get notes.md:40-58
  termrag get contract.pdf#12
  termrag get notes.md --json"""
)
@click.argument("reference", metavar="FILE[:LINES|#PAGE]")
@click.option("--json", "as_json", is_flag=True, help="The document and its chunks as JSON.")
@no_host
@click.pass_context
def get(ctx: click.Context, reference: str, *, as_json: bool) -> None:
    """Show a document's text as it was indexed. FILE is a path, a part of a path that is unique, or an id."""
    name, first, last, page = _split(reference)
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            document = await rag.document(name)
            chunks = await rag.chunks(document.id)
        wanted = [chunk for chunk in chunks if _is_wanted(chunk, first, last, page)]
        if as_json:
            output.out_json({**plain(document), "texts": [plain(chunk) for chunk in wanted]})
        else:
            output.out("\n\n".join(output.printable(_cut(chunk, first, last)) for chunk in wanted))
        return 0 if wanted else 1

    output.run_async(work)


def _split(reference: str) -> tuple[str, int, int, int | None]:
    """The document's name and the lines (0, 0 for all) or the page asked for."""
    if match := re.fullmatch(r"(.+)#(\d+)", reference):
        return match[1], 0, 0, int(match[2])
    if match := re.fullmatch(r"(.+?):(\d+)(?:-(\d+))?", reference):
        return match[1], int(match[2]), int(match[3] or match[2]), None
    return reference, 0, 0, None


def _is_wanted(chunk: IndexedChunk, first: int, last: int, page: int | None) -> bool:
    if page is not None:
        return chunk.page == page or chunk.page_label == str(page)
    return not first or (chunk.start_line <= last and chunk.end_line >= first)


def _cut(chunk: IndexedChunk, first: int, last: int) -> str:
    """The chunk's lines from `first` to `last`, where its lines are those of the file."""
    lines = chunk.text.splitlines()
    if not first or not chunk.lines_match or len(lines) != chunk.end_line - chunk.start_line + 1:
        return chunk.text
    return "\n".join(lines[max(0, first - chunk.start_line) : last - chunk.start_line + 1])


@click.command(
    epilog="""\b
Examples:
  termrag rm notes/old.md
  termrag rm 'drafts/**'"""
)
@click.argument("references", nargs=-1, required=True, metavar="FILE|FOLDER|GLOB|ID...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")
@no_host
@click.pass_context
def rm(ctx: click.Context, references: tuple[str, ...], *, as_json: bool, quiet: bool) -> None:
    """Take documents out of the index. The files themselves stay where they are."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            removed = [item.path async for item in rag.remove(list(references)) if isinstance(item, Removed)]
        if as_json:
            output.out_json({"removed": removed})
        elif not quiet:
            for path in removed:
                output.note(f"removed from the index: {output.one_line(path)}")
        return 0

    output.run_async(work)


@click.command(epilog="Example: termrag status --json | jq .chunks")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@no_host
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """Show the library, the store, the models and what failed."""
    rag = open_rag(ctx)

    async def work() -> int:
        async with rag:
            now = await rag.status()
        if as_json:
            output.out_json(plain(now))
        else:
            _show_status(now)
        return 0

    output.run_async(work)


def _show_status(now: Status) -> None:
    words_only = f", {now.unembedded} found by their words only so far" if now.unembedded else ""
    here = "here" if now.model_is_here else "not on this machine"
    rows = [
        ("library", output.one_line(now.library)),
        ("documents", f"{now.documents} indexed, {now.failed} failed{words_only}"),
        ("chunks", str(now.chunks)),
        ("store", f"{now.store}, {output.size(now.size_bytes)}"),
        *([("", now.store_notice)] if now.store_notice else []),
        ("embedding", now.embedder),
        ("model", f"{now.model} ({here})"),
        ("engine", f"{now.engine}: {now.engine_reason}"),
    ]
    for line in output.table(rows):
        output.out(line)
    for document in now.failures:
        output.out(f"failed: {output.one_line(document.path)}: {document.error}")
