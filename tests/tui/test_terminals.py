"""The chat in a real terminal of few means: no colour, sixteen colours, a plain locale. It starts, can be read, and
leaves the terminal as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

_PATIENCE_S = 60.0
_COLOURS = re.compile(rb"\x1b\[([\d;]+)m")


def chat(home: Path, until: str, **environ: str) -> tuple[int, bytes]:
    """Run the chat on a terminal of 80×24 until the words are on it, leave it with Ctrl+Q; its exit code and output."""
    own = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERMRAG_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "TERMRAG_MODELS_ENGINE": "scripted",
        "TERMRAG_MODELS_SCRIPT": "Hello.",
        **environ,
    }
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "termrag", "chat"]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=own, start_new_session=True
    )
    os.close(terminal)
    shown, has_left = b"", False
    deadline = time.monotonic() + _PATIENCE_S
    with contextlib.suppress(OSError):  # how a terminal tells that its last program is gone
        while time.monotonic() < deadline:
            if select.select([screen], [], [], 0.1)[0]:
                shown += os.read(screen, 65536)
            if not has_left and until in plain(shown):
                os.write(screen, b"\x11")
                has_left = True
    os.close(screen)
    return process.wait(_PATIENCE_S), shown


def plain(shown: bytes) -> str:
    return re.sub(r"\x1b\[[\d;?<>]*[a-zA-Z]", "", shown.decode("utf-8", "replace"))


def colours(shown: bytes) -> set[str]:
    """Colour parameters that were sent, without the terminal's own (39, 49) and without styles."""
    sent = {part for found in _COLOURS.findall(shown) for part in found.decode().split(";")}
    return sent - {"0", "1", "2", "3", "4", "7", "39", "49"}


@pytest.mark.parametrize("term", ["screen", "xterm-256color", "linux"])
def test_without_colour_not_one_is_sent(home: Path, term: str):
    code, shown = chat(home, "Ask your documents.", TERM=term, NO_COLOR="1", LANG="C")
    assert code == 0
    assert colours(shown) == set()
    assert "Nothing is indexed yet" in plain(shown)


def test_sixteen_colours_are_the_terminals_own(home: Path):
    code, shown = chat(home, "Ask your documents.", TERM="screen", LANG="C")
    assert code == 0
    assert {int(each) for each in colours(shown)} <= {*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}
    assert b"49m" in shown  # its own background


def test_the_terminal_is_left_as_it_was(home: Path):
    code, shown = chat(home, "Ask your documents.", TERM="xterm-256color", COLORTERM="truecolor")
    assert code == 0
    after = shown.rsplit(b"\x1b[?1049l", 1)
    assert len(after) == 2, "the other screen was not left"
    for mode in (b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?25h"):
        assert mode in shown
