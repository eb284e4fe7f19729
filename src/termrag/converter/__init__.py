"""Runs a parser on one open file at a time in a child process that it may ruin; knows nothing of formats.

One zygote (`python -m termrag.converter`) imports the heavy libraries once and forks a confined child per file
(see confinement). Parent and zygote speak over a Unix socket pair: a closed socket ends the zygote, and with it the
child, so nothing outlives the parent, however it dies. What a child answers is JSON and is never trusted further.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from termrag.converter import wire
from termrag.errors import UnreadableFile

PARSER = "termrag.readers.parse:parse"

_START_GRACE_S = 90.0  # a cold import of the office parsers on a busy machine
_MB = 1_000_000
# The child needs to find Python and its libraries and nothing else: no key or token reaches a parser.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# The zygote must stay single-threaded until it forks; macOS asks for the last one of a process that forks on.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file's parser may take. `cpu_s` bounds a parser that spins, `timeout_s` one that waits; processor time
    grows with the file, so that a busy machine never fails a good file."""

    timeout_s: float = 120.0
    memory_mb: int = 1500
    output_mb: int = 32
    cpu_s: float = 30.0
    cpu_s_per_mb: float = 20.0

    def cpu_limit(self, size_bytes: int) -> int:
        return max(1, int(min(self.timeout_s, self.cpu_s + self.cpu_s_per_mb * size_bytes / _MB)))


class Converter:
    """One zygote process, started on first need, restarted when it dies. For one thread at a time.

    `parser` names the function the child calls, as `module:function`; it gets the bytes of the file and the request's
    keyword arguments and returns what JSON can carry.
    """

    def __init__(self, limits: Limits | None = None, *, parser: str = PARSER) -> None:
        self._limits = limits or Limits()
        self._parser = parser
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._noise: IO[bytes] | None = None

    def __enter__(self) -> Converter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The zygote's process id, None while there is none."""
        return self._process.pid if self._process else None

    def run(self, fd: int, shown: str, arguments: Mapping[str, Any], *, preload: Sequence[str] = ()) -> Any:
        """What the parser returned for the open file `fd`, which messages call `shown`.

        `preload` names modules that the zygote imports before it forks, so that their import is paid once.
        Raises UnreadableFile when the parser says so, breaks, or passes a limit.
        """
        size = os.fstat(fd).st_size
        request = {
            "arguments": dict(arguments),
            "preload": list(preload),
            "timeout_s": self._limits.timeout_s,
            "memory_bytes": self._limits.memory_mb * _MB,
            "output_bytes": self._limits.output_mb * _MB,
            "cpu_s": self._limits.cpu_limit(size),
        }
        try:
            outcome, payload = self._exchange(fd, shown, json.dumps(request).encode())
        except BaseException:
            self.close()  # an answer may still be under way: this channel is of no more use
            raise
        return self._result(outcome, payload, shown)

    def close(self) -> None:
        """End the zygote and whatever it runs; idempotent."""
        if self._channel:
            self._channel.close()
            self._channel = None
        if self._process:
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        if self._noise:
            self._noise.close()
            self._noise = None

    def _exchange(self, fd: int, shown: str, request: bytes) -> tuple[wire.Outcome, bytes]:
        for fresh in (False, True):
            channel = self._started(fresh=fresh)
            channel.settimeout(self._limits.timeout_s + _START_GRACE_S)
            try:
                wire.send_request(channel, request, fd)
                return wire.receive_outcome(channel)
            except TimeoutError:
                self.close()
                return wire.Outcome.TIMEOUT, b""
            except (ConnectionError, EOFError):
                continue  # the zygote died between two files or in this one: once more with a fresh one
        noise = _one_line(self._last_noise()) or "without a word"
        self.close()
        raise UnreadableFile(f"{shown} was not read: the converter itself ended ({noise})", "termrag doctor")

    def _started(self, *, fresh: bool) -> socket.socket:
        if fresh or (self._process and self._process.poll() is not None):
            self.close()
        if self._channel:
            return self._channel
        ours, theirs = socket.socketpair()
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the zygote
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # -P keeps the current folder off the import path: documents are indexed there, not modules.
        command = [sys.executable, "-P", "-W", "ignore", "-m", __name__, str(theirs.fileno()), self._parser]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._noise,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C is the parent's to handle
            env={**environment, **_ONE_THREAD},
        )
        theirs.close()
        self._channel = ours
        return ours

    def _last_noise(self) -> str:
        if self._noise is None:
            return ""
        self._noise.seek(0)
        lines = self._noise.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _result(self, outcome: wire.Outcome, payload: bytes, shown: str) -> Any:
        limits = self._limits
        match outcome:
            case wire.Outcome.RETURNED:
                try:
                    return json.loads(payload)
                except (ValueError, RecursionError):
                    raise UnreadableFile(
                        f"{shown} made its parser answer nonsense", "The file may be hostile."
                    ) from None
            case wire.Outcome.REFUSED:
                message, hint = map(_one_line, json.loads(payload))
                raise UnreadableFile(f"{shown} {message}", hint)
            case wire.Outcome.TIMEOUT:
                raise UnreadableFile(
                    f"{shown} takes too long to read",
                    f"termrag config set documents.convert_timeout_s {int(limits.timeout_s * 2)}",
                )
            case wire.Outcome.MEMORY:
                raise UnreadableFile(
                    f"{shown} takes more than {limits.memory_mb} MB of memory to read",
                    f"termrag config set documents.convert_memory_mb {limits.memory_mb * 2}",
                )
            case wire.Outcome.TOO_MUCH:
                raise UnreadableFile(f"{shown} gives more than {limits.output_mb} MB of text", "Split the file.")
            case wire.Outcome.DIED:
                reason = _one_line(payload.decode("utf-8", "replace"))
                raise UnreadableFile(f"{shown} broke its parser ({reason})", "The file may be damaged.")


def _one_line(text: object) -> str:
    """What a child says, fit for a terminal: parsers quote the file in their errors."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:300]
