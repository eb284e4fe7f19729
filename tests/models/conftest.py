"""A model hub on the loopback that speaks as the real one does: redirects to storage, ranges, hashes in headers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from termrag.models import CatalogueModel, Shelf, Source, SourceFile

COMMIT = "c" * 40


@dataclass
class FakeHub:
    """`files` by name. The rest are faults: each is used up, oldest first, by GET requests of file contents."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)  # redirected to storage, with the sha256 in X-Linked-Etag
    cuts: list[int] = field(default_factory=list)  # send so many bytes, then drop the connection
    statuses: list[int] = field(default_factory=list)
    stated: dict[str, str] = field(default_factory=dict)  # a hash the hub claims instead of the true one
    has_ranges: bool = True
    slow_s: float = 0.0
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    sent_bytes: int = 0
    pause: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ranges(self) -> list[str]:
        return [headers["range"] for _, _, headers in self.requests if "range" in headers]

    def gets(self, prefix: str) -> list[tuple[str, dict[str, str]]]:
        return [(path, headers) for method, path, headers in self.requests if method == "GET" and prefix in path]


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._note()
            self._empty(200)

        def do_GET(self) -> None:
            self._note()
            name = self.path.rsplit("/", 1)[-1]
            if hub.statuses:
                self._empty(hub.statuses.pop(0))
            elif name not in hub.files:
                self._empty(404)
            elif "/resolve/" in self.path and name in hub.large:
                # Another host name: storage must not see the hub's token.
                self._empty(302, Location=f"http://localhost:{hub.port}/storage/{name}", **self._facts(name))
            else:
                self._content(name)

        def _facts(self, name: str) -> dict[str, str]:
            content = hub.files[name]
            if name in hub.large:
                tag = hub.stated.get(name, hashlib.sha256(content).hexdigest())
                return {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(content)), "X-Repo-Commit": COMMIT}
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            return {"ETag": f'"{hub.stated.get(name, blob)}"', "X-Repo-Commit": COMMIT}

        def _content(self, name: str) -> None:
            content = hub.files[name]
            tag = f'"{hashlib.md5(content).hexdigest()}"'
            start = 0
            wanted = self.headers.get("Range", "")
            if hub.has_ranges and wanted and self.headers.get("If-Range") == tag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            facts = {"ETag": tag} if "/storage/" in self.path else {**self._facts(name)}
            for key, value in facts.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self._send(content[start:])

        def _send(self, content: bytes) -> None:
            end = hub.cuts.pop(0) if hub.cuts else len(content)
            for position in range(0, min(end, len(content)), 65536):
                block = content[position : min(position + 65536, end)]
                try:
                    self.wfile.write(block)
                except (BrokenPipeError, ConnectionResetError):
                    break
                hub.sent_bytes += len(block)
                hub.pause.wait(hub.slow_s)
            if end < len(content):
                self.close_connection = True

        def _note(self) -> None:
            hub.requests.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))

        def _empty(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield hub
    hub.pause.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hub_model(hub: FakeHub) -> Callable[..., CatalogueModel]:
    """Put files on the hub and describe them as a model for mlx; the catalogue holds the hashes of `pinned`."""

    def build(files: dict[str, bytes], pinned: set[str] = frozenset(), revision: str = "main") -> CatalogueModel:
        hub.files = dict(files)
        hub.large = {name for name, content in files.items() if len(content) > 10_000}
        described = tuple(
            SourceFile(
                name,
                sha256=hashlib.sha256(content).hexdigest() if name in pinned else "",
                size_bytes=len(content),
            )
            for name, content in files.items()
        )
        source = Source("mlx", hub="acme/tiny", revision=revision, files=described)
        return CatalogueModel("tiny", "chat", "mit", "A model for tests.", (source,))

    return build


@pytest.fixture
def hub_shelf(hub: FakeHub, tmp_path: Path) -> Callable[..., Shelf]:
    def build(*models: CatalogueModel, environ: dict[str, str] | None = None, hub_timeout_s: float = 2.0) -> Shelf:
        return Shelf(
            tmp_path / "models",
            hub_timeout_s=hub_timeout_s,
            environ={"HF_ENDPOINT": hub.url, **(environ or {})},
            catalogue={model.name: model for model in models},
        )

    return build
