"""What the engine classes cost over the engines themselves, as ratios within one run.

    python bench/engines.py [--engine llamacpp] [--rounds 9] [--tokens 32] [--prompt-tokens 1500]

`decode` sets tokens per second as the reader of a stream sees them against llama.cpp's own callback and mlx-lm's own
`stream_generate`, on the same loaded model and prompt (target: at least 0.97). `second_turn` sets the time to the first
token of a conversation's second turn against the first turn's (target: at most 0.08). `busy` sets the decoding speed
beside one foreign busy process against that without (target: at least 0.5). Rounds take turns, and the median of their
ratios counts; `load` is the machine's load average at the end, for a reader to judge by. Every line is JSON; a table
closes the run. MLX on a CPU needs minutes for a prompt of 1,500 tokens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from termrag.engines import Engine, Piece
from termrag.engines.generation import TEMPLATE_VALUES
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.engines.mlx import MLXEngine
from termrag.models import Shelf
from termrag.records import Message, Sampling

ROOT = Path(__file__).resolve().parents[1]
QUESTION = [Message("user", "Tell the story of a lighthouse keeper, at length.")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("llamacpp", "mlx"), action="append")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--prompt-tokens", type=int, default=1500)
    options = parser.parse_args()
    results = []
    for name in options.engine or ("llamacpp", "mlx"):
        engine, raw = open_both(name)
        for measured in (
            decode(engine, raw, options.rounds, options.tokens),
            busy(engine, options.rounds, options.tokens),
            second_turn(engine, options.prompt_tokens),
        ):
            result = {"engine": name, **measured, "load": round(os.getloadavg()[0], 1)}
            print(json.dumps(result), flush=True)
            results.append(result)
        engine.close()
    print_table(results)


def open_both(name: str) -> tuple[Engine, Callable[[int], float]]:
    """A loaded engine, and a function that decodes that many tokens on the same model without it."""
    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("smollm2-135m", name):
        pass
    path = shelf.locate("smollm2-135m", name)
    if name == "llamacpp":
        llama = LlamaCppEngine(path, model="smollm2-135m", context_tokens=2048)
        llama.load()
        return llama, raw_llamacpp(llama._server)
    mlx = MLXEngine(path, model="smollm2-135m", context_tokens=2048)
    mlx.load()
    return mlx, raw_mlx(mlx._model, mlx._tokenizer)


def raw_llamacpp(server: Any) -> Callable[[int], float]:
    body = {
        "messages": [{"role": message.role, "content": message.content} for message in QUESTION],
        "stream": True,
        "temperature": 0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
    }

    def run(tokens: int) -> float:
        times: list[float] = []

        def take(chunk: dict[str, Any]) -> bool:
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter())
            return False

        server.handle_chat_completions(body | {"max_tokens": tokens}, take)
        return pace(times)

    return run


def raw_mlx(model: Any, tokenizer: Any) -> Callable[[int], float]:
    from mlx_lm import stream_generate

    plain = [{"role": message.role, "content": message.content} for message in QUESTION]
    ids = tokenizer.apply_chat_template(plain, add_generation_prompt=True, **TEMPLATE_VALUES)

    def run(tokens: int) -> float:
        # The last response repeats the last token, so one more gives as many times as tokens.
        return pace([time.perf_counter() for _ in stream_generate(model, tokenizer, ids, tokens)])

    return run


def pace(times: list[float]) -> float:
    """Tokens per second between the first and the last."""
    return (len(times) - 1) / (times[-1] - times[0])


def through(engine: Engine, tokens: int) -> float:
    events = engine.stream(QUESTION, Sampling(max_tokens=tokens))
    return pace([time.perf_counter() for event in events if isinstance(event, Piece) and event.text])


def decode(engine: Engine, raw: Callable[[int], float], rounds: int, tokens: int) -> dict[str, Any]:
    through(engine, 4), raw(4)
    pairs = []
    for number in range(rounds):
        # Who goes first takes turns: the machine's other load comes in waves.
        ours = through(engine, tokens) if number % 2 else None
        direct = raw(tokens)
        pairs.append((ours or through(engine, tokens), direct))
    return summary("decode", pairs, "ours", "raw", at_least=0.97)


def busy(engine: Engine, rounds: int, tokens: int) -> dict[str, Any]:
    pairs = []
    for _ in range(rounds):
        quiet = through(engine, tokens)
        with busy_process():
            pairs.append((through(engine, tokens), quiet))
    return summary("busy", pairs, "busy", "quiet", at_least=0.5)


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.kill()


def second_turn(engine: Engine, prompt_tokens: int) -> dict[str, Any]:
    text = "The keeper wrote that the wind was from the east, and that the lamp burned well. "
    first = [Message("system", "Be brief."), Message("user", text)]
    per_text = engine.count_tokens([*first, Message("user", text)]) - engine.count_tokens(first)
    first = [first[0], Message("user", text * (prompt_tokens // per_text) + "What did the keeper write?")]
    while engine.count_tokens(first) < prompt_tokens:
        first = [first[0], Message("user", text + first[1].content)]
    first_s, answer = until_first_token(engine, first)
    second_s, _ = until_first_token(
        engine, [*first, Message("assistant", answer), Message("user", "And what of the lamp?")]
    )
    return {
        "what": "second_turn",
        "ratio": round(second_s / first_s, 4),
        "target": "at most 0.08",
        "prompt_tokens": engine.count_tokens(first),
        "first_s": round(first_s, 3),
        "second_s": round(second_s, 3),
    }


def until_first_token(engine: Engine, messages: list[Message]) -> tuple[float, str]:
    began, seconds, answer = time.perf_counter(), 0.0, ""
    for event in engine.stream(messages, Sampling(max_tokens=16)):
        if isinstance(event, Piece):
            seconds = seconds or time.perf_counter() - began
            answer += event.text
    return seconds, answer


def summary(what: str, pairs: list[tuple[float, float]], one: str, other: str, *, at_least: float) -> dict[str, Any]:
    return {
        "what": what,
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "target": f"at least {at_least}",
        f"{one}_tokens_per_s": round(statistics.median(a for a, _ in pairs), 1),
        f"{other}_tokens_per_s": round(statistics.median(b for _, b in pairs), 1),
        "rounds": len(pairs),
    }


def print_table(results: list[dict[str, Any]]) -> None:
    print(f"\n{'engine':<10}{'what':<14}{'ratio':>8}  target")
    for result in results:
        print(f"{result['engine']:<10}{result['what']:<14}{result['ratio']:>8}  {result['target']}")


if __name__ == "__main__":
    main()
