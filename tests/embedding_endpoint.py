"""An OpenAI-compatible embeddings endpoint on the loopback, with faults."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Endpoint:
    """`faults` are (status, body) answers, used up oldest first, before it answers properly; `free` is cleared to
    hold all answers back."""

    port: int = 0
    dimension: int = 32
    reverse: bool = False
    faults: list[tuple[int, str]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def vector(self, text: str) -> list[float]:
        """The sum of one random direction per word, so that texts which share words are near each other."""
        total = [0.0] * self.dimension
        for word in re.findall(r"\w+", text.lower()) or [""]:
            source = random.Random(hashlib.sha256(word.encode()).digest())
            total = [number + source.gauss(0, 3) for number in total]
        return total


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.requests.append(body)
            endpoint.keys.append(self.headers.get("Authorization"))
            endpoint.free.wait(30)
            if endpoint.faults:
                self._answer(*endpoint.faults.pop(0))
                return
            entries = [
                {"object": "embedding", "index": index, "embedding": endpoint.vector(text)}
                for index, text in enumerate(body["input"])
            ]
            if endpoint.reverse:
                entries.reverse()
            self._answer(200, json.dumps({"object": "list", "data": entries, "model": body["model"]}))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


@contextmanager
def served() -> Iterator[Endpoint]:
    """An endpoint that answers until the block is left."""
    endpoint = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    endpoint.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint
