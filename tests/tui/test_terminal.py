"""The chat in a real terminal, tmux's, with the starter model: index, ask, open a source, go on after `kill -9`."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from termrag.models import Shelf

QUESTION = "How many birds were collected at the lighthouse in 2024?"


class Terminal:
    """One tmux server with one pane of its own; `run` replaces what is in it, and the end of that is told on it."""

    def __init__(self, socket: Path, environ: dict[str, str], size: tuple[int, int]) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self._environ = environ
        self._do("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "cat")

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=self._environ, capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout

    def run(self, *arguments: str) -> None:
        command = shlex.join([sys.executable, "-m", "termrag", *arguments])
        self._do("respawn-pane", "-k", "sh", "-c", f"{command}; echo ended with $?; cat")

    def keys(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def type(self, text: str) -> None:
        self._do("send-keys", "-l", text)

    @property
    def screen(self) -> str:
        return self._do("capture-pane", "-p")

    def kill(self) -> None:
        """`kill -9` what runs in the pane."""
        shell = self._do("display-message", "-p", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children")
        if not children.exists():
            pytest.skip("needs Linux, to find the program in the terminal")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)

    def wait(self, text: str, seconds: float = 240.0) -> str:
        deadline = time.monotonic() + seconds
        while text not in (screen := self.screen):
            assert time.monotonic() < deadline, f"no {text!r} on the screen:\n{screen}"
            time.sleep(0.1)
        return screen

    def wait_without(self, text: str, seconds: float = 240.0) -> str:
        deadline = time.monotonic() + seconds
        while text in (screen := self.screen):
            assert time.monotonic() < deadline, f"still {text!r} on the screen:\n{screen}"
            time.sleep(0.1)
        return screen

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path, home: Path, shelf: Shelf, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux: apt-get install tmux")
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "models").symlink_to(shelf.folder)
    own_size = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environ = {**own_size, "TERM": "xterm-256color", "LANG": "C.UTF-8", "TERMRAG_MODELS_HUB_TIMEOUT_S": "0.2"}
    opened = Terminal(tmp_path / "tmux", environ, (120, 40))
    yield opened
    opened.close()


@pytest.mark.model
def test_from_an_empty_home_to_a_kept_answer_and_its_source(terminal: Terminal, repo_root: Path) -> None:
    terminal.run("add", str(repo_root / "README.md"), str(repo_root / "tests" / "samples"))
    terminal.wait("ended with 0")
    terminal.run()
    terminal.wait("documents are indexed")

    terminal.type(QUESTION)
    terminal.keys("Enter")
    answered = terminal.wait("37 birds")
    assert "petrel-count.pdf" in terminal.wait("petrel-count.pdf"), answered
    terminal.wait("2024. [")  # the whole answer is there, and checked

    terminal.keys("F4")  # the sources are beside the answer already: away with them, and back with the focus in them
    terminal.wait_without("petrel-count.pdf")
    terminal.keys("F4")
    terminal.wait("petrel-count.pdf p. 42")
    terminal.keys("Enter")
    terminal.wait("the keepers collected 37 grounded birds")
    terminal.keys("Escape")
    terminal.wait_without("the keepers collected 37 grounded birds")

    terminal.kill()
    terminal.wait("ended with 137")
    terminal.run()
    terminal.wait("documents are indexed")
    terminal.keys("F3")
    terminal.wait("How many birds")
    terminal.keys("Enter")
    assert QUESTION in " ".join(terminal.wait("37 birds").split())
    terminal.keys("C-q")
    terminal.wait("ended with 0")
