"""What watching costs: from a save to a hit, renames, sweeps over what did not change, and doing nothing.

    python bench/watch.py [--chunks 100000] [--files 100000] [--saves 20] [--idle 60]

Everything runs through `Rag` with the real embedder, on a library that holds `--chunks` chunks already. Times are
wall-clock seconds; each is printed beside its target. Results are JSON lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np

from termrag.config import Config
from termrag.events import Finished, Indexed, Moved
from termrag.folders import walk
from termrag.ledger import FileEntry
from termrag.paths import Paths
from termrag.rag import Rag
from termrag.records import Document, DocumentState, IndexedChunk, Row

ROOT = Path(__file__).resolve().parents[1]
WORDS = [
    word for word in (ROOT / "tests/samples/keepers-diary.md").read_text(encoding="utf-8").split() if word.isalpha()
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--chunks", type=int, default=100_000)
    arguments.add_argument("--files", type=int, default=100_000)
    arguments.add_argument("--saves", type=int, default=20)
    arguments.add_argument("--renames", type=int, default=1000)
    arguments.add_argument("--idle", type=int, default=60)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="termrag-bench-") as folder:
        home = Path(folder)
        paths = Paths(home / "config", home / "data", ROOT / ".cache", home / "state", home / "run")
        if options.saves:
            asyncio.run(run(paths, home, options))
    with tempfile.TemporaryDirectory(prefix="termrag-bench-") as folder:
        sweep_unchanged(Path(folder), options.files, options.idle)


async def run(paths: Paths, home: Path, options: argparse.Namespace) -> None:
    notes = home / "notes"
    notes.mkdir()
    async with Rag(Config(), paths) as rag:
        await rag.watch_folder(notes)
        await rag._disk.run(fill, rag, options.chunks)  # a large library, without an hour of embedding
        events: list[object] = []

        async def watch() -> None:
            async with aclosing(rag.watch()) as stream:
                async for event in stream:
                    events.append(event)  # noqa: PERF401  (read while it grows)

        task = asyncio.ensure_future(watch())
        await until(lambda: any(isinstance(event, Finished) for event in events))
        await save_to_hit(notes, events, options.saves)
        await renames(notes, events, options.renames)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def fill(rag: Rag, count: int) -> None:
    """Rows of random words and vectors, as documents that no file stands for."""
    chance = random.Random(3)
    source = np.random.default_rng(3)
    with rag._parts.ingesting(rag._embed_elsewhere) as (_, tools):
        store = tools.open_store()
        for start in range(0, count, 10_000):
            vectors = source.standard_normal((10_000, 384), dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            rows: dict[str, list[Row]] = {}
            for offset, vector in enumerate(vectors):
                document, position = f"bulk{(start + offset) // 10}", (start + offset) % 10
                text = " ".join(chance.choices(WORDS, k=120))
                chunk = IndexedChunk(
                    document, position, f"/bulk/{document}.md", "", "", None, "", 1, 9, True, text, f"{start + offset}",
                    "0", "text/markdown", "en", 0,
                )  # fmt: skip
                rows.setdefault(document, []).append(Row(chunk, text.lower(), vector))
            store.replace(rows)
        store.maintain(force=True)


async def save_to_hit(notes: Path, events: list[object], saves: int) -> None:
    chance = random.Random(5)
    times = []
    for number in range(saves):
        path = notes / f"saved{number}.md"
        begun = time.perf_counter()
        path.write_text(f"# Saved {number}\n\n" + note(chance, 5000))
        await until(lambda path=path: any(isinstance(event, Indexed) and event.path == str(path) for event in events))
        times.append(time.perf_counter() - begun)
        await asyncio.sleep(0.3)
    times.sort()
    report("save of 5 kB to committed, p95", times[int(0.95 * (len(times) - 1))], 1.0, median=times[len(times) // 2])


async def renames(notes: Path, events: list[object], count: int) -> None:
    chance = random.Random(6)
    for number in range(count):
        (notes / f"r{number}.md").write_text(f"# Note {number}\n\n{note(chance, 60)}")
    await until(lambda: sum(isinstance(event, Indexed) for event in events) >= count, seconds=600)
    await until(lambda: quiet(events))
    embedded = sum(event.embedded for event in events if isinstance(event, Finished))
    begun = time.perf_counter()
    for number in range(count):
        (notes / f"r{number}.md").rename(notes / f"s{number}.md")
    await until(lambda: sum(isinstance(event, Moved) for event in events) >= count, seconds=120)
    took = time.perf_counter() - begun
    again = sum(event.embedded for event in events if isinstance(event, Finished)) - embedded
    report(f"{count} renames applied", took, 5.0, embedded=again)


def quiet(events: list[object], _seen: list[tuple[int, float]] = [(0, 0.0)]) -> bool:  # noqa: B006
    if len(events) != _seen[0][0]:
        _seen[0] = (len(events), time.monotonic())
    return time.monotonic() - _seen[0][1] > 3


def note(chance: random.Random, size: int) -> str:
    text = ""
    while len(text) < size:
        text += " ".join(chance.choices(WORDS, k=12)).capitalize() + ".\n"
    return text


async def until(is_true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


# --- a sweep over what did not change, and doing nothing -------------------------------------------------------------


def sweep_unchanged(home: Path, files: int, idle_s: int) -> None:
    notes = home / "notes"
    for number in range(files):
        folder = notes / f"{number // 1000}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.md").write_text(f"Note {number}.")
    old = time.time_ns() - 10**12
    for path in notes.rglob("*.md"):
        os.utime(path, ns=(old, old))
    environ = {**os.environ, "TERMRAG_HOME": str(home / "home"), "TERMRAG_WATCH_IDLE_S": "5"}
    asyncio.run(know(Paths(*(home / "home" / name for name in ("config", "data", "cache", "state", "run"))), notes))
    command = [sys.executable, "-m", "termrag", "watch"]
    begun = time.perf_counter()
    done = subprocess.run([*command, "--once"], env=environ, capture_output=True, check=True)
    assert not done.stderr, done.stderr[-500:]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    report(f"sweep over {files} unchanged files", time.perf_counter() - begun, 8.0, peak_mb=peak)
    process = subprocess.Popen([*command, "-q"], env=environ, stderr=subprocess.DEVNULL)
    try:
        time.sleep(15 + files / 5000)
        begun_cpu, begun_wall = cpu_s(process.pid), time.monotonic()
        report("memory after a sweep, MB", rss_mb(process.pid, "VmHWM"), 300)
        time.sleep(idle_s)
        share = (cpu_s(process.pid) - begun_cpu) / (time.monotonic() - begun_wall)
        report("idle, share of a core", share, 0.005, rss_mb=rss_mb(process.pid, "VmRSS"))
    finally:
        process.terminate()
        process.wait(30)


async def know(paths: Paths, notes: Path) -> None:
    """Write every file into the ledger as if it had been indexed: a sweep asks for no more."""

    def note_all(rag: Rag) -> None:
        found = walk([notes])
        with rag._parts.ingesting(rag._embed_elsewhere) as (ledger, tools):
            documents, entries = [], []
            for number, file in enumerate(found.files.values()):
                values = (str(number), file.path, DocumentState.INDEXED)
                documents.append(Document(*values, file.size, file.modified_ns, str(number), chunks=1))
                stat = (file.device, file.inode, file.size, file.modified_ns)
                entries.append(FileEntry(*values, *stat, str(number), tools.recipe))
            ledger.finish(documents, entries)
            ledger.add_roots([str(notes)])

    async with Rag(Config(), paths) as rag:
        await rag.watch_folder(notes)
        await rag._disk.run(note_all, rag)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int, line: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(each.split()[1]) for each in text.splitlines() if each.startswith(line)) / 1024


def report(what: str, value: float, target: float, **more: float) -> None:
    rounded = {name: round(number, 3) for name, number in more.items()}
    print(
        json.dumps({"bench": "watch", "what": what, "value": round(value, 4), "target": target, **rounded}), flush=True
    )


if __name__ == "__main__":
    main()
