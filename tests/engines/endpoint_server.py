"""A real HTTP server on 127.0.0.1 that speaks the OpenAI wire format, with a scripted engine behind it.

`faults` are what goes wrong with the next chat requests, one each: a status to refuse with, or how many chunks to send
before the connection breaks.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from termrag.engines import Done, Piece
from termrag.engines.generation import waiting
from termrag.engines.scripted import ScriptedEngine
from termrag.records import Message, Sampling


@dataclass(frozen=True)
class Refuse:
    status: int
    body: str = '{"error": {"message": "no luck today", "type": "test"}}'
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BreakAfter:
    """Send this many chunks of text, then reset the connection."""

    chunks: int


class EndpointServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        script: str,
        *,
        counts: str = "llama-server",
        sends_usage: bool = True,
        usage_factor: int = 1,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.engine = ScriptedEngine(script, model="scripted", context_tokens=100_000)
        self.streams = itertools.count()
        self.counts = counts
        self.sends_usage = sends_usage
        self.usage_factor = usage_factor
        self.faults: list[Refuse | BreakAfter] = []
        self.pace_s = 0.0
        self.silent = threading.Event()  # while set, chat requests get no answer at all
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.sent_chunks = 0
        self.was_left = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def chat_requests(self) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
        return [request for request in self.requests if request[0] == "/v1/chat/completions"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that leave are part of the tests


@contextlib.contextmanager
def running_server(script: str, **options: Any) -> Iterator[EndpointServer]:
    with EndpointServer(script, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.silent.clear()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EndpointServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), {}))
        if self.path != "/v1/models":
            self._send(404, b'{"error": {"message": "no such route"}}', {})
        elif self.server.faults and isinstance(fault := self.server.faults[0], Refuse):
            self.server.faults.pop(0)
            self._send(fault.status, fault.body.encode(), fault.headers)
        else:
            self._json({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        match self.path:
            case "/v1/chat/completions":
                self._chat(body)
            case "/tokenize" if self.server.counts == "vllm":
                count = self.server.engine.count_tokens(_messages(body))
                self._json({"count": count, "max_model_len": 900, "tokens": [0] * count})
            case "/apply-template" if self.server.counts == "llama-server":
                self._json({"prompt": json.dumps(body["messages"])})
            case "/tokenize" if self.server.counts == "llama-server":
                messages = json.loads(body.get("content") or "[]")
                count = self.server.engine.count_tokens(_messages({"messages": messages})) if messages else 0
                self._json({"tokens": [0] * count})
            case _:
                self._send(404, b'{"error": {"message": "no such route"}}', {})

    def _chat(self, body: dict[str, Any]) -> None:
        while self.server.silent.is_set():
            self.connection.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    self.server.was_left.set()
                    return
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, Refuse):
            self._send(fault.status, fault.body.encode(), fault.headers)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._stream(body, fault.chunks if fault else None)
        except (BrokenPipeError, ConnectionResetError):
            self.server.was_left.set()
            self.close_connection = True

    def _stream(self, body: dict[str, Any], break_after: int | None) -> None:
        sampling = Sampling(max_tokens=body["max_tokens"], stop=tuple(body.get("stop", ())))
        self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}], "usage": None})
        stream = self.server.engine.stream_in(next(self.server.streams), _messages(body), sampling)
        with contextlib.closing(waiting(stream)) as events:
            for event in events:
                if isinstance(event, Piece) and event.text:
                    if break_after is not None and self.server.sent_chunks >= break_after:
                        self.close_connection = True
                        return
                    self._event({"choices": [{"index": 0, "delta": {"content": event.text}}], "usage": None})
                    self.server.sent_chunks += 1
                    threading.Event().wait(self.server.pace_s)
                if isinstance(event, Done):
                    self._finish(event)

    def _finish(self, done: Done) -> None:
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": done.reason}], "usage": None})
        if self.server.sends_usage:
            usage = {
                "prompt_tokens": done.usage.prompt_tokens * self.server.usage_factor,
                "completion_tokens": done.usage.generated_tokens,
                "prompt_tokens_details": {"cached_tokens": done.usage.cached_tokens},
            }
            self._event({"choices": [], "usage": usage})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, value: dict[str, Any]) -> None:
        # As llama-server does: UTF-8 is not escaped, and a comment line may come between events.
        self._chunk(b": ping\n\ndata: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _messages(body: dict[str, Any]) -> list[Message]:
    return [Message(message["role"], message["content"]) for message in body["messages"]]
