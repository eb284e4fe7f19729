"""Whether the terminal is dark or light, asked before the app takes it over; one that is silent costs 0.1 s."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Mapping

_ASK_S = 0.1
# The colour of the background (OSC 11), then what every terminal answers (DA1): its answer ends the waiting.
_QUESTION = b"\x1b]11;?\x1b\\\x1b[c"
_END = re.compile(rb"\x1b\[\?[\d;]*c")
_COLOUR = re.compile(rb"\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)")


def is_light(environ: Mapping[str, str] | None = None) -> bool | None:
    """True, False, or None where the terminal does not say."""
    environ = os.environ if environ is None else environ
    hint = environ.get("COLORFGBG", "").split(";")[-1]
    if hint.isdigit():
        return int(hint) in (7, 15)
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or environ.get("TERM") == "dumb":
        return None
    return brightness_of(_answer())


def brightness_of(answer: bytes) -> bool | None:
    """What a terminal's answer says: whether its background is light; None if it says nothing."""
    found = _COLOUR.search(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)


def _answer() -> bytes:
    try:
        import termios
        import tty
    except ImportError:  # no terminal of this kind on Windows
        return b""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    heard = b""
    deadline = time.monotonic() + _ASK_S
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        os.write(sys.stdout.fileno(), _QUESTION)
        while (left := deadline - time.monotonic()) > 0 and select.select([terminal], [], [], left)[0]:
            heard += os.read(terminal, 1024)
            if _END.search(heard):
                break
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    return heard
