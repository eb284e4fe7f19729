"""A server under a crowd: how long others wait while thousands of connections are held open, silent or half-said.

    python bench/sturdy.py [--connections 10000] [--requests 100]

The server is a process of its own with the scripted engine and a loopback embedding endpoint. Results are JSON lines,
times in milliseconds; the exit code is 1 if anybody was not answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from embedding_endpoint import served  # noqa: E402
from termrag.server.keys import Keys  # noqa: E402

CROWDS = {"silent": b"", "half a request": b"GET /health HTTP/1.1\r\nX-Slow: ", "resting": b""}
CALLS = {"health": ("GET", "/health", None), "search": ("POST", "/api/v1/search", {"query": "oil"})}
_ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def measure(url: str, key: str, requests: int) -> dict[str, float]:
    """Median and 99th percentile of `/health` and of a search, by another client with a new connection each."""
    taken: dict[str, list[float]] = {name: [] for name in CALLS}
    for _ in range(requests):
        async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}) as client:
            for name in taken:
                begun = time.perf_counter()
                call = (
                    client.get("/health") if name == "health" else client.post("/api/v1/search", json={"query": "oil"})
                )
                async with call as response:
                    assert response.status == 200, await response.text()
                    await response.read()
                taken[name].append((time.perf_counter() - begun) * 1000)
    return {
        f"{name}_{label}_ms": round(value, 1)
        for name, times in taken.items()
        for label, value in (("median", statistics.median(times)), ("p99", sorted(times)[int(len(times) * 0.99) - 1]))
    }


async def hold(port: int, count: int, say: bytes) -> list[asyncio.StreamWriter]:
    held = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(say)
        held.append(writer)
    return held


async def run(home: Path, connections: int, requests: int, embedding_url: str) -> None:
    (home / "notes").mkdir()
    (home / "notes" / "lamp.md").write_text("# The lamp\n\nThe lamp burns 40 litres of oil a week.\n")
    environment = {
        **os.environ,
        "TERMRAG_HOME": str(home),
        "TERMRAG_MODELS_ENGINE": "scripted",
        "TERMRAG_MODELS_SCRIPT": "Forty litres.",
        "TERMRAG_MODELS_EMBEDDING": "openai:tiny",
        "TERMRAG_OPENAI_URL": embedding_url,
        "TERMRAG_SERVER_CONNECTIONS": str(connections),
        "TERMRAG_SERVER_HEADER_TIMEOUT_S": "600",
        "TERMRAG_SERVER_REQUESTS_PER_MINUTE": "0",
    }
    key = Keys(home / "config" / "keys.json").create("bench", ("read",))[1]
    termrag = [sys.executable, "-m", "termrag"]
    added = await asyncio.create_subprocess_exec(*termrag, "add", str(home / "notes"), env=environment)
    assert await added.wait() == 0
    server = await asyncio.create_subprocess_exec(
        *termrag, "serve", "--port", "0", env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert server.stderr is not None
    try:
        while "termrag: http://" not in (line := (await server.stderr.readline()).decode()):
            assert line, "the server did not start"
        url = line.split()[1]
        reading = asyncio.create_task(server.stderr.read())
        print(json.dumps({"crowd": "nobody", **await measure(url, key, requests)}))
        for name, say in CROWDS.items():
            # One and a half times as many as there is room for: who comes later takes the place of who rests.
            count = connections + connections // 2 if name == "resting" else connections
            held = await hold(int(url.rpartition(":")[2]), min(count, _room()), _ASK if name == "resting" else say)
            print(json.dumps({"crowd": name, "connections": len(held), **await measure(url, key, requests)}))
            for writer in held:
                writer.close()
        server.send_signal(signal.SIGTERM)
        begun = time.perf_counter()
        assert await server.wait() == 0
        print(json.dumps({"stopped_in_s": round(time.perf_counter() - begun, 1)}))
        await reading
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


def _room() -> int:
    """Connections that this process can hold."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 20_000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted - 512


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--connections", type=int, default=10_000)
    arguments.add_argument("--requests", type=int, default=100)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="tr-") as folder, served() as endpoint:
        asyncio.run(run(Path(folder), options.connections, options.requests, endpoint.url))


if __name__ == "__main__":
    main()
