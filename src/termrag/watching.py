"""Watched folders and what is done for them, as plain functions over the parts; knows no thread and no signal.

A sweep compares every watched folder with the ledger; taking in compares only what was touched. Both are generators of
IngestEvents and leave behind, in the ledger, which files to try again and which folders cannot be seen.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import leasing
from termrag.errors import LibraryBusy, NotFound
from termrag.events import Failed, Held, Indexed, IngestEvent, Moved, Removed, Skipped
from termrag.folders import FoundFile, Scope, is_below, stat_file
from termrag.ledger import WATCH_LOCK, Ledger, lock_holder
from termrag.logs import logger
from termrag.parts import Embed, Parts
from termrag.paths import absolute
from termrag.watchstate import WatchedFolder, WatchState, WatchStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.ledger import Retry


_STOP_S = 30.0
_NOTED_TOGETHER = 500  # files whose outcome is noted in one transaction

# --- folders -----------------------------------------------------------------------------------------------------


def watched(parts: Parts) -> list[WatchedFolder]:
    """The remembered folders, by path."""
    if not parts.has_library():
        return []
    with parts.open_ledger() as ledger:
        return ledger.watching.folders()


def watch_folder(parts: Parts, path: str | Path, include: Sequence[str], exclude: Sequence[str]) -> WatchedFolder:
    """Remember a folder; again, with other patterns, replaces them. Raises NotFound for what is no folder."""
    real = os.path.realpath(absolute(path))
    if not os.path.isdir(real):  # noqa: PTH112 - a name too long is no folder
        raise NotFound(f"{path} is no folder", "Only folders are watched; a single file: termrag add FILE")
    with parts.open_ledger() as ledger:
        ledger.watching.add(real, include, exclude)
        return next(each for each in ledger.watching.folders() if each.path == real)


def unwatch(parts: Parts, path: str | Path) -> None:
    """Forget a folder; its documents stay. Raises NotFound if it was not watched."""
    real = os.path.realpath(absolute(path))
    if parts.has_library():
        with parts.open_ledger() as ledger:
            if ledger.watching.drop(real) or ledger.watching.drop(str(path)):
                return
    raise NotFound(f"{path} is not watched", "termrag watch ls")


def watch_status(parts: Parts) -> WatchStatus:
    """What the watching process last wrote down; off if there is none."""
    if not parts.has_library():
        return WatchStatus()
    pid = lock_holder(parts.library_folder, WATCH_LOCK)
    with parts.open_ledger() as ledger:
        status = ledger.watching.status()
    if pid is None:
        return replace(status, state=WatchState.OFF, pid=0, working="", queued=0, eta_s=None, chunks_per_second=0.0)
    return replace(status, pid=pid or status.pid)


def stop_watching(parts: Parts) -> int | None:
    """End the process that watches this library and return its number; None if there is none. Raises LibraryBusy if
    it does not end."""
    pid = lock_holder(parts.library_folder, WATCH_LOCK)
    if not pid:
        return None
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while lock_holder(parts.library_folder, WATCH_LOCK) == pid:
        if time.monotonic() > deadline:
            raise LibraryBusy(f"process {pid} does not stop watching", f"kill -9 {pid}")
        time.sleep(0.05)
    return pid


def write_status(parts: Parts, status: WatchStatus) -> None:
    with parts.open_ledger() as ledger:
        ledger.watching.write_status(replace(status, updated_at=time.time()))


def retries(parts: Parts) -> list[Retry]:
    """The files to be tried again, the soonest first."""
    with parts.open_ledger() as ledger:
        return ledger.watching.retries()


# --- work --------------------------------------------------------------------------------------------------------


def sweep(parts: Parts, embed: Embed, *, sure: bool = False, with_added: bool = False) -> Iterator[IngestEvent]:
    """Make the library equal to all watched folders, and `with_added` to what was added by name. Deletions that look
    like a mistake wait for a second sweep, unless `sure`."""
    from termrag.ingest import ingest

    with parts.ingesting(embed) as (ledger, tools):
        folders = ledger.watching.folders()
        roots = _roots(ledger, folders, with_added=with_added)
        believed = roots if sure else [each.path for each in folders if each.held]
        events = ingest(
            roots,
            ledger=ledger,
            tools=tools,
            exclude=parts.config.documents.exclude,
            scopes=_scopes(folders),
            sure=believed,
            follow=with_added,
        )
        watched_ones = [each.path for each in folders]
        try:
            yield from leasing.held(parts, watched_ones, _noted(events, ledger, folders, is_sweep=True))
        finally:
            if lock_holder(parts.library_folder, WATCH_LOCK) is None:  # nobody goes on with it
                leasing.drop(parts, watched_ones)


def take_in(parts: Parts, embed: Embed, touched: Collection[str], *, force: bool = False) -> Iterator[IngestEvent]:
    """Make the library equal to the touched paths, and to what lies below them; `force` reads failed ones again."""
    from termrag.ingest import ingest

    with parts.ingesting(embed) as (ledger, tools):
        folders = ledger.watching.folders()
        ours = {path for path in touched if any(path == each.path or is_below(path, each.path) for each in folders)}
        ledger.watching.succeeded(set(touched) - ours)
        watched_ones = [each.path for each in folders]
        events = ingest(
            watched_ones,
            ledger=ledger,
            tools=tools,
            exclude=parts.config.documents.exclude,
            scopes=_scopes(folders),
            touched=ours,
            sure=(),
            force=force,
            follow=False,
        )
        noted = _noted(events, ledger, folders, is_sweep=False, tried=ours if force else ())
        yield from leasing.held(parts, watched_ones, noted)


def release(parts: Parts) -> None:
    """Let other machines write the watched folders, where the store is shared."""
    if leasing.is_shared(parts):
        leasing.drop(parts, [each.path for each in watched(parts)])


def waiting_chunks(parts: Parts) -> int:
    """How many vectors are still to come."""
    if not parts.has_library():
        return 0
    with parts.open_ledger() as ledger:
        return ledger.waiting_chunks()


def embed_some(parts: Parts, embed: Embed) -> Iterator[IngestEvent]:
    """One batch of the vectors that are still to come, those of the newest documents."""
    from termrag.ingest import Embedding, follow

    with parts.ingesting(embed) as (ledger, tools):
        yield from follow(ledger, tools, Embedding(tools), once=True)


def tidy(parts: Parts) -> None:
    """Compact what many small commits have left. Raises LibraryBusy."""
    if parts.has_library() and parts.store().stats().fragments > 1:
        parts.optimize()


def preview(parts: Parts) -> dict[str, list[str]]:
    """What a sweep would do: paths to add, change, move and remove; nothing is changed or read."""
    from termrag.ingest.plan import make_plan

    with parts.ingesting(_no_embedding) as (ledger, tools):
        folders = ledger.watching.folders()
        plan = make_plan(
            _roots(ledger, folders, with_added=True),
            ledger,
            is_readable=tools.is_readable,
            recipe=tools.recipe,
            exclude=parts.config.documents.exclude,
            scopes=_scopes(folders),
        )
    return {
        "add": [work.path for work in plan.work if work.entry is None],
        "change": [work.path for work in plan.work if work.entry is not None],
        "move": [f"{move.entry.path} -> {move.file.path}" for move in plan.moves],
        "remove": [entry.path for entry in plan.removals],
    }


def _no_embedding(texts: Sequence[str]) -> NDArray[np.float32]:
    raise AssertionError("a preview embeds nothing")


def _roots(ledger: Ledger, folders: Sequence[WatchedFolder], *, with_added: bool) -> list[str]:
    watched = [each.path for each in folders]
    added = ledger.roots() if with_added else []
    return watched + [each for each in added if not any(each == path or is_below(each, path) for path in watched)]


def _scopes(folders: Iterable[WatchedFolder]) -> dict[str, Scope]:
    return {each.path: Scope(each.include, each.exclude) for each in folders}


def _noted(
    events: Generator[IngestEvent, None, None],
    ledger: Ledger,
    folders: Sequence[WatchedFolder],
    *,
    is_sweep: bool,
    tried: Collection[str] = (),
) -> Generator[IngestEvent, None, None]:
    """Pass the events on, and keep in the ledger what the next look has to know; their generator is closed with this
    one, so that what it has finished is committed. Of the files that were `tried` again those that did not fail are
    forgotten: some are gone without a word, since they were never in the library."""
    book = ledger.watching
    well_or_gone = set(tried)
    troubles = {each.path: "" for each in folders}
    held: dict[str, int] = {}
    failed: list[FoundFile] = []
    well: list[str] = []

    def note_files() -> None:
        book.succeeded(well)
        if failed:
            book.failed(failed)
            logger.info("failed files=%d", len(failed))
        failed.clear()
        well.clear()

    with closing(events):
        for event in events:
            match event:
                case Held(path, count):
                    held[path] = count
                case Failed(path, message) | Skipped(path, message):
                    troubles.update((each, message) for each in troubles if each == path or is_below(each, path))
                    if isinstance(event, Failed) and (file := stat_file(path)):
                        failed.append(file)
                        well_or_gone.discard(path)
                case Indexed(path=path) | Removed(path) | Moved(path):
                    well.append(path)
                case _:
                    pass
            if len(failed) + len(well) >= _NOTED_TOGETHER:
                note_files()
            yield event
    note_files()
    book.succeeded(well_or_gone)
    _note_folders(ledger, folders, troubles if is_sweep else {}, held, is_sweep=is_sweep)


def _note_folders(
    ledger: Ledger,
    folders: Sequence[WatchedFolder],
    troubles: dict[str, str],
    held: dict[str, int],
    *,
    is_sweep: bool,
) -> None:
    news = [(path, trouble) for path, trouble in troubles.items() if trouble != _known_trouble(path, folders)]
    if news:
        ledger.watching.note_trouble(news)
    for each in folders:
        count = held.get(each.path, 0)
        if each.held != count and (is_sweep or count):
            ledger.watching.note_held(each.path, count)


def _known_trouble(path: str, folders: Sequence[WatchedFolder]) -> str:
    return next(each.trouble for each in folders if each.path == path)
