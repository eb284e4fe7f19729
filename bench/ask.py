"""Tokens per second through the façade against the bare engine: same prompt, same sampling, same process.

    python bench/ask.py [--engine llamacpp] [--rounds 5]

The bare run sends the messages that the façade packed. Each round runs both; the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from termrag.config import Config
from termrag.engines import Done, Engine, Piece, Prefill
from termrag.events import Answered, Reading, Token
from termrag.parts import Parts
from termrag.paths import Paths
from termrag.prompt import pack
from termrag.rag import Rag
from termrag.records import Filters, Message, Sampling

ROOT = Path(__file__).parents[1]
QUESTION = "Tell all that is known of the ferry Petrel: its timetable in summer and in winter, its fares and its rules."


def bare_rate(engine: Engine, messages: tuple[Message, ...], sampling: Sampling) -> float:
    """Generated tokens per second of the engine alone, from the end of the prompt to the last text."""
    begun, ended, tokens = 0.0, 0.0, 0
    for event in engine.stream(messages, sampling):
        match event:
            case Prefill():
                begun = time.perf_counter()
            case Piece():
                ended = time.perf_counter()
            case Done(usage=usage):
                tokens = usage.generated_tokens
    return tokens / (ended - begun)


async def facade_rate(rag: Rag, sampling: Sampling) -> float:
    """The same through Rag.ask, sentences checked and cited on the way."""
    begun, ended, tokens = 0.0, 0.0, 0
    async with aclosing(rag.ask(QUESTION, sampling=sampling)) as events:
        async for event in events:
            match event:
                case Reading():
                    begun = time.perf_counter()
                case Token():
                    ended = time.perf_counter()
                case Answered(answer=answer):
                    tokens = answer.usage.generated_tokens
    return tokens / (ended - begun)


async def measure(engine_name: str, rounds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = Paths(root / "config", root / "data", ROOT / ".cache", root / "state", root / "run")
        models = {"engine": engine_name, "chat": "smollm2-135m"}
        config = Config().with_values({"models": models, "retrieval": {"gate": 0.0}}, "bench")
        # Warm and seeded: the starter then talks for many sentences, each checked while the next is written.
        sampling = Sampling(temperature=1.2, seed=4, max_tokens=160)
        async with Rag(config, paths) as rag:
            async for _ in rag.ingest([ROOT / "tests" / "samples"]):
                pass
            await facade_rate(rag, sampling)  # loads the models
            engine, messages = await rag._models.run(packed, rag._parts)
            through, bare = [], []
            for _ in range(rounds):
                through.append(await facade_rate(rag, sampling))
                bare.append(await rag._models.run(bare_rate, engine, messages, sampling))
    ratio = statistics.median([ours / raw for ours, raw in zip(through, bare, strict=True)])
    return {
        "bench": "ask",
        "engine": engine_name,
        "facade_tokens_per_s": round(statistics.median(through), 1),
        "bare_tokens_per_s": round(statistics.median(bare), 1),
        "ratio": round(ratio, 3),
    }


def packed(parts: Parts) -> tuple[Engine, tuple[Message, ...]]:
    """The loaded engine, and the messages that the façade sends it for the question."""
    assert parts.chats.current is not None
    engine, characters = parts.chats.current.engine, parts.chats.current.passage_characters
    passages = parts.evidence(QUESTION, Filters()).passages
    prompt = pack(QUESTION, passages, limit=engine.context_length, count=engine.count_tokens, characters=characters)
    return engine, prompt.messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="llamacpp", choices=["llamacpp", "mlx"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.engine, options.rounds))))


if __name__ == "__main__":
    main()
