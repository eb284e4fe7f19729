"""Makes the library equal to the files it is given: plan, prepare, commit; knows no face and no thread.

`plan` is the difference between disk and ledger, `prepare` one file on its way to rows, `commit` the order that
survives a kill at any moment, `run` the batches in between. All are generators of IngestEvents; leaving one early
keeps what is finished. What is wrong with one file is an event, what is wrong with the library or a model is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path

from termrag.errors import EngineFailed, ModelMissing, NotFound
from termrag.events import Held, IngestEvent
from termrag.folders import NO_SCOPES, Scope
from termrag.globs import glob_matcher
from termrag.ingest.follow import Embedding, follow
from termrag.ingest.plan import TEXT_PREFIX, Cut, Plan, Work, hold_back, make_plan, text_file
from termrag.ingest.prepare import joined
from termrag.ingest.run import Run
from termrag.ingest.tools import Embed, Tools, make_tools
from termrag.ledger import FileEntry, Ledger
from termrag.paths import absolute

__all__ = [
    "TEXT_PREFIX",
    "Cut",
    "Embed",
    "Embedding",
    "Tools",
    "follow",
    "ingest",
    "ingest_text",
    "make_tools",
    "remove",
    "remove_entries",
]


def ingest(
    paths: Sequence[str | Path],
    *,
    ledger: Ledger,
    tools: Tools,
    exclude: Sequence[str] = (),
    scopes: Mapping[str, Scope] = NO_SCOPES,
    touched: Collection[str] | None = None,
    sure: Collection[str] | None = None,
    force: bool = False,
    rebuild: bool = False,
    follow: bool = True,
) -> Generator[IngestEvent, None, None]:
    """Index what is new or changed, follow what moved, remove what vanished below the given folders.

    `scopes` are patterns of single folders; with `touched` only these paths are looked at. Where `sure` is given, the
    deletion of most of a folder that is not in it is held back, and told by Held.

    Documents are committed by their words as soon as they are read; with `follow` the vectors of all that wait come
    after, else somebody calls `follow` later.

    `force` reads every file again, failed ones too, and computes only the vectors that are not known; `rebuild` empties
    the index first and reads every known document again. Planned comes first, Finished last. Ctrl-C ends in a Finished
    that says so. Raises LibraryBusy, LibraryMismatch, StoreBusy, StoreUnavailable, ModelMissing, EngineFailed.
    """
    if rebuild:
        with ledger.lock():
            ledger.begin_rebuild()
            tools.discard_store()

    def plan() -> Plan:
        found = make_plan(
            paths,
            ledger,
            is_readable=tools.is_readable,
            recipe=tools.recipe,
            exclude=exclude,
            scopes=scopes,
            touched=touched,
            force=force,
        )
        new_roots = set(found.roots) - set(ledger.roots())
        if new_roots:
            ledger.add_roots(new_roots)
        return found

    def start() -> Iterator[IngestEvent]:
        planned = plan()
        if sure is not None:
            for root, count in hold_back(planned, ledger, planned.roots, sure).items():
                yield Held(root, count)
        yield from run.carry_out(planned)

    run = Run(ledger, tools, force=force, follow=follow)
    yield from _to_the_end(run, start)


def ingest_text(
    name: str, text: str, *, ledger: Ledger, tools: Tools, cut: Sequence[Cut] = ()
) -> Iterator[IngestEvent]:
    """Index a text that is no file, as the document `stdin:NAME`; the same name again replaces it. It stays until it is
    removed by name. Where it comes `cut`, the pieces are the text."""
    path = TEXT_PREFIX + (name.strip() or "text")
    text = joined(cut) if cut else text
    plan = Plan(work=[Work(text_file(path, text), ledger.entry(path), text, tuple(cut))])
    run = Run(ledger, tools)
    yield from _to_the_end(run, lambda: run.carry_out(plan))


def remove(references: Sequence[str], *, ledger: Ledger, tools: Tools) -> Iterator[IngestEvent]:
    """Take documents out of the library; the files stay. A reference is a path, a folder, a glob, an id or its
    beginning, or `stdin:NAME`. Raises NotFound, before anything is removed, for one that names nothing."""
    entries: dict[str, FileEntry] = {}
    for reference in references:
        found = _named(reference, ledger)
        if not found:
            raise NotFound(f"no documents match {reference}", "termrag ls")
        entries.update((entry.id, entry) for entry in found)
    yield from remove_entries(list(entries.values()), ledger=ledger, tools=tools)


def remove_entries(entries: Sequence[FileEntry], *, ledger: Ledger, tools: Tools) -> Iterator[IngestEvent]:
    """Take these documents out of the library; the files stay."""
    run = Run(ledger, tools, follow=False)
    yield from _to_the_end(run, lambda: run.remove(Plan(removals=list(entries))))
    ledger.drop_roots([root for root in ledger.roots() if not ledger.entries(below=root)])


def _to_the_end(run: Run, start: Callable[[], Iterator[IngestEvent]]) -> Iterator[IngestEvent]:
    """Run, and whatever ends it early, keep what is finished."""
    try:
        yield from start()
    except KeyboardInterrupt:
        yield from run.flush()
        yield run.finished(interrupted=True)
    except (GeneratorExit, EngineFailed, ModelMissing):
        run.flush()
        raise
    else:
        yield run.finished()


def _named(reference: str, ledger: Ledger) -> list[FileEntry]:
    known = ledger.entries()
    path = reference if reference in known else os.path.realpath(absolute(reference))
    for each in (path, str(absolute(reference))):
        below = ledger.entries(below=each)
        if below:
            return list(below.values())
    try:
        document = ledger.document(reference)
    except NotFound:
        pattern = str(absolute(reference)) if reference.startswith(("~", "./")) else reference
        is_wanted = glob_matcher([pattern])
        return [entry for path, entry in known.items() if is_wanted(path)]
    return [known[document.path]]
