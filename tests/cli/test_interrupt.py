"""Ctrl-C keeps what has been said, stops the compute and leaves with 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TERMRAG = (sys.executable, "-m", "termrag")

pytestmark = pytest.mark.model


def test_an_interrupted_answer_keeps_what_came_and_ends_at_once(home: Path, shelf):
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "models").symlink_to(shelf.folder)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "termrag",
            "ask",
            "--general",
            "--max-tokens",
            "3000",
            "Count from one to one thousand.",
        ],
        env={**os.environ, "TERMRAG_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    first = os.read(process.stdout.fileno(), 4096)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    rest, errors = process.communicate(timeout=30)
    assert first
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert b"Traceback" not in errors
    assert (first + rest).endswith(b"\n")
