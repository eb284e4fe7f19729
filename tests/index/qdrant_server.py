"""A stand-in for a Qdrant server: its HTTP interface on a loopback socket over qdrant-client's own local mode.

It speaks the calls that termrag makes, and nothing else. It can be stopped and started again on the same port with what
it held, told to answer with an error, or to keep a client waiting: all of it over real sockets.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models
from qdrant_client.http.models import models as wire

Answer = tuple[int, dict[str, str], bytes]


class QdrantServer:
    """`url` is where it listens. `requests` are the method and path of every request that came in."""

    def __init__(self) -> None:
        warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)
        warnings.filterwarnings("ignore", "Local mode is not recommended", UserWarning)
        self.requests: list[str] = []
        self.api_key = ""
        self.version = "1.17.0"
        self.before: Callable[[str], Answer | None] = lambda request: None
        self._held = QdrantClient(":memory:")
        self._turn = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the port of the last time."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with suppress(ConnectionError, ValueError):
                    super().handle_one_request()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                path = self.path.partition("?")[0]
                request = f"{self.command} {path}"
                server.requests.append(request)
                status, headers, content = server._answer(request, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of the base class

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def get_request(self) -> Any:
                connection, address = super().get_request()
                server._connections.append(connection)
                return connection, address

        self._connections: list[Any] = []
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop listening and cut every connection; what was written stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(2)

    def close(self) -> None:
        self.stop()
        self._held.close()

    def points_of(self, collection: str) -> set[str]:
        """The ids of all points of a collection."""
        with self._turn:
            return {str(each.id) for each in self._held.scroll(collection, limit=100_000)[0]}

    # --- answering -----------------------------------------------------------------------------------------------

    def _answer(self, request: str, headers: dict[str, str], body: bytes) -> Answer:
        if (given := self.before(request)) is not None:
            return given
        key = {name.lower(): value for name, value in headers.items()}.get("api-key", "")
        if self.api_key and key != self.api_key:
            return failed(401, "Invalid API key")
        try:
            with self._turn:
                result = self._do(request, json.loads(body) if body else {})
        except ValueError as error:
            status = 404 if "not found" in str(error) else 409 if "already exists" in str(error) else 400
            return failed(status, str(error))
        if request == "GET /":
            return 200, {}, json.dumps(result).encode()
        return 200, {}, TypeAdapter(Any).dump_json({"result": result, "status": "ok", "time": 0.0})

    def _do(self, request: str, body: dict[str, Any]) -> Any:
        method, _, path = request.partition(" ")
        if path == "/":
            return {"title": "stand-in", "version": self.version}
        name, _, action = path.removeprefix("/collections/").partition("/")
        match method, action:
            case "GET", "exists":
                return {"exists": self._held.collection_exists(name)}
            case "GET", "":
                return self._held.get_collection(name)
            case "PUT", "":
                return self._make(name, wire.CreateCollection(**body))
            case "PATCH", "":
                return self._held.update_collection(name, metadata=body["metadata"])
            case "DELETE", "":
                return self._held.delete_collection(name)
            case "PUT", "index":
                return _done()
            case _:
                return self._points(name, action, body)

    def _make(self, name: str, asked: wire.CreateCollection) -> bool:
        return self._held.create_collection(
            name,
            vectors_config=asked.vectors,
            sparse_vectors_config=asked.sparse_vectors,
            metadata=asked.metadata,
        )

    def _points(self, name: str, action: str, body: dict[str, Any]) -> Any:
        held = self._held
        where = models.Filter(**body["filter"]) if body.get("filter") else None
        match action:
            case "points":
                asked = wire.PointsList(**body)
                held.upsert(name, asked.points, update_filter=asked.update_filter)
            case "points/batch":
                steps = wire.UpdateOperations(**body).operations
                held.batch_update_points(name, steps)
                return [_done() for _ in steps]
            case "points/payload":
                held.set_payload(name, body["payload"], where)
            case "points/delete":
                held.delete(name, where)
            case "points/vectors":
                held.update_vectors(name, wire.UpdateVectors(**body).points)
            case "points/query":
                asked_for = wire.QueryRequest(**body)
                query = asked_for.query
                return held.query_points(
                    name,
                    query=query.nearest if isinstance(query, models.NearestQuery) else query,
                    using=asked_for.using,
                    query_filter=asked_for.filter,
                    limit=asked_for.limit,
                    with_payload=asked_for.with_payload,
                )
            case "points/scroll":
                points, following = held.scroll(
                    name, where, body["limit"], offset=body.get("offset"), with_payload=body["with_payload"],
                    with_vectors=body.get("with_vector", False),
                )  # fmt: skip
                return {"points": points, "next_page_offset": following}
            case "points/count":
                return held.count(name, where, exact=True)
            case "facet":
                return held.facet(name, body["key"], where, limit=body["limit"], exact=True)
            case _:
                raise ValueError(f"the stand-in does not know {action}")
        return _done()


def failed(status: int, why: str, **headers: str) -> Answer:
    """An answer as Qdrant words its errors."""
    return status, headers, json.dumps({"status": {"error": why}, "time": 0.0}).encode()


def _done() -> dict[str, Any]:
    return {"operation_id": 0, "status": "completed"}
