"""A large first indexing: its speed beside the embedder's own, and whether memory stays flat.

    python bench/bulk.py [--files 10000] [--size 5000] [--memory]

Runs `termrag add --wait` over Markdown files with the default embedder. Memory is what the command and its children
hold, looked at every second; its median in the last tenth of the run is set against the second tenth's (target: at
most 1.1). Speed is the processor time of a chunk, embedder alone in a process of its own, against that of the whole
command (target: at least 0.85), so that what else the machine does counts little. With `--memory` random
vectors come from a loopback endpoint, and memory alone is looked at: minutes, not half an hour. Linux only. Results are
JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from embedding_endpoint import served  # noqa: E402

DIMENSION = 384
SAMPLE = 600  # chunks embedded alone

_ALONE = """
import json, random, sys, time
from pathlib import Path
from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import open_embedder
from termrag.models import Shelf
texts = json.load(sys.stdin)
embedder = open_embedder(ModelSettings(), OpenAISettings(), Shelf(Path(sys.argv[1])), {})
embedder.load(); embedder.embed(texts[:32])
wall, cpu = time.perf_counter(), time.process_time()
for start in range(0, len(texts), 256):
    embedder.embed(texts[start:start + 256])
print(json.dumps([(time.perf_counter() - wall) / len(texts), (time.process_time() - cpu) / len(texts)]))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--files", type=int, default=10_000)
    arguments.add_argument("--size", type=int, default=5_000, help="bytes a file")
    arguments.add_argument("--memory", action="store_true", help="look at memory alone, with vectors that cost nothing")
    options = arguments.parse_args()
    if options.memory:
        with served() as endpoint:
            numbers = np.random.default_rng(1)
            endpoint.vector = lambda _: numbers.standard_normal(DIMENSION).round(4).tolist()
            measure(options, {"TERMRAG_MODELS_EMBEDDING": "openai:free", "TERMRAG_OPENAI_URL": endpoint.url})
    else:
        measure(options, {})


def measure(options: argparse.Namespace, settings: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        notes, home = Path(place) / "notes", Path(place) / "home"
        write(notes, options.files, options.size)
        models = home / "cache" / "models"
        models.parent.mkdir(parents=True)
        models.symlink_to(ROOT / ".cache" / "models")
        environ = {**os.environ, "TERMRAG_HOME": str(home), **settings}
        held, seconds, cpu = watched([sys.executable, "-m", "termrag", "add", "--wait", str(notes)], environ)
        chunks = count_chunks(environ)
        tenth = max(1, len(held) // 10)
        early, late = statistics.median(held[tenth : 2 * tenth]), statistics.median(held[-tenth:])
        way = [round(statistics.median(held[part * tenth : (part + 1) * tenth] or [0])) for part in range(10)]
        emit("memory, MB", tenths=way, ratio=round(late / early, 3), target=1.1)
        if options.memory:
            return
        alone = embedder_alone(environ, ROOT / ".cache" / "models")
        emit(
            "bulk / embedder",
            files=options.files,
            chunks=chunks,
            seconds=round(seconds),
            chunks_per_second=round(chunks / seconds, 1),
            cpu=round(alone[1] * chunks / cpu, 3),
            wall_now=round(alone[0] * chunks / seconds, 3),
            target=0.85,
        )


def write(folder: Path, files: int, size: int) -> None:
    words = (ROOT / "tests" / "samples" / "keepers-diary.md").read_text(encoding="utf-8").split()
    chance = random.Random(3)
    for number in range(files):
        text = f"# Note {number}\n\n"
        while len(text) < size:
            text += " ".join(chance.choices(words, k=chance.randint(40, 110))) + ".\n\n"
        path = folder / f"folder{number % 100:02}" / f"note{number:05}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def watched(command: list[str], environ: dict[str, str]) -> tuple[list[float], float, float]:
    """Memory in MB at every second, the seconds it took, and the processor seconds."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    held: list[float] = []
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            held.append(family_mb(process.pid))
            time.sleep(1)
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(process.stderr.read().decode()[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return held, time.monotonic() - begun, cpu


def family_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    total = 0.0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1]) / 1024
    except OSError:
        return total
    return total + sum(family_mb(int(child)) for child in children)


def count_chunks(environ: dict[str, str]) -> int:
    said = subprocess.run(
        [sys.executable, "-m", "termrag", "status", "--json"], env=environ, capture_output=True, check=True
    )
    return int(json.loads(said.stdout)["chunks"])


def embedder_alone(environ: dict[str, str], models: Path) -> tuple[float, float]:
    """Wall and processor seconds of a chunk, for chunks of the library just made."""
    from termrag.stores import open_store

    store = open_store("lancedb", Path(environ["TERMRAG_HOME"]) / "data" / "library" / "lancedb", None, create=False)
    texts = [chunk.text for _, chunk in zip(range(SAMPLE * 3), store.scan(), strict=False)][::3]
    store.close()
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(models)], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def emit(name: str, **values: object) -> None:
    print(json.dumps({"bench": "bulk", "name": name, **values}), flush=True)


if __name__ == "__main__":
    main()
