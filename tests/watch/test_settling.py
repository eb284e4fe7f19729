"""When a touched path is looked at, when a failed file is tried again, and what happens where notices end."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from termrag import watching
from termrag.events import Notice
from termrag.folders import FoundFile
from termrag.parts import Parts
from termrag.rag import Rag
from termrag.watcher import GONE_FACTOR, NEVER_SETTLES_S, Settler
from termrag.watchstate import WatchedFolder
from watch.conftest import Watch
from watch.watched import Watched, config_for, paths_in


def test_a_path_is_due_when_it_was_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text("A note.")
    settler = Settler(1.0)

    settler.touch(str(path), 10.0)
    settler.touch(str(path), 10.8)

    assert settler.take_due(11.7) == []
    assert settler.take_due(11.8) == [str(path)]
    assert settler.next_due() == float("inf")


def test_a_path_that_is_gone_may_come_back_for_a_while(tmp_path: Path) -> None:
    settler = Settler(1.0)

    settler.touch(str(tmp_path / "gone.md"), 10.0)

    assert settler.take_due(10.0 + GONE_FACTOR - 0.1) == []
    assert settler.take_due(10.0 + GONE_FACTOR) == [str(tmp_path / "gone.md")]


def test_a_file_that_never_settles_is_read_once_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("line\n")
    settler = Settler(2.0)
    reads = []

    for second in range(180):
        settler.touch(str(path), float(second))
        if settler.take_due(float(second)):
            reads.append(second)

    assert len(reads) in (2, 3)
    assert all(later - earlier >= NEVER_SETTLES_S for earlier, later in pairwise(reads))


@pytest.fixture
def parts(tmp_path: Path, endpoint: Endpoint) -> Parts:
    return Parts(config_for(endpoint), paths_in(tmp_path / "home"), {})


def take_in(parts: Parts, *touched: Path, force: bool = False) -> list[object]:
    return list(watching.take_in(parts, parts.embed, list(map(str, touched)), force=force))


def test_a_failing_file_is_tried_after_1_5_and_30_minutes_and_then_when_it_changes(parts: Parts, notes: Path) -> None:
    broken = notes / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing that follows")
    watching.watch_folder(parts, notes, (), ())
    waits = []

    for _ in range(5):
        begun = time.time()
        take_in(parts, broken, force=True)
        (retry,) = watching.retries(parts)
        waits.append(retry.next_at - begun)
    broken.write_bytes(b"%PDF-1.7 something else that is not one")
    take_in(parts, broken)

    assert waits == [pytest.approx(60, abs=20), pytest.approx(300, abs=20), pytest.approx(1800, abs=20), inf, inf]
    assert [each.attempts for each in watching.retries(parts)] == [1]


def test_a_failed_file_that_is_gone_is_not_tried_for_ever(parts: Parts, notes: Path) -> None:
    watching.watch_folder(parts, notes, (), ())
    gone = notes / "was never read.md"
    with parts.open_ledger() as ledger:
        ledger.watching.failed([FoundFile(str(gone), 0, 0, 10, 10)])

    take_in(parts, gone, force=True)

    assert watching.retries(parts) == []


def test_a_disk_that_is_not_mounted_takes_no_document_away(watch: Watch, notes: Path, tmp_path: Path) -> None:
    first = watch(notes)
    before = first.contents()
    first.close()
    for path in (notes / "harbour.md", notes / "lamp.md", notes / "sub" / "tide.md"):
        path.unlink()
    (notes / "sub").rmdir()
    with closing(sqlite3.connect(paths_in(first.home).library / "ledger.sqlite")) as database, database:
        database.execute("UPDATE documents SET device = device + 1")

    second = watch(notes, home=first.home)
    second.close()
    third = watch(notes, home=first.home)

    assert third.contents() == before
    assert "not mounted" in asyncio.run(_folders(third))[0].trouble


async def _folders(watched: Watched) -> Sequence[WatchedFolder]:
    async with Rag(watched.config, paths_in(watched.home)) as rag:
        return (await rag.watch_status()).folders


def test_where_the_system_runs_out_of_notices_one_line_says_so_and_sweeps_go_on(
    watch: Watch, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.api.BaseObserver.schedule", refuse)
    watched = watch(notes, poll_s=0.2)
    (notes / "later.md").write_text("Found by a look.")

    watched.until(lambda: str(notes / "later.md") in watched.contents())

    assert [event.message.split(" is reached")[0] for event in watched.told(Notice)] == [
        "the system's limit of watched folders"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_that_is_lost_and_given_back(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)
    before = watched.contents()

    (notes / "sub").chmod(0)
    (notes / "new.md").write_text("A new note.")
    watched.until(lambda: str(notes / "new.md") in watched.contents())
    assert before.items() <= watched.contents().items()

    (notes / "sub").chmod(0o700)
    (notes / "sub" / "tide.md").write_text("Written when it could be.")
    watched.until_equal(tmp_path / "fresh")


def test_a_second_connection_leaves_the_locks_of_the_first_alone(parts: Parts, notes: Path) -> None:
    with parts.open_ledger() as first:
        first.watching.add(str(notes))
        with parts.open_ledger():
            pass
        # Another process that closes last would take the write-ahead log away; this one still uses it.
        other = f"import sqlite3; d = sqlite3.connect({str(parts.library_folder / 'ledger.sqlite')!r}); "
        subprocess.run(
            [sys.executable, "-c", other + "d.execute('SELECT * FROM roots').fetchall(); d.close()"], check=True
        )

        assert (parts.library_folder / "ledger.sqlite-wal").exists()
        assert [each.path for each in first.watching.folders()] == [str(notes)]
