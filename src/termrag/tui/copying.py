"""The way of a text to the user's clipboard: tmux, the platform's own command, the terminal (OSC 52), at last a file.

No terminal says whether it took what it was sent, so what is reported is where the text went, not that it arrived.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Many terminals drop longer OSC 52 sequences without a word.
OSC52_BYTES = 70_000
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a text went. `by_terminal` asks the caller to write OSC 52, which only the app may."""

    ways: tuple[str, ...]
    by_terminal: bool

    def sentence(self, text: str) -> str:
        ways = [*self.ways, *(["terminal"] if self.by_terminal else [])]
        count = f"{len(text):,} character" + ("" if len(text) == 1 else "s")
        return f"{count} sent to {', '.join(ways)}" if ways else f"{count} could not be sent anywhere"


def send(text: str, *, environ: Mapping[str, str] | None = None, in_browser: bool = False, fallback: Path) -> Sent:
    """Put a text wherever it may be pasted from. Runs commands: not for the event loop."""
    environ = os.environ if environ is None else environ
    by_terminal = len(text.encode()) <= OSC52_BYTES
    ways: list[str] = []
    if not in_browser:
        command = _command(environ)
        if command and _run(command, text):
            ways.append(command[0])
    if not ways and not by_terminal:
        fallback.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fallback.touch(mode=0o600)
        fallback.write_text(text, encoding="utf-8")
        ways.append(str(fallback))
    return Sent(tuple(ways), by_terminal)


def _command(environ: Mapping[str, str]) -> list[str]:
    """The command that takes the text on its standard input; empty where there is none."""
    if environ.get("TMUX"):
        # A default tmux drops OSC 52 of the programs in it, but passes on what is loaded with -w.
        return ["tmux", "load-buffer", "-w", "-"]
    if environ.get("SSH_CONNECTION"):
        return []  # the clipboard of that machine is not the user's
    candidates: list[list[str]] = []
    if sys.platform == "darwin":
        candidates.append(["pbcopy"])
    if environ.get("WAYLAND_DISPLAY"):
        candidates.append(["wl-copy"])
    if environ.get("DISPLAY"):
        candidates += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    if environ.get("WSL_DISTRO_NAME"):
        candidates.append(["clip.exe"])
    return next((command for command in candidates if shutil.which(command[0], path=environ.get("PATH"))), [])


def write_new(file: Path, text: str) -> Path:
    """Write a text to a file, with a number behind its name where there is such a one already. Raises OSError."""
    candidate, number = file, 2
    while candidate.exists():
        candidate = file.with_name(f"{file.stem}-{number}{file.suffix}")
        number += 1
    candidate.write_text(text, encoding="utf-8")
    return candidate


def _run(command: list[str], text: str) -> bool:
    try:
        done = subprocess.run(
            command,
            input=text.encode(),
            stdout=subprocess.DEVNULL,  # xclip's child would hold a pipe open for ever
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
