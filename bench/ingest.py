"""How much indexing costs beside the embedding, and what a second run over unchanged files costs.

    python bench/ingest.py [--documents 60] [--rounds 3] [--files 10000]

`ingest / embedder` sets the whole way of files into the index (read, cut, analyse, embed, commit) against the embedder
alone on the same texts, in chunks per second (target: at least 0.85). Rounds alternate; the medians of the wall-clock
and the processor-time ratios are printed. `rerun` is `termrag add` over unchanged files, in a process of its own
(targets: 2.5 s, 150 MB). Results are JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from termrag.config import ModelSettings, OpenAISettings
from termrag.converter import Converter
from termrag.embedders import Embedder, open_embedder
from termrag.events import Finished
from termrag.ingest import Embed, ingest, make_tools
from termrag.ledger import Ledger
from termrag.models import Shelf
from termrag.stores import Identity, discard_store, open_store

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--documents", type=int, default=60)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--files", type=int, default=10_000)
    options = arguments.parse_args()
    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("all-minilm-l6-v2", "onnx"):
        pass
    embedder = open_embedder(ModelSettings(), OpenAISettings(), shelf, {})
    embedder.load()
    with tempfile.TemporaryDirectory() as folder:
        if options.documents:
            speed(Path(folder), embedder, options.documents, options.rounds)
        if options.files:
            rerun(Path(folder), embedder, options.files)


def speed(folder: Path, embedder: Embedder, documents: int, rounds: int) -> None:
    notes = folder / "notes"
    notes.mkdir()
    chance = random.Random(1)
    for number in range(documents):
        (notes / f"note{number}.md").write_text(note(chance, number))
    texts: list[str] = []

    def recording(batch: Sequence[str]) -> NDArray[np.float32]:
        texts.extend(batch)
        return cheap(batch, embedder.dimension)

    index(folder / "first", [notes], embedder, recording)  # imports are paid, and the texts are known
    ratios = []
    for each in range(rounds):
        chance.shuffle(texts)
        alone = timed(lambda: embedder.embed(texts))
        ours = timed(lambda each=each: index(folder / f"round{each}", [notes], embedder, embedder.embed))
        ratios.append((alone[0] / ours[0], alone[1] / ours[1]))
    emit(
        "ingest / embedder",
        chunks=len(texts),
        wall=round(statistics.median(wall for wall, _ in ratios), 3),
        cpu=round(statistics.median(cpu for _, cpu in ratios), 3),
        rounds=[[round(value, 3) for value in pair] for pair in ratios],
        target=0.85,
    )


def rerun(folder: Path, embedder: Embedder, files: int) -> None:
    many, home = folder / "many", folder / "home"
    for number in range(files):
        path = many / f"folder{number % 100}" / f"note{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Note {number}\n\nA few words, number {number}.\n")
    old = time.time_ns() - 10**12
    for path in many.rglob("*.md"):
        os.utime(path, ns=(old, old))
    begun = time.monotonic()
    index(home / "data" / "library", [many], embedder, lambda batch: cheap(batch, embedder.dimension))
    emit("first run with an embedder that costs nothing", files=files, seconds=round(time.monotonic() - begun, 2))
    environment = {**os.environ, "TERMRAG_HOME": str(home)}
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, sys.executable, "-m", "termrag", "add", str(many)],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        measured = json.loads(done.stdout.splitlines()[-1])
        emit("rerun over unchanged files", files=files, **measured, targets=[2.5, 150])


# In a small process of its own: the highest memory that a child is said to have used is never below its parent's.
_MEASURE = """
import json, os, resource, subprocess, sys, time
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds, usage = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "seconds": round(seconds, 2), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
    "rss_mb": round(usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)),
    "exit": done.returncode, "said": (done.stdout + done.stderr).strip()[-200:],
}))
"""


def index(folder: Path, paths: list[Path], embedder: Embedder, embed: Embed) -> Finished:
    from termrag.analysis import ANALYZER_VERSION
    from termrag.chunking import CHUNKER_VERSION

    identity = Identity(embedder.fingerprint, embedder.dimension, f"{CHUNKER_VERSION}/256", ANALYZER_VERSION)
    store = open_store("lancedb", folder / "lancedb", identity, create=True)
    with Ledger(folder) as ledger, Converter() as converter:
        tools = make_tools(
            embed=embed,
            count_tokens=embedder.count_tokens,
            open_store=lambda: store,
            discard_store=lambda: discard_store("lancedb", folder / "lancedb"),
            converter=converter,
            max_bytes=10_000_000,
            chunk_tokens=256,
        )
        *_, last = ingest(paths, ledger=ledger, tools=tools)
    assert isinstance(last, Finished)
    assert last.indexed > 0
    return last


def note(chance: random.Random, number: int) -> str:
    words = (ROOT / "README.md").read_text().split()
    parts = [f"# Note {number}"]
    for part in range(chance.randint(2, 6)):
        parts.append(f"## Part {part}")
        parts += [" ".join(chance.choices(words, k=chance.randint(20, 110))) + "." for _ in range(3)]
    return "\n\n".join(parts)


def cheap(batch: Sequence[str], dimension: int) -> NDArray[np.float32]:
    """Unit vectors that cost nothing."""
    vectors = np.random.default_rng(len(batch)).standard_normal((len(batch), dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def timed(call: object) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()  # type: ignore[operator]
    return time.perf_counter() - wall, time.process_time() - cpu


def emit(name: str, **values: object) -> None:
    print(json.dumps({"bench": "ingest", "name": name, **values}), flush=True)


if __name__ == "__main__":
    main()
