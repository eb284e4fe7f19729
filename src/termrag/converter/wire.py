"""The few bytes that pass between parent and zygote: length-prefixed, one file descriptor with each request."""

from __future__ import annotations

import os
import socket
import struct
from enum import Enum

_REQUEST = struct.Struct(">I")
_OUTCOME = struct.Struct(">cI")


class Outcome(Enum):
    """How one file went."""

    RETURNED = b"R"  # payload: the parser's result as JSON
    REFUSED = b"U"  # payload: JSON list of message and hint
    TIMEOUT = b"T"
    MEMORY = b"M"
    TOO_MUCH = b"O"
    DIED = b"D"  # payload: the reason in words


def send_request(channel: socket.socket, body: bytes, fd: int) -> None:
    """Raises ConnectionError when the other side is gone."""
    socket.send_fds(channel, [_REQUEST.pack(len(body))], [fd])
    channel.sendall(body)


def receive_request(channel: socket.socket) -> tuple[bytes, int] | None:
    """The next request and its file; None when the other side has closed."""
    head, fds, _, _ = socket.recv_fds(channel, _REQUEST.size, 1)
    if not head:
        return None
    try:
        head += _receive(channel, _REQUEST.size - len(head))
        return _receive(channel, _REQUEST.unpack(head)[0]), fds[0]
    except EOFError:
        for fd in fds:
            os.close(fd)
        return None


def send_outcome(channel: socket.socket, outcome: Outcome, payload: bytes = b"") -> None:
    channel.sendall(_OUTCOME.pack(outcome.value, len(payload)))
    channel.sendall(payload)


def receive_outcome(channel: socket.socket) -> tuple[Outcome, bytes]:
    """Raises EOFError when the other side has closed before it answered."""
    code, length = _OUTCOME.unpack(_receive(channel, _OUTCOME.size))
    return Outcome(code), _receive(channel, length)


def _receive(channel: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = channel.recv(min(1 << 20, length - len(parts)))
        if not part:
            raise EOFError("the channel was closed")
        parts += part
    return bytes(parts)
