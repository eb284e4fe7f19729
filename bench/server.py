"""What the server costs over what it serves, as ratios within one run.

    python bench/server.py [--rounds 5] [--tokens 64] [--only stream health search eight] [--engine llamacpp]

A server in a process of its own, with the starter models over the sample documents; the same models in this process to
set it against. `stream` is tokens per second as the reader of a stream sees them against the engine in this process
(target: at least 0.95). `health` is the time of /health while four answers stream (p99 at most 10 ms), and
while nothing does. `search` is how much longer a search over HTTP takes than the façade's (at most 3 ms). `eight` sets
eight answers at once, asked from another process, against the aggregate of llama.cpp's own calls, or of mlx-lm's own
batch, with as many slots (at least 0.95; one engine for both sides, so this server runs here), and the slowest of the
eight against their median (at most 1.5). Sides take turns, and the median of the rounds counts. Every line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from serving import ROOT, Running, Timed, ask, home, serving, settings
from termrag.engines import Done, Engine, Piece
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.engines.llamacpp_run import request_body
from termrag.engines.mlx import MLXEngine
from termrag.prompt import GENERAL, pack
from termrag.rag import Rag
from termrag.records import Message, Sampling
from termrag.server.keys import Keys
from termrag.server.log import close_logs, open_logs
from termrag.server.running import serve

SLOTS = 8
PARTS = ("stream", "health", "search", "eight")
STORY = "Tell the story of lighthouse keeper number {number}, at length."
QUERIES = ("ferry timetable winter", "birds collected at the lighthouse", "price of rye bread", "how is the lamp lit")
ALONE = {"general": True, "sampling": {"temperature": 0.0}}


class Bench:
    """Both sides, warm."""

    def __init__(self, rag: Rag, server: Running, client: aiohttp.ClientSession, rounds: int, tokens: int) -> None:
        self.rag, self.server, self.client = rag, server, client
        self.rounds, self.tokens = rounds, tokens
        self._asked = 0

    @property
    def engine(self) -> Engine:
        return engine_of(self.rag)

    def story(self) -> str:
        """Another question each time: nothing of it is in a cache, and none is joined to another."""
        self._asked += 1
        return STORY.format(number=self._asked)

    async def served(self, question: str) -> Timed:
        sampling = {"temperature": 0.0, "max_tokens": self.tokens}
        return await ask(self.client, question, general=True, sampling=sampling)

    async def stream(self) -> dict[str, Any]:
        pairs = []
        for number in range(self.rounds):
            question = self.story()
            messages = packed(self.engine, question)
            sides: dict[str, float] = {}
            for side in ("ours", "bare") if number % 2 else ("bare", "ours"):
                if side == "ours":
                    sides[side] = (await self.served(question)).rate
                else:
                    sides[side] = await self.rag._models.run(bare, self.engine, messages, self.tokens)
            pairs.append((sides["ours"], sides["bare"]))
        return {
            "what": "stream",
            "ratio": round(statistics.median(ours / raw for ours, raw in pairs), 3),
            "target": "at least 0.95",
            "served_tokens_per_s": round(statistics.median(ours for ours, _ in pairs), 1),
            "engine_tokens_per_s": round(statistics.median(raw for _, raw in pairs), 1),
        }

    async def health(self) -> dict[str, Any]:
        streaming: list[float] = []
        resting: list[float] = []
        for _ in range(self.rounds):
            asking = [asyncio.create_task(self.served(self.story())) for _ in range(4)]
            while not all(task.done() for task in asking):
                streaming.append(await self._look())
            resting += [await self._look() for _ in range(100)]
        return {"what": "health", "p99_ms": milliseconds(streaming, 0.99), "target": "at most 10"} | {
            "p50_ms": milliseconds(streaming, 0.5),
            "resting_p99_ms": milliseconds(resting, 0.99),
            "requests": len(streaming),
        }

    async def _look(self) -> float:
        begun = time.perf_counter()
        async with self.client.get("/health") as response:
            await response.read()
        took = time.perf_counter() - begun
        await asyncio.sleep(0.01)
        return took

    async def search(self) -> dict[str, Any]:
        direct: list[float] = []
        over: list[float] = []
        for number in range(self.rounds * 12):
            query = QUERIES[number % len(QUERIES)]
            begun = time.perf_counter()
            await self.rag.search(query)
            between = time.perf_counter()
            async with self.client.post("/api/v1/search", json={"query": query}) as response:
                await response.read()
            direct.append(between - begun)
            over.append(time.perf_counter() - between)
        above = [one - other for one, other in zip(over, direct, strict=True)]
        return {"what": "search", "above_ms": milliseconds(above, 0.5), "target": "at most 3"} | {
            "http_p50_ms": milliseconds(over, 0.5),
            "facade_p50_ms": milliseconds(direct, 0.5),
        }


def engine_of(rag: Rag) -> Engine:
    """What is loaded here."""
    chat = rag._parts.chats.current
    assert chat is not None
    return chat.engine


async def eight(rag: Rag, engine: Engine, rounds: int, tokens: int) -> dict[str, Any]:
    """One engine for both sides: two processes with the same model differ by more than what is to be measured. So the
    server runs in this process, and those who ask in another."""
    ratios, slowest = [], []
    async with serving_here(rag) as (url, key):
        crowd = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--crowd", url, key),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        numbers = itertools.count(1000)  # each side has questions of its own: none finds what the other has read
        for number in range(rounds):
            sides: dict[str, float] = {}
            for side in ("ours", "raw") if number % 2 else ("raw", "ours"):
                questions = [STORY.format(number=next(numbers)) for _ in range(SLOTS)]
                if side == "raw":
                    prompts = [packed(engine, question) for question in questions]
                    if isinstance(engine, MLXEngine):  # knows its models on their own thread alone
                        sides[side] = await rag._models.run(raw_batch, engine, prompts, tokens)
                    else:
                        assert isinstance(engine, LlamaCppEngine)
                        sides[side] = await asyncio.to_thread(raw_aggregate, engine._server, prompts, tokens)
                    continue
                crowd.stdin.write(json.dumps({"questions": questions, "tokens": tokens}).encode() + b"\n")
                told = json.loads(await crowd.stdout.readline())
                sides[side] = told["tokens_per_s"]
                slowest.append(told["slowest"])
            ratios.append((sides["ours"], sides["raw"]))
        crowd.stdin.close()
        await crowd.wait()
    return {
        "what": "eight",
        "engine": engine.name,
        "ratio": round(statistics.median(ours / raw for ours, raw in ratios), 3),
        "target": "at least 0.95",
        "slowest_of_median": round(statistics.median(slowest), 2),
        "slowest_target": "at most 1.5",
        "served_tokens_per_s": round(statistics.median(ours for ours, _ in ratios), 1),
        "raw_tokens_per_s": round(statistics.median(raw for _, raw in ratios), 1),
    }


@asynccontextmanager
async def serving_here(rag: Rag) -> AsyncIterator[tuple[str, str]]:
    """The server in this process; its address and a key."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    until = asyncio.Event()
    key = Keys(rag.paths.config / "keys.json").create("crowd", ("admin",))[1]
    open_logs("json", rag.paths.state / "audit.log")
    task = asyncio.create_task(
        serve(rag, ready=lambda host, port: ready.set_result(f"http://{host}:{port}"), until=until)
    )
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield await ready, key
    finally:
        until.set()
        await task
        close_logs()


async def crowd(url: str, key: str) -> None:
    """Ask all questions of a line at once, and tell how fast the answers came; a process of its own."""
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}, connector=connector) as client:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            wanted = json.loads(line)
            sampling = {"temperature": 0.0, "max_tokens": wanted["tokens"]}
            begun = time.perf_counter()
            answers = await asyncio.gather(
                *(ask(client, question, general=True, sampling=sampling) for question in wanted["questions"])
            )
            took_s = time.perf_counter() - begun
            equal = [answer.ended_s for answer in answers if answer.tokens == wanted["tokens"]]
            told = {
                "tokens_per_s": sum(answer.tokens for answer in answers) / took_s,
                "slowest": max(equal) / statistics.median(equal),
            }
            print(json.dumps(told), flush=True)


def milliseconds(seconds: list[float], quantile: float) -> float:
    return round(sorted(seconds)[min(len(seconds) - 1, int(quantile * len(seconds)))] * 1000, 2)


def packed(engine: Engine, question: str) -> tuple[Message, ...]:
    """What the façade makes of a question without documents."""
    return pack(question, (), limit=1500, count=engine.count_tokens, system=GENERAL).messages


def bare(engine: Engine, messages: tuple[Message, ...], tokens: int) -> float:
    """Tokens per second of the engine alone, from the first text to the last."""
    times, generated = [], 0
    for event in engine.stream(messages, Sampling(max_tokens=tokens)):
        match event:
            case Piece(text) if text:
                times.append(time.perf_counter())
            case Done(usage=usage):
                generated = usage.generated_tokens
    return (generated - 1) / (times[-1] - times[0])


def raw_aggregate(server: Any, prompts: list[tuple[Message, ...]], tokens: int) -> float:
    """Tokens per second of llama.cpp's own calls, one thread each, all at once."""
    generated: list[int] = []

    def call(messages: tuple[Message, ...]) -> None:
        def take(chunk: dict[str, Any]) -> bool:
            if usage := chunk.get("usage"):
                generated.append(usage["completion_tokens"])
            return False

        server.handle_chat_completions(request_body(messages, Sampling(max_tokens=tokens)), take)

    threads = [threading.Thread(target=call, args=(messages,)) for messages in prompts]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(generated) / (time.perf_counter() - begun)


def raw_batch(engine: MLXEngine, prompts: list[tuple[Message, ...]], tokens: int) -> float:
    """Tokens per second of mlx-lm's own batch."""
    from mlx_lm.generate import BatchGenerator

    ends = [[each] for each in engine._tokenizer.eos_token_ids]
    sizes = {"completion_batch_size": len(prompts), "prefill_batch_size": len(prompts)}
    ids = [engine._ids(messages) for messages in prompts]
    generator = BatchGenerator(engine._model, stop_tokens=ends, prefill_step_size=engine._step_tokens, **sizes)
    generated, running = 0, len(prompts)
    begun = time.perf_counter()
    generator.insert(ids, [tokens] * len(prompts))
    while running:
        _, responses = generator.next()
        generated += len(responses)
        running -= sum(bool(response.finish_reason) for response in responses)
    took_s = time.perf_counter() - begun
    generator.close()
    return generated / took_s


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--engine", default="llamacpp", choices=["llamacpp", "mlx"])
    parser.add_argument("--crowd", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.crowd:
        await crowd(*options.crowd)
        return
    with tempfile.TemporaryDirectory(prefix="tr-") as folder:
        paths = home(Path(folder))
        config = settings(
            {
                "models": {"engine": options.engine, "chat": "smollm2-135m", "context_tokens": 2048},
                "server": {
                    "concurrent": SLOTS,
                    "requests_per_minute": 0,
                    "address_requests_per_minute": 0,
                    "log": "json",
                    "port": 0,
                },
            },
            paths,
        )
        async with Rag(config, paths) as rag:
            rag.write_at_once(SLOTS)
            for model in ("smollm2-135m", config.models.embedding):
                async for _ in rag.pull(model):
                    pass
            async for _ in rag.ingest([ROOT / "tests" / "samples"]):
                pass
            async for _ in rag.load_models():
                pass
            if alone := [name for name in options.only if name != "eight"]:
                async with serving(paths) as server, server.client() as client:
                    bench = Bench(rag, server, client, options.rounds, options.tokens)
                    await bench.served(bench.story())  # loads its model
                    for name in alone:
                        emit(await getattr(bench, name)())
            if "eight" in options.only:
                emit(await eight(rag, engine_of(rag), options.rounds, options.tokens))


def emit(found: dict[str, Any]) -> None:
    print(json.dumps(found | {"load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
