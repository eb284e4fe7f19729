"""What keeping prompt caches saves: the time to the first token of a conversation's next answer, as shares of cold.

    python bench/kv.py [--engine llamacpp] [--model PATH] [--tokens 3000] [--passage-tokens 450] [--rounds 3]

A conversation of about so many tokens is asked one more question, in three ways. `cold` has nothing in any cache.
`same turn` goes on in the process that has answered the last question. `resumed` has closed the engine, opened a new
one and taken the conversation from disk; the time to do that counts. `sticky` says that the last turn's passages serve
again, `fresh` that the question brings passages of its own, which have to be read in any case: their share of the
prompt is the least that can be reached. `of CPU` is the same in processor time, which other work on the machine hardly
touches. Every line is JSON; a table closes the run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from termrag.engines import Done, Engine, Piece
from termrag.memory import Memory
from termrag.models import Shelf
from termrag.prefixes import Prefixes
from termrag.prompt import pack
from termrag.records import Answer, Message, Passage, Sampling, Sentence, Support, Usage, Verdict
from termrag.turns import Turn, TurnState

ROOT = Path(__file__).resolve().parents[1]
TARGET = 0.25
WINDOW = 4096
SENTENCE = "The keeper of light number {n} counts {m} steps to the lantern and writes the wind of the evening down. "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("llamacpp", "mlx"), default="llamacpp")
    parser.add_argument("--model", type=Path, help="a GGUF file or an MLX folder; the starter model by default")
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--passage-tokens", type=int, default=450)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    path = options.model or starter(options.engine)
    rows: list[dict[str, Any]] = []
    for kind in ("sticky", "fresh"):
        shares: dict[str, list[tuple[float, float]]] = {"same turn": [], "resumed": []}
        for _ in range(options.rounds):
            for name, share in one_round(options.engine, path, options.tokens, options.passage_tokens, kind).items():
                shares[name].append(share)
        for name, found in shares.items():
            row = {"engine": options.engine, "model": path.name, "kind": kind, "way": name}
            wall, cpu = (round(statistics.median(each), 3) for each in zip(*found, strict=True))
            row |= {"share of cold": wall, "of CPU": cpu, "load": round(os.getloadavg()[0], 1)}
            print(json.dumps(row), flush=True)
            rows.append(row)
    print_table(rows)


def one_round(
    engine_name: str, path: Path, tokens: int, passage_tokens: int, kind: str
) -> dict[str, tuple[float, float]]:
    """Shares of the cold time to the first token."""
    with tempfile.TemporaryDirectory() as folder:
        prefixes = Prefixes(Path(folder) / "kept", 4 << 30)
        first = open_engine(engine_name, path)
        turns = conversation(first, tokens, passage_tokens)
        prefixes.turn_to(first, "bench")
        turns[-1] = answered(first, turns)
        prefixes.put_away(first)
        found = passages_of(turns[-1]) if kind == "sticky" else (passage(len(turns) + 9, passage_tokens),)
        following = packed(first, turns, "How many steps are there?", found)
        same_turn, usage = generate(first, following)
        report(kind, "same turn", same_turn, usage)
        first.close()

        cold_engine = open_engine(engine_name, path)
        generate(cold_engine, [Message("user", "Hello.")])
        cold, usage = generate(cold_engine, following)
        report(kind, "cold", cold, usage)
        cold_engine.close()

        later = open_engine(engine_name, path)
        generate(later, [Message("user", "Hello.")])  # what a first call costs is not the cache's doing
        begun = Cost.now()
        Prefixes(Path(folder) / "kept", 4 << 30).turn_to(later, "bench")
        resumed, usage = generate(later, following, begun)
        report(kind, "resumed", resumed, usage)
        later.close()
    return {"same turn": same_turn.share_of(cold), "resumed": resumed.share_of(cold)}


def answered(engine: Engine, turns: Sequence[Turn]) -> Turn:
    """The last turn with what the model says to it."""
    last = turns[-1]
    prompt = packed(engine, turns[:-1], last.question, passages_of(last))
    text = "".join(event.text for event in engine.stream(prompt, Sampling(max_tokens=40)) if isinstance(event, Piece))
    return replace(last, answer=Answer(last.question, Verdict.GROUNDED, text, text, passages=passages_of(last)))


def passages_of(turn: Turn) -> tuple[Passage, ...]:
    return turn.answer.passages if turn.answer else ()


def report(kind: str, way: str, cost: Cost, usage: Usage) -> None:
    row = {"kind": kind, "way": way, "seconds": round(cost.wall_s, 3), "cpu_s": round(cost.cpu_s, 3)}
    print(json.dumps(row | {"prompt": usage.prompt_tokens, "cached": usage.cached_tokens}), flush=True)


def conversation(engine: Engine, tokens: int, passage_tokens: int) -> list[Turn]:
    """Turns that together make a prompt of about so many tokens, the last with its passages in it."""
    turns: list[Turn] = []
    while True:
        turns.append(turn(len(turns), passage_tokens))
        if engine.count_tokens(packed(engine, turns, "How many?", passages_of(turns[-1]))) >= tokens:
            return turns


def turn(number: int, passage_tokens: int) -> Turn:
    text = "".join(SENTENCE.format(n=number, m=number * 7 + each) for each in range(3))
    answer = Answer(
        f"How many steps has light number {number}?",
        Verdict.GROUNDED,
        text,
        text,
        sentences=(Sentence(text, Support.SUPPORTED),),
        passages=(passage(number, passage_tokens),),
    )
    return Turn(str(number), "bench", number, answer.question, answer.question, TurnState.DONE, float(number), answer)


def passage(number: int, tokens: int) -> Passage:
    text = "".join(SENTENCE.format(n=number, m=100 + each) for each in range(tokens // 24))
    return Passage(
        number=1,
        document_id=f"d{number}",
        path=f"/lights/{number}.md",
        title="",
        heading="Lights",
        page=None,
        page_label="",
        start_line=1,
        end_line=9,
        lines_match=True,
        text=text,
        content_hash=str(number),
        media_type="text/markdown",
        score=1.0,
        chunk_ids=(f"d{number}#000000",),
    )


def packed(engine: Engine, turns: Sequence[Turn], question: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    memory = Memory(full=tuple(turns))
    return pack(question, passages, memory=memory, limit=WINDOW, count=engine.count_tokens).messages


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock and of the processor."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> Cost:
        return cls(time.perf_counter(), time.process_time())

    def since(self, begun: Cost) -> Cost:
        return Cost(self.wall_s - begun.wall_s, self.cpu_s - begun.cpu_s)

    def share_of(self, other: Cost) -> tuple[float, float]:
        return self.wall_s / other.wall_s, self.cpu_s / other.cpu_s


def generate(engine: Engine, messages: Sequence[Message], begun: Cost | None = None) -> tuple[Cost, Usage]:
    """What it takes to the first text, and the counts."""
    begun = begun or Cost.now()
    first, usage = None, Usage()
    for event in engine.stream(messages, Sampling(max_tokens=8)):
        match event:
            case Piece(text) if text and first is None:
                first = Cost.now().since(begun)
            case Done(usage=used):
                usage = used
    assert first is not None
    return first, usage


def open_engine(name: str, path: Path) -> Engine:
    engine: Engine
    if name == "llamacpp":
        from termrag.engines.llamacpp import LlamaCppEngine

        engine = LlamaCppEngine(path, model=path.name, context_tokens=WINDOW)
    else:
        from termrag.engines.mlx import MLXEngine

        engine = MLXEngine(path, model=path.name, context_tokens=WINDOW)
    engine.load()
    return engine


def starter(engine: str) -> Path:
    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("smollm2-135m", engine):
        pass
    return shelf.locate("smollm2-135m", engine)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    print(f"\n{'passages':10} {'way':10} {'share of cold':>13} {'of CPU':>7}   target")
    for row in rows:
        target = f"at most {TARGET}" if row["way"] == "resumed" and row["kind"] == "sticky" else ""
        print(f"{row['kind']:10} {row['way']:10} {row['share of cold']:13} {row['of CPU']:7}   {target}")


if __name__ == "__main__":
    main()
