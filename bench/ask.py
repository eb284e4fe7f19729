"""Tokens per second through the façade against the bare engine: same prompt, same sampling, same process.

    python bench/ask.py [--engine llamacpp] [--rounds 5] [--questions 20]

The bare run sends the messages that the façade packed. Two loads: `answers`, the first questions on the sample
documents at temperature 0, as users ask them; `nonsense`, one long answer at temperature 1.2, of whose sentences words
alone can decide none, so that each costs a call of the embedder. Each round runs both sides of both, in turns; a ratio
is the median over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import tomllib
from contextlib import aclosing
from dataclasses import dataclass
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
LONG = "Tell all that is known of the ferry Petrel: its timetable in summer and in winter, its fares and its rules."
LEAST_TOKENS = 10


@dataclass(frozen=True, slots=True)
class Load:
    """Questions, and how their answers are sampled."""

    name: str
    questions: tuple[str, ...]
    sampling: Sampling


# Warm and seeded: the starter then talks for many sentences, each checked while the next is written.
NONSENSE = Load("nonsense", (LONG,), Sampling(temperature=1.2, seed=4, max_tokens=160))


@dataclass(frozen=True, slots=True)
class Spent:
    """Generated tokens, and the seconds from the end of the prompt to the last text."""

    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens + other.tokens, self.seconds + other.seconds)

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


def bare(engine: Engine, messages: tuple[Message, ...], sampling: Sampling) -> Spent:
    """The engine alone."""
    begun, ended, tokens = 0.0, 0.0, 0
    for event in engine.stream(messages, sampling):
        match event:
            case Prefill():
                begun = time.perf_counter()
            case Piece():
                ended = time.perf_counter()
            case Done(usage=usage):
                tokens = usage.generated_tokens
    return Spent(tokens, ended - begun)


async def through(rag: Rag, question: str, sampling: Sampling) -> Spent:
    """The same through Rag.ask, sentences checked and cited on the way."""
    begun, ended, tokens = 0.0, 0.0, 0
    async with aclosing(rag.ask(question, sampling=sampling)) as events:
        async for event in events:
            match event:
                case Reading():
                    begun = time.perf_counter()
                case Token():
                    ended = time.perf_counter()
                case Answered(answer=answer):
                    tokens = answer.usage.generated_tokens
    return Spent(tokens, ended - begun)


async def measure(engine_name: str, rounds: int, questions: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = Paths(root / "config", root / "data", ROOT / ".cache", root / "state", root / "run")
        models = {"engine": engine_name, "chat": "smollm2-135m"}
        config = Config().with_values({"models": models, "retrieval": {"gate": 0.0}}, "bench")
        async with Rag(config, paths) as rag:
            async for _ in rag.ingest([ROOT / "tests" / "samples"]):
                pass
            await through(rag, LONG, Sampling(max_tokens=8))  # loads the models
            loads = [await compared(rag, load, rounds) for load in (answers(questions), NONSENSE)]
    return {"bench": "ask", "engine": engine_name, "loads": loads}


async def compared(rag: Rag, load: Load, rounds: int) -> dict[str, object]:
    """Both sides of one load. Answers that end before they could be timed count for neither."""
    pairs: list[tuple[Spent, Spent]] = []
    for turn in range(rounds):
        ours, raw = Spent(), Spent()
        for number, question in enumerate(load.questions):
            spent: dict[str, Spent] = {}
            # Who goes second finds the prompt read and the weights warm.
            for side in ("ours", "raw") if (turn + number) % 2 else ("raw", "ours"):
                if side == "ours":
                    spent[side] = await through(rag, question, load.sampling)
                else:
                    spent[side] = await rag._models.run(bare, *packed(rag._parts, question), load.sampling)
            if min(each.tokens for each in spent.values()) >= LEAST_TOKENS:
                ours, raw = ours + spent["ours"], raw + spent["raw"]
        pairs.append((ours, raw))
    return {
        "load": load.name,
        "tokens": pairs[0][0].tokens,
        "facade_tokens_per_s": round(statistics.median(ours.rate for ours, _ in pairs), 1),
        "bare_tokens_per_s": round(statistics.median(raw.rate for _, raw in pairs), 1),
        "ratio": round(statistics.median(ours.rate / raw.rate for ours, raw in pairs), 3),
    }


def answers(count: int) -> Load:
    table = tomllib.loads((ROOT / "tests" / "samples" / "questions.toml").read_text(encoding="utf-8"))
    return Load("answers", tuple(each["ask"] for each in table["question"][:count]), Sampling(max_tokens=160))


def packed(parts: Parts, question: str) -> tuple[Engine, tuple[Message, ...]]:
    """The loaded engine, and the messages that the façade sends it for the question."""
    assert parts.chats.current is not None
    engine, characters = parts.chats.current.engine, parts.chats.current.passage_characters
    passages = parts.evidence(question, Filters()).passages
    prompt = pack(question, passages, limit=engine.context_length, count=engine.count_tokens, characters=characters)
    return engine, prompt.messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="llamacpp", choices=["llamacpp", "mlx"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=20, help="fewer for a slow engine")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.engine, options.rounds, options.questions))))


if __name__ == "__main__":
    main()
