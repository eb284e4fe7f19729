"""The zygote: imports once, forks a confined child per file, ends it at its limits. Started by Converter alone."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from termrag.converter import wire
from termrag.converter.confinement import confine, resident_bytes
from termrag.errors import UnreadableFile

_TICK_S = 0.2  # how often the memory of a running child is looked at
_REFUSED = b"U"
_RETURNED = b"R"
_MEMORY = b"M"


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    module, _, function = sys.argv[2].partition(":")
    parser = getattr(importlib.import_module(module), function)
    while (received := wire.receive_request(channel)) is not None:
        body, fd = received
        request = json.loads(body)
        for name in request["preload"]:
            importlib.import_module(name)
        gc.freeze()
        outcome, payload = _run(channel, parser, request, fd)
        os.close(fd)
        with contextlib.suppress(ConnectionError):
            wire.send_outcome(channel, outcome, payload)


def _run(
    channel: socket.socket, parser: Callable[..., Any], request: dict[str, Any], fd: int
) -> tuple[wire.Outcome, bytes]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        channel.close()
        _be_child(parser, request, fd, writer)
    os.close(writer)
    try:
        stopped, answer = _collect(channel, reader, pid, request)
    finally:
        os.close(reader)
        for kill in (os.killpg, os.kill):  # the group may not exist yet when a child dies early
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    return (stopped, b"") if stopped else _judge(answer, status)


def _collect(
    channel: socket.socket, reader: int, pid: int, request: dict[str, Any]
) -> tuple[wire.Outcome | None, bytes]:
    """The child's whole answer, or why it was cut short."""
    answer = bytearray()
    end = time.monotonic() + request["timeout_s"]
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return wire.Outcome.TIMEOUT, b""
        ready, _, _ = select.select([reader, channel.fileno()], [], [], min(left, _TICK_S))
        if channel.fileno() in ready:  # the parent says nothing while it waits: it is gone
            os.kill(pid, signal.SIGKILL)
            os._exit(0)
        if reader in ready:
            part = os.read(reader, 1 << 20)
            if not part:
                return None, bytes(answer)
            answer += part
            if len(answer) > request["output_bytes"]:
                return wire.Outcome.TOO_MUCH, b""
        elif resident_bytes(pid) > request["memory_bytes"]:
            return wire.Outcome.MEMORY, b""


def _judge(answer: bytes, status: int) -> tuple[wire.Outcome, bytes]:
    if answer and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return wire.Outcome(answer[:1]), answer[1:]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return wire.Outcome.TIMEOUT, b""
        return wire.Outcome.DIED, signal.Signals(number).name.encode()
    return wire.Outcome.DIED, b"it ended without an answer"


def _be_child(parser: Callable[..., Any], request: dict[str, Any], fd: int, writer: int) -> None:
    """Parse, answer, leave; never returns into the zygote's loop."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        confine(memory_bytes=request["memory_bytes"], cpu_s=request["cpu_s"])
        answer = _answer(parser, request, fd)
        rest = memoryview(answer)
        while rest:
            rest = rest[os.write(writer, rest) :]
        os._exit(0)
    except BaseException:  # whatever a parser throws, a fork must not fall back into the zygote's code
        os._exit(1)


def _answer(parser: Callable[..., Any], request: dict[str, Any], fd: int) -> bytes:
    try:
        result = parser(_whole(fd), **request["arguments"])
        return _RETURNED + json.dumps(result, ensure_ascii=False).encode("utf-8", "replace")
    except UnreadableFile as error:
        return _REFUSED + json.dumps([error.message, error.hint]).encode()
    except MemoryError:
        return _MEMORY
    except Exception as error:  # parsers raise anything at all; it is one line in the run's report
        words = " ".join(str(error).split())[:160]
        message = f"seems to be damaged ({type(error).__name__}{': ' + words if words else ''})"
        return _REFUSED + json.dumps([message, "Open it in its own program and save it again."]).encode()


def _whole(fd: int) -> bytes:
    """The bytes of the file as large as it is now, whatever offset its other holders are at."""
    parts, offset, size = [], 0, os.fstat(fd).st_size
    while part := os.pread(fd, min(1 << 20, size - offset), offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main()
