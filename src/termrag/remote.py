"""The same façade, spoken to a warm host over its Unix socket: what is asked here is computed there.

Imports nothing heavy: a command that finds a host needs neither store nor model. Each call is one HTTP/1.0 request
with a body of one line; the answer is lines until the connection ends: events or one value, then the word that it is
whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import stat
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from termrag import __version__, codec, light
from termrag.errors import HostLost

if TYPE_CHECKING:
    from termrag.candidates import FormatInfo
    from termrag.config import Config
    from termrag.paths import Paths
    from termrag.rag import Rag
    from termrag.records import Sampling

# Methods of the façade that yield events; all others return one value.
STREAMS = frozenset(
    {
        "ask", "ingest", "ingest_text", "remove", "sync", "pull", "load_models", "preview_adding", "reindex",
        "bring_back", "verify_index", "export_index", "import_index", "back_up_index", "restore_index", "migrate_index",
    }
)  # fmt: skip

_SECRETS = ("TERMRAG_OPENAI_API_KEY",)
_PATIENCE_S = 2.0  # for a host to say what it is
_LONGEST_LINE = 1 << 30
_LOST = "the warm host ended before it was done"
_ALONE = "termrag serve --background starts it again; --no-host does without"


@light.dataclass(frozen=True, slots=True)
class HostInfo:
    """What a host says of itself. `likeness` is equal where library and settings are; see `likeness`."""

    pid: int
    version: str
    likeness: str
    address: str
    library: str
    started_at: float
    model: str = ""
    at_work: int = 0


def likeness(config: Config, paths: Paths, environ: Mapping[str, str] | None = None) -> str:
    """Equal for two processes whose answers would be the same: version, library, and the settings that matter. How
    tokens are chosen comes with each question and does not count."""
    environ = os.environ if environ is None else environ
    chosen = config.library.path
    folder = os.path.realpath(Path(chosen).expanduser() if chosen else paths.library)
    what = (
        __version__,
        replace(config.library, path=folder),
        (config.models, config.openai, config.retrieval, config.documents, config.sessions),
        [str(each) for each in (paths.data, paths.cache)],
        [environ.get(name, "") for name in _SECRETS],
    )
    return hashlib.sha256(repr(what).encode("utf-8", "surrogatepass")).hexdigest()


def find_host(paths: Paths) -> HostInfo | None:
    """The host that listens in this user's runtime folder, if there is one that answers."""
    try:
        status = paths.host_socket.stat()
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.getuid():
            return None
        return HostInfo(**json.loads(_said(paths.host_socket, "GET /host", _PATIENCE_S)))
    except (OSError, ValueError, TypeError):
        return None


def stop_host(paths: Paths, timeout_s: float) -> HostInfo | None:
    """Ask the host to end and wait until its process has; None if there is none. Raises HostLost if it does not end."""
    from termrag.ledger.lock import SERVER_LOCK, lock_holder

    deadline = time.monotonic() + timeout_s
    info = find_host(paths)
    if info is None:
        if (pid := lock_holder(paths.runtime, SERVER_LOCK)) is None:
            return None
        raise HostLost(f"process {pid} serves, but does not answer", f"kill {pid}")
    _said(paths.host_socket, "POST /host/stop", timeout_s)
    while lock_holder(paths.runtime, SERVER_LOCK) is not None:
        if time.monotonic() > deadline:
            raise HostLost(f"process {info.pid} has not ended after {timeout_s:.0f} s", f"kill {info.pid}")
        time.sleep(0.02)
    return info


def attach(config: Config, paths: Paths) -> Rag | None:
    """The façade of a running host for this very library and configuration; None if there is none."""
    info = find_host(paths)
    if info is None or info.version != __version__ or info.likeness != likeness(config, paths):
        return None
    return cast("Rag", RemoteRag(config, paths))


class RemoteRag:
    """`Rag` as far as a command needs it. Every method that is not here is called on the host; leaving a stream stops
    its compute there. What is called once the host is gone is computed in this process. Raises what the host's façade
    raises, and HostLost if the host ends in the middle of a call."""

    def __init__(self, config: Config, paths: Paths) -> None:
        self.config = config
        self.paths = paths
        self._own: Rag | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__(None, None, None)

    def sampling(self) -> Sampling:
        return self.config.generation.sampling()

    def ask(self, question: str, *, sampling: Sampling | None = None, **options: Any) -> AsyncGenerator[Any, None]:
        return self._stream("ask", question, sampling=sampling or self.sampling(), **options)

    async def change(self, section: str, key: str, value: object, *, save: bool = True) -> None:
        """Set one setting, at the host too."""
        config = self.config.with_values({section: {key: value}}, f"{section}.{key}")
        if save or section not in ("generation", "tui"):
            await self._value("change", section, key, value, save=save)
        self.config = config

    async def reset(self, section: str, key: str) -> object:
        """Let a setting's default hold again, at the host too, and return it."""
        default = await self._value("reset", section, key)
        self.config = self.config.with_values({section: {key: default}}, f"{section}.{key}")
        return default

    async def use(self, name: str) -> str:
        """Make a model the chosen one, at the host and in the configuration file, and say what was written."""
        key = "embedding" if (await self.model(name)).role == "embedding" else "chat"
        said = await self._value("use", name)
        self.config = self.config.with_values({"models": {key: name}}, "models")
        if key == "chat" and self.config.models.engine == "openai":
            self.config = self.config.with_values({"models": {"engine": "auto"}}, "models")
        return str(said)

    async def use_remote(self, model: str) -> None:
        """Let the endpoint's model answer from the next question on; kept in the configuration file."""
        await self.change("openai", "model", model)
        await self.change("models", "engine", "openai")

    def readable_formats(self) -> Sequence[FormatInfo]:
        """What can be read."""
        from termrag.adding import readable_formats

        return readable_formats()

    @property
    def api_key(self) -> str:
        """The endpoint's key, masked; empty if there is none."""
        from termrag import connection

        return connection.masked_key(connection.with_stored_key(os.environ, self.paths))

    @property
    def is_api_key_given(self) -> bool:
        """Whether the environment names the key, so that one stored here would not be heard."""
        from termrag import connection

        return bool(os.environ.get(connection.API_KEY))

    @property
    def loaded_model(self) -> str | None:
        """The chat model that is in the host's memory."""
        if self._own is not None:
            return self._own.loaded_model
        info = find_host(self.paths)
        return info.model or None if info else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        call = self._stream if name in STREAMS else self._value
        return lambda *arguments, **options: call(name, *arguments, **options)

    async def _value(self, method: str, /, *arguments: Any, **options: Any) -> Any:
        value = None
        async for found in self._stream(method, *arguments, **options):
            value = found
        return value

    async def _stream(self, method: str, /, *arguments: Any, **options: Any) -> AsyncGenerator[Any, None]:
        connection = None if self._own is not None else await self._connected()
        if connection is None:
            values = self._here(method, *arguments, **options)
        else:
            values = self._there(*connection, method, arguments, options)
        async with aclosing(values):
            async for value in values:
                yield value

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.open_unix_connection(str(self.paths.host_socket), limit=_LONGEST_LINE)
        except OSError:
            return None

    async def _there(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> AsyncGenerator[Any, None]:
        """Call the host."""
        try:
            body = codec.dumps({"arguments": arguments, "options": options, "folder": str(Path.cwd())})
            writer.write(_head(f"POST /host/{method}", body, likeness(self.config, self.paths)) + body)
            await _past_head(reader)
            async for value in _values(reader):
                yield value
        except (OSError, asyncio.IncompleteReadError) as error:
            raise HostLost(_LOST, _ALONE) from error
        finally:
            writer.close()

    async def _here(self, method: str, /, *arguments: Any, **options: Any) -> AsyncGenerator[Any, None]:
        """The same without a host, from now on."""
        if self._own is None:
            from termrag.logs import logger
            from termrag.rag import Rag

            logger.warning("the warm host is gone; this process goes on without")
            self._own = Rag(self.config, self.paths)
        if any(isinstance(each, codec.Kept) for each in arguments):
            raise HostLost("what was taken out went with the warm host", "termrag add PATH")
        called = getattr(self._own, method)(*arguments, **options)
        if method not in STREAMS:
            yield await called
            return
        async with aclosing(called):
            async for value in called:
                yield value


async def _past_head(reader: asyncio.StreamReader) -> None:
    """Read up to the body. Raises HostLost for a refusal."""
    status = (await reader.readuntil(b"\r\n")).split(b" ", 2)[1]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    if status != b"200":
        refusal = json.loads(await reader.read())
        raise HostLost(refusal["message"], refusal["hint"] or _ALONE)


async def _values(reader: asyncio.StreamReader) -> AsyncGenerator[Any, None]:
    while True:
        line = await reader.readuntil(b"\n")
        match codec.loads(line):
            case {"item": value}:
                yield value
            case {"error": dict() as error}:
                raise codec.raised(error)
            case _:
                return


def _head(request: str, body: bytes = b"", wanted: str = "") -> bytes:
    lines = (f"{request} HTTP/1.0", "Host: localhost", f"Content-Length: {len(body)}", f"X-Likeness: {wanted}", "", "")
    return "\r\n".join(lines).encode()


def _said(path: Path, request: str, timeout_s: float) -> bytes:
    """The body of an answer that comes until the connection ends."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(_head(request))
        parts: Sequence[bytes] = list(iter(lambda: connection.recv(65_536), b""))
    return b"".join(parts).partition(b"\r\n\r\n")[2]
