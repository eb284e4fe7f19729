"""Runs the real command line in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def termrag(home: Path, tmp_path: Path) -> Callable[..., Ran]:
    """`termrag("ls", "--json", stdin=…)` in `tmp_path`, without a terminal on any stream."""

    def run(*arguments: str, stdin: str | None = None, **environ: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "termrag", *arguments],
            input=stdin.encode() if stdin is not None else None,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "TERMRAG_HOME": str(home), "PYTHONWARNINGS": "default", **environ},
            timeout=240,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
