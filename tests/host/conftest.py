"""A real `termrag serve` in a process of its own, and the command line beside it, over one library."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from embedding_endpoint import Endpoint, served

LENGTH = "The causeway to the Calf is 420 metres long."
NOTES = {
    "causeway.md": f"# The causeway\n\n{LENGTH} It was built in 1891 of grey stone by the islanders.\n",
    "ferry.md": "# The ferry\n\nThe last ferry leaves Vessa at 19:00 in summer. A return ticket costs 18.40 euros.\n",
}
ENDLESS = " ".join(f"word{n}" for n in range(200_000))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Place:
    """A home and a working folder. Everything started here has ended when the test has."""

    home: Path
    work: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "TERMRAG_HOME": str(self.home), "PYTHONWARNINGS": "default"}

    @property
    def socket(self) -> Path:
        return self.home / "run" / "server.sock"

    def configure(self, **sections: dict[str, Any]) -> None:
        """Write the configuration file; JSON texts, numbers and lists are TOML too."""
        lines = []
        for name, table in sections.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        file = self.home / "config" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def open(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        environ = {**self.environ, **options.pop("environ", {})}
        process = subprocess.Popen(
            [sys.executable, *options.pop("python", ()), "-m", "termrag", *arguments],
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=options.pop("stderr", subprocess.PIPE),
            cwd=options.pop("cwd", self.work),
            env=environ,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, stdin: str | None = None, **options: Any) -> Ran:
        process = self.open(*arguments, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, **options)
        out, err = process.communicate(None if stdin is None else stdin.encode(), timeout=120)
        return Ran(process.returncode, out.decode(), err.decode())

    def serve(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A server in the foreground, ready; its log goes to `serve.log` in the home."""
        with (self.home / "serve.log").open("ab") as log:
            server = self.open("serve", "--port", "0", "--ready-fd", "1", *arguments, stderr=log, cwd="/")
        assert server.stdout is not None
        assert json.loads(server.stdout.readline())["pid"] == server.pid
        return server

    @property
    def log(self) -> str:
        return (self.home / "serve.log").read_text()

    async def logged(self, words: str) -> None:
        """Wait until the log of the server in the foreground says so: a request is logged when it is answered."""
        async with asyncio.timeout(30):
            while words not in self.log:
                await asyncio.sleep(0.02)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


MakePlace = Callable[..., Place]


@pytest.fixture(scope="session")
def vectors() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def indexed(vectors: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with two indexed notes, to be copied."""
    root = tmp_path_factory.mktemp("indexed")
    place = Place(root / "home", root / "work")
    (place.work / "notes").mkdir(parents=True)
    for name, text in NOTES.items():
        (place.work / "notes" / name).write_text(text)
    place.configure(**_settings(vectors))
    assert place.run("add", "notes").code == 0
    return place


def _settings(vectors: Endpoint) -> dict[str, dict[str, Any]]:
    return {
        "models": {"engine": "scripted", "script": LENGTH, "embedding": "openai:tiny", "context_tokens": 1_000_000},
        "openai": {"url": vectors.url},
        "generation": {"max_tokens": 900_000},
        "retrieval": {"gate": 0.0},
    }


@pytest.fixture
def make_place(indexed: Place, vectors: Endpoint) -> Iterator[MakePlace]:
    """`make_place(script, server={…})`: a home with two indexed notes, and the folder that holds them."""
    places: list[Place] = []

    def make(script: str = LENGTH, **sections: dict[str, Any]) -> Place:
        # The name of a Unix socket may have about a hundred signs.
        place = Place(Path(tempfile.mkdtemp(prefix="tr-")), indexed.work)
        places.append(place)
        shutil.copytree(indexed.home, place.home, dirs_exist_ok=True)
        settings = _settings(vectors)
        settings["models"]["script"] = script
        for section, table in sections.items():
            settings[section] = {**settings.get(section, {}), **table}
        place.configure(**settings)
        return place

    yield make
    for place in places:
        place.end()
        shutil.rmtree(place.home, ignore_errors=True)


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    return make_place()
