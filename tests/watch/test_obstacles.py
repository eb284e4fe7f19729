"""What stands in the way of work for a while: a full disk, a lock of another process. The watcher waits and goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from termrag.events import Failed, Notice
from termrag.ledger import Ledger
from termrag.ledger.database import LEDGER_FILE
from watch.conftest import Watch
from watch.watched import Watched, paths_in

SMALL = 48 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that a test may fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(file: Path) -> None:
    """Until there is no room for a single byte."""
    with file.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue


def test_a_full_disk_pauses_with_a_reason_and_goes_on_when_there_is_room(
    small_disk: Path, notes: Path, watch: Watch, tmp_path: Path
) -> None:
    watched = watch(notes, home=small_disk / "home")
    filler = small_disk / "filler"
    fill(filler)
    (notes / "late.md").write_text("# Late\n\n" + "The disk was full when this was written. " * 400)
    watched.until(lambda: bool(_pauses(watched)))
    assert "disk" in str(_pauses(watched)[0]) and "full" in str(_pauses(watched)[0])
    filler.unlink()
    watched.until_equal(tmp_path / "fresh", seconds=60)
    assert not watched.told(Failed)


HOLDERS: dict[str, Callable[[Path], str]] = {
    "the writers' lock": lambda library: (
        f"from pathlib import Path; from termrag.ledger import Ledger\n"
        f"with Ledger(Path({str(library)!r})) as ledger, ledger.lock():\n"
    ),
    "the database": lambda library: (
        f"import sqlite3, contextlib\n"
        f"held = sqlite3.connect({str(library / LEDGER_FILE)!r}, isolation_level=None)\n"
        f"held.execute('BEGIN EXCLUSIVE')\n"
        f"with contextlib.closing(held):\n"
    ),
}


@pytest.mark.parametrize("what", HOLDERS)
def test_a_lock_of_another_process_is_waited_for_and_fails_no_file(
    what: str, notes: Path, watch: Watch, tmp_path: Path
) -> None:
    watched = watch(notes)
    library = paths_in(watched.home).library
    assert Ledger.exists(library)
    program = HOLDERS[what](library) + "    print('held', flush=True); input()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (notes / "late.md").write_text("# Late\n\nSomebody else was at work when this was written.\n")
        with pytest.raises(subprocess.TimeoutExpired):
            holder.wait(3)
        holder.stdin.write("\n")
        holder.stdin.close()
    watched.until_equal(tmp_path / "fresh", seconds=60)
    assert not watched.told(Failed)


def _pauses(watched: Watched) -> list[object]:
    return [event for event in watched.told(Notice) if "paused" in str(event)]
