"""Parsers that misbehave, for the converter to hold. Imported by its child process only."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any


def echo(data: bytes, **arguments: Any) -> dict[str, Any]:
    return {"text": data.decode(), **arguments}


def describe(data: bytes) -> dict[str, Any]:
    return {"pid": os.getpid(), "parent": os.getppid(), "environment": sorted(os.environ), "path": sys.path}


def connect(data: bytes, port: int) -> dict[str, str]:
    """Try to reach 127.0.0.1 through Python and past it, straight through the C library."""
    outcome = {}
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        outcome["python"] = "connected"
    except OSError as error:
        outcome["python"] = type(error).__name__
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = (2).to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    outcome["libc"] = "connected" if handle >= 0 and libc.connect(handle, address, 16) == 0 else "refused"
    return outcome


def write_file(data: bytes, target: str) -> dict[str, str]:
    outcome = {}
    try:
        with open(target, "w") as file:  # noqa: PTH123
            file.write("was here")
        outcome["open"] = "written"
    except OSError as error:
        outcome["open"] = type(error).__name__
    for name, act in (
        ("remove", lambda: os.remove(target)),  # noqa: PTH107
        ("program", lambda: subprocess.run(["true"], check=True)),
        ("fork", os.fork),
    ):
        try:
            act()
            outcome[name] = "done"
        except OSError as error:
            outcome[name] = type(error).__name__
    return outcome


def spin(data: bytes) -> None:
    while True:
        pass


def wait(data: bytes) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def hoard(data: bytes) -> None:
    kept = []
    while True:
        kept.append(bytearray(10_000_000))


def flood(data: bytes) -> str:
    return "x" * 3_000_000


def crash(data: bytes) -> None:
    ctypes.string_at(8)


def leave(data: bytes) -> None:
    os._exit(0)


def stumble(data: bytes) -> None:
    raise ValueError("line 3 is\n\x1b[31mwrong")


def babble(data: bytes) -> str:
    os.write(1, b"noise " * 100_000)
    os.write(2, b"noise " * 100_000)
    return "quiet"
