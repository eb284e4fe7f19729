"""A server's life: sockets opened, signals heard, streams ended with an event, everything closed in order."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from termrag.errors import ConfigError, TermragError
from termrag.heap import settle, unsettle
from termrag.ledger.lock import server_lock as server_lock
from termrag.logs import log_bug
from termrag.server.app import make_app
from termrag.server.faults import Fault, data
from termrag.server.log import log
from termrag.server.middlewares import HEADERS, STATE

if TYPE_CHECKING:
    from termrag.config import Config
    from termrag.rag import Rag
    from termrag.server.state import State

_GRACE_S = 4.0
_OWN_FILES = 512  # of the index, the models and the logs
_SWITCH_S = 0.0005  # the loop gives the interpreter away at each send, and should not wait long to have it back
_KEEP_S = 75.0  # a connection may rest between requests
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


async def serve(
    rag: Rag,
    *,
    ready: Callable[[str, int], None],
    until: asyncio.Event | None = None,
    reload: Callable[[], Config] | None = None,
    is_locked: bool = False,
) -> None:
    """Serve until SIGTERM, SIGINT or `until`. `ready` is told the address and port once both sockets are open. SIGHUP
    takes over what `reload` returns; connections stay. Raises ConfigError for an address that cannot be had,
    LibraryBusy if another process serves from this runtime folder; the caller may hold that lock for longer."""
    with nullcontext() if is_locked else server_lock(rag.paths.runtime):
        await _serve(rag, ready, until, reload)


async def _serve(
    rag: Rag,
    ready: Callable[[str, int], None],
    until: asyncio.Event | None,
    reload: Callable[[], Config] | None,
) -> None:
    settings = rag.config.server
    sys.setswitchinterval(_SWITCH_S)
    _allow_files(settings.connections)
    app = make_app(rag)
    state = app[STATE]
    state.stop = until or state.stop
    _hear(state, reload)
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_GRACE_S,
    )
    await runner.setup()
    path = rag.paths.host_socket
    try:
        assert runner.server is not None
        gate = Gate(runner.server, settings.connections, settings.header_timeout_s)
        async with AsyncExitStack() as listening:
            listening.push_async_callback(_close, await _open_socket(gate, path), path)
            by_port = await _open_port(gate, settings.host, settings.port)
            listening.push_async_callback(_close, by_port)
            port = by_port.sockets[0].getsockname()[1]
            log().info("listening", host=settings.host, port=port, socket=str(path))
            state.address = f"http://{_in_url(settings.host)}:{port}"
            ready(settings.host, port)
            state.spawn(_warm(state))
            await state.stop.wait()
            log().info("stopping")
    finally:
        await runner.cleanup()
        unsettle()


async def _warm(state: State) -> None:
    state.is_loading = True
    try:
        await state.rag.warm()
        settle()
    finally:
        state.is_loading = False


def _allow_files(connections: int) -> None:
    """Let the process have a file for each connection beside its own, as far as the system lets it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _close(server: asyncio.Server, path: Path | None = None) -> None:
    """Take no more connections; those that are open end with the runner."""
    server.close()
    if path is not None:
        path.unlink(missing_ok=True)


class Gate:
    """Makes the protocol of each connection: not more than `most`, none of another user by the Unix socket, and none
    that says nothing for `silent_s`. Where all are taken, who comes has the place of who has rested longest, so that
    a crowd which only holds connections keeps nobody out."""

    def __init__(self, server: web.Server, most: int, silent_s: float) -> None:
        self._server = server
        self._most = most
        self._silent_s = silent_s
        self._open: dict[_Connection, None] = {}  # in the order of their coming

    def __call__(self) -> asyncio.BaseProtocol:
        options = {"access_log": None, "keepalive_timeout": _KEEP_S, "lingering_time": 2.0}
        return _Connection(self._server, loop=asyncio.get_running_loop(), gate=self, **options)

    def enter(self, connection: _Connection, transport: asyncio.Transport) -> None:
        is_stranger = _is_unix(transport) and not _is_mine(transport)
        if is_stranger or (len(self._open) >= self._most and not self._make_room()):
            transport.abort()
            return
        self._open[connection] = None
        asyncio.get_running_loop().call_later(self._silent_s, self._close_silent, connection)

    def leave(self, connection: _Connection) -> None:
        self._open.pop(connection, None)

    def _make_room(self) -> bool:
        """Close a connection on which nothing is being answered; False if there is none."""
        resting = next((each for each in self._open if each.is_resting), None)
        if resting is None or resting.transport is None:
            return False
        resting.transport.abort()
        self.leave(resting)
        return True

    def _close_silent(self, connection: _Connection) -> None:
        """A connection that has not brought one whole request by now is closed."""
        if connection in self._open and connection.transport is not None and not connection.has_asked:
            connection.transport.abort()


class _Connection(RequestHandler):
    """aiohttp's connection, which tells the gate of its beginning and end."""

    __slots__ = ("_gate",)

    def __init__(self, server: web.Server, *, gate: Gate, **options: Any) -> None:
        super().__init__(server, **options)
        self._gate = gate

    @property
    def has_asked(self) -> bool:
        return self._request_count > 0

    @property
    def is_resting(self) -> bool:
        """Whether no request is being answered."""
        return self._current_request is None and not self._messages

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP is answered in the one shape of errors; none of it goes into a log."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent already")
        number = secrets.token_hex(8)
        if status >= 500 and exc is not None:
            log_bug(f"bug request_id={number}", exc)
        log().info("not http", request_id=number, status=status)
        code, words = ("internal", "something went wrong here") if status >= 500 else ("bad_request", "this is no HTTP")
        response = web.json_response(data(Fault(code, words, "", number)), status=status)
        response.headers.update({**HEADERS, "X-Request-ID": number})
        response.force_close()
        return response

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._gate.enter(self, transport)

    def connection_lost(self, error: BaseException | None) -> None:
        self._gate.leave(self)
        super().connection_lost(error)


def _is_unix(transport: asyncio.BaseTransport) -> bool:
    return getattr(transport.get_extra_info("socket"), "family", None) == socket.AF_UNIX


def _is_mine(transport: asyncio.BaseTransport) -> bool:
    """Whether the process at the other end of a Unix socket belongs to this user."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return False
    if sys.platform == "darwin":
        raw = connection.getsockopt(0, 1, 12)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
        return bool(struct.unpack("2I", raw[:8])[1] == os.getuid())
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", raw)[1] == os.getuid())


async def _open_socket(gate: Gate, path: Path) -> asyncio.Server:
    path.unlink(missing_ok=True)  # of one that was killed: the lock says that none is alive
    old = os.umask(0o177)
    try:
        return await asyncio.get_running_loop().create_unix_server(gate, str(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", "TERMRAG_HOME needs a shorter path") from error
    finally:
        os.umask(old)


async def _open_port(gate: Gate, host: str, port: int) -> asyncio.Server:
    if host not in _LOOPBACK:
        log().warning("reachable from other machines", host=host)
    try:
        return await asyncio.get_running_loop().create_server(gate, host, port, backlog=512)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", "termrag serve --port 0"
        ) from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _hear(state: State, reload: Callable[[], Config] | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, state.stop.set)
    if reload is not None:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGHUP, lambda: state.spawn(_reload(state, reload)))


async def _reload(state: State, load: Callable[[], Config]) -> None:
    """Take over what the configuration says now; one that is wrong changes nothing."""
    try:
        await state.reload(load())
    except TermragError as error:
        log().warning("not reloaded", reason=error.message, hint=error.hint)
    else:
        log().info("reloaded")
