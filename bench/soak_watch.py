"""Watching under load for a long time: random operations, kills at any moment, several writers and readers at once.

    python bench/soak_watch.py [--operations 50000] [--kills 100] [--minutes 10]

Each part ends with a comparison: the library has to hold what one holds that was built from the folder just then.
Embeddings come from a loopback endpoint, so that the watcher is what is under load. Results are JSON lines; the exit
code is 1 if anything differed or a user would have met an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from embedding_endpoint import Endpoint, served  # noqa: E402
from termrag.ledger import WATCH_LOCK, lock_holder  # noqa: E402
from termrag.rag import Rag  # noqa: E402
from termrag.stores import StoreStats  # noqa: E402
from watch.watched import config_for, contents, fresh, paths_in  # noqa: E402

TERMRAG = [sys.executable, "-m", "termrag"]
FOLDERS = ("", "sub", "sub/deep", "other")
WORDS = ["harbour", "lamp", "tide", "petrel", "keeper", "wick", "fog", "storm", "glass", "rock", "boat", "oil"]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--operations", type=int, default=50_000)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    chance = random.Random(options.seed)
    good = True
    if options.operations:
        good &= operations(options.operations)
    with served() as endpoint:
        if options.kills:
            good &= kills(Place(endpoint), options.kills, chance)
        if options.minutes:
            good &= together(Place(endpoint), options.minutes, chance)
    return 0 if good else 1


def operations(count: int) -> bool:
    """The property test of the suite with more operations."""
    begun = time.monotonic()
    environ = {**os.environ, "WATCH_OPERATIONS": str(count)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/watch/test_property.py"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if "state." not in line]
        sys.stderr.write("\n".join(said)[:20_000] + "\n…\n" + done.stdout[-3000:])
    return report("operations", done.returncode == 0, count=count, seconds=time.monotonic() - begun)


class Place:
    """A folder of notes and a library of it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="termrag-soak-")
        self.home = Path(self._temporary.name)
        self.endpoint = endpoint
        self.notes = self.home / "notes"
        for folder in FOLDERS:
            (self.notes / folder).mkdir(parents=True, exist_ok=True)
        self.environ = {
            **os.environ,
            "TERMRAG_HOME": str(self.home / "library"),
            "TERMRAG_MODELS_EMBEDDING": "openai:tiny",
            "TERMRAG_OPENAI_URL": endpoint.url,
            "TERMRAG_WATCH_SETTLE_S": "0.05",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*TERMRAG, *arguments], env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=600)
        return process.returncode, said

    @contextmanager
    def watcher(self, end: signal.Signals) -> Iterator[subprocess.Popen[str]]:
        """`termrag watch`, from when it holds its lock until it is sent `end`."""
        with (self.home / "watch.log").open("a") as log:
            process = subprocess.Popen(
                [*TERMRAG, "watch", str(self.notes), "-q"], env=self.environ, text=True, stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + 60
            while lock_holder(paths_in(self.home / "library").library, WATCH_LOCK) != process.pid:
                assert process.poll() is None, (self.home / "watch.log").read_text()[-2000:]
                assert time.monotonic() < deadline, "the watcher does not begin"
                time.sleep(0.02)
            yield process
        finally:
            process.send_signal(end)
            process.wait(60)

    def differs(self) -> dict[str, list[str]]:
        """What the library lacks, has too much, or has otherwise than a fresh one."""

        config = config_for(self.endpoint)

        async def read() -> tuple[dict[str, list[str]], list[str], StoreStats]:
            async with Rag(config, paths_in(self.home / "library")) as rag:
                paths = [document.path for document in await rag.documents()]
                return await contents(rag), paths, await rag._disk.run(lambda: rag._parts.store().stats())

        with tempfile.TemporaryDirectory(dir=self.home) as other:
            expected = asyncio.run(fresh(Path(other), config, [self.notes]))
        found, paths, stored = asyncio.run(read())
        orphans = stored.rows - sum(map(len, found.values()))
        differences = {
            "orphans": [f"{orphans} rows"] if orphans else [],
            "missing": sorted(expected.keys() - found.keys()),
            "too_many": sorted(found.keys() - expected.keys()),
            "other_text": sorted(path for path in found.keys() & expected.keys() if found[path] != expected[path]),
            "twice": [path for path, count in Counter(paths).items() if count > 1],
        }
        return {what: which for what, which in differences.items() if which}


def change(notes: Path, chance: random.Random) -> None:
    """One random operation on files, as people and programs do them."""
    path = notes / chance.choice(FOLDERS) / f"note{chance.randrange(60)}.md"
    other = notes / chance.choice(FOLDERS) / f"note{chance.randrange(60)}.md"
    kind = chance.random()
    try:
        if kind < 0.45:
            path.write_text(text(chance))
        elif kind < 0.6:
            with path.open("a") as file:
                file.write(text(chance))
        elif kind < 0.75:
            path.rename(other)
        elif kind < 0.85:
            path.unlink()
        else:
            new = path.with_suffix(".tmp~")
            new.write_text(text(chance))
            new.replace(path)
    except FileNotFoundError:
        pass


def text(chance: random.Random) -> str:
    words = " ".join(chance.choices(WORDS, k=chance.randrange(5, 400)))
    return f"# Note {chance.randrange(10**6)}\n\n{words}.\n"


def kills(place: Place, count: int, chance: random.Random) -> bool:
    """`kill -9` of the watcher in the middle of work, many times; then one sweep."""
    begun = time.monotonic()
    for number in range(count):
        with place.watcher(signal.SIGKILL):
            until = time.monotonic() + chance.random() * 2
            while time.monotonic() < until:
                change(place.notes, chance)
                time.sleep(chance.random() * 0.01)
        if number % 10 == 9:
            print(f"{number + 1} kills", file=sys.stderr, flush=True)
    code, said = place.run("sync", "--yes", "-q")
    wrong = place.differs()
    return report("kills", code == 0 and not wrong, count=count, seconds=time.monotonic() - begun, said=said, **wrong)


def together(place: Place, minutes: float, chance: random.Random) -> bool:
    """A watcher and a loop of `add` write while three loops read; nobody may meet an error."""
    begun = time.monotonic()
    ends = begun + 60 * minutes
    errors: list[str] = []
    runs: Counter[str] = Counter()
    for _ in range(200):
        change(place.notes, chance)
    place.run("add", str(place.notes), "-q")
    commands = [
        ("add", str(place.notes), "-q"),
        ("search", "harbour lamp", "--json"),
        ("search", "storm petrel", "--json"),
        ("ls", "--json"),
    ]

    async def loop(command: tuple[str, ...]) -> None:
        while time.monotonic() < ends:
            process = await asyncio.create_subprocess_exec(
                *TERMRAG,
                *command,
                env=place.environ,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await process.communicate()
            runs[command[0]] += 1
            if process.returncode:
                errors.append(f"{command[0]} ended with {process.returncode}: {said.decode()[-300:]}")

    async def changes() -> None:
        while time.monotonic() < ends:
            change(place.notes, chance)
            runs["changes"] += 1
            await asyncio.sleep(chance.random() * 0.05)

    async def all_of_them() -> None:
        await asyncio.gather(changes(), *(loop(command) for command in commands))

    with place.watcher(signal.SIGTERM) as watcher:
        asyncio.run(all_of_them())
    errors += [f"watch ended with {watcher.returncode}"] if watcher.returncode else []
    errors += [line for line in (place.home / "watch.log").read_text().splitlines() if not line.endswith(" is gone")]
    place.run("sync", "--yes", "-q")
    wrong = place.differs()
    good = not errors and not wrong
    return report("together", good, seconds=time.monotonic() - begun, errors=errors[:20], **runs, **wrong)


def report(what: str, good: bool, **more: object) -> bool:
    rounded = {name: round(value, 1) if isinstance(value, float) else value for name, value in more.items()}
    print(json.dumps({"bench": "soak_watch", "what": what, "good": good, **rounded}), flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
