"""The watching process: signals, one per library, kills, and what others learn of it."""

from __future__ import annotations

import asyncio
import json
import os
import plistlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from termrag.ledger import WATCH_LOCK, lock_holder
from termrag.rag import Rag
from termrag.service import service
from watch.watched import config_for, contents, fresh, paths_in


class Process:
    """`termrag …` in a process of its own, with the loopback endpoint as its embedder."""

    def __init__(self, home: Path, endpoint: Endpoint, *arguments: str) -> None:
        self.home = home
        environ = {
            "TERMRAG_HOME": str(home),
            "TERMRAG_MODELS_EMBEDDING": "openai:tiny",
            "TERMRAG_OPENAI_URL": endpoint.url,
            "TERMRAG_WATCH_SETTLE_S": "0.05",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "termrag", *arguments],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, is_true: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not is_true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def watches(self) -> bool:
        return lock_holder(paths_in(self.home).library, WATCH_LOCK) == self.process.pid

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def run(home: Path, endpoint: Endpoint) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        started.append(Process(home, endpoint, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)
        for stream in (each.process.stdout, each.process.stderr):
            assert stream is not None
            stream.close()


def held(home: Path, endpoint: Endpoint) -> dict[str, list[str]]:
    async def read() -> dict[str, list[str]]:
        async with Rag(config_for(endpoint), paths_in(home)) as rag:
            return await contents(rag)

    return asyncio.run(read())


def test_a_second_process_says_which_one_watches(run, notes, home):
    first = run("watch", str(notes))
    first.until(first.watches)

    second = run("watch")

    assert second.process.wait(60) == 5
    assert f"process {first.process.pid} watches this library already" in second.process.communicate()[1]


def test_sigterm_ends_well_and_soon_and_status_is_told(run, notes, home):
    watching = run("watch", str(notes))
    watching.until(watching.watches)
    watching.until(lambda: json.loads(run("watch", "--status", "--json").process.communicate()[0])["state"] == "idle")

    begun = time.monotonic()
    code, _, err = watching.end()

    assert code == 0, err
    assert time.monotonic() - begun < 5
    status = json.loads(run("watch", "--status", "--json").process.communicate()[0])
    assert (status["state"], status["pid"]) == ("off", 0)
    assert [folder["path"] for folder in status["folders"]] == [str(notes)]


def test_sighup_reads_the_settings_anew_in_the_same_process(run, notes, home, endpoint):
    watching = run("watch", str(notes), "--json")
    watching.until(watching.watches)
    watching.until(lambda: len(held(home, endpoint)) == 3)

    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text('[documents]\nexclude = ["sub/"]\n')
    watching.process.send_signal(signal.SIGHUP)

    watching.until(lambda: len(held(home, endpoint)) == 2)
    assert watching.watches()
    assert watching.end()[0] == 0


def test_at_rest_the_process_gives_its_memory_back_and_watches_on(run, notes, home, endpoint, monkeypatch):
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    monkeypatch.setenv("TERMRAG_WATCH_IDLE_S", "1")
    watching = run("watch", str(notes))

    def memory_mb() -> float:
        status = Path(f"/proc/{watching.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    watching.until(watching.watches)
    watching.until(lambda: len(held(home, endpoint)) == 3)
    watching.until(lambda: memory_mb() < 150 and watching.watches())

    (notes / "later.md").write_text("Written while it rested.")
    watching.until(lambda: len(held(home, endpoint)) == 4)
    assert watching.end()[0] == 0


def test_stop_ends_whichever_process_watches(run, notes):
    watching = run("watch", str(notes))
    watching.until(watching.watches)

    _, err = run("watch", "stop").process.communicate(timeout=60)

    assert f"process {watching.process.pid} no longer watches" in err
    assert watching.process.wait(10) == 0


def test_once_looks_once_and_lines_tell_what_was_done(run, notes):
    code = run("watch", str(notes), "--once").process
    out, err = code.communicate(timeout=60)

    assert (code.returncode, out) == (0, "")
    assert err.count("indexed  ") == 3


def test_sync_tells_first_and_does_then(run, notes):
    run("watch", "add", str(notes)).process.communicate(timeout=60)

    told = run("sync", "--dry-run").process.communicate(timeout=60)[0]
    done = run("sync", "--json").process.communicate(timeout=60)[0]
    again = run("sync", "--dry-run").process

    assert told.splitlines() == [f"add    {notes / name}" for name in ("harbour.md", "lamp.md", "sub/tide.md")]
    assert json.loads(done)["indexed"] == 3
    assert again.communicate(timeout=60) == ("", "nothing to do\n")


def test_a_forgotten_folder_keeps_its_documents(run, notes):
    run("watch", str(notes), "--once").process.communicate(timeout=60)

    run("watch", "rm", str(notes)).process.communicate(timeout=60)

    assert run("watch", "ls").process.communicate(timeout=60)[0] == ""
    assert len(run("ls").process.communicate(timeout=60)[0].splitlines()) == 3


def test_kill_9_at_any_moment_loses_and_doubles_nothing(run, notes, home, endpoint, tmp_path):
    chance = random.Random(7)
    for round_ in range(int(os.environ.get("WATCH_KILLS", "6"))):
        watching = run("watch", str(notes))
        watching.until(watching.watches)
        for number in range(30):
            path = notes / f"note{chance.randrange(60)}.md"
            if path.exists() and chance.random() < 0.4:
                path.unlink() if chance.random() < 0.5 else path.rename(notes / f"moved{round_}-{number}.md")
            else:
                path.write_text(f"# Note {round_} {number}\n\n" + "Words of it. " * chance.randrange(1, 300))
        time.sleep(chance.random() * 1.5)
        watching.end(signal.SIGKILL)

    run("sync", "--yes", "-q").process.communicate(timeout=120)

    expected = asyncio.run(fresh(tmp_path / "fresh", config_for(endpoint), [notes]))
    assert held(home, endpoint) == expected
    ids = json.loads(run("ls", "--json").process.communicate(timeout=60)[0])
    assert len({document["path"] for document in ids}) == len(ids)


# --- the service -------------------------------------------------------------------------------------------------


def test_the_systemd_unit_is_one_that_systemd_accepts(tmp_path):
    described = service(["/usr/bin/env", "true", "with space", "50%"], tmp_path, tmp_path / "log", platform="linux")

    assert described.file == tmp_path / ".config/systemd/user/termrag-watch.service"
    assert 'ExecStart=/usr/bin/env true "with space" 50%%\n' in described.text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    described.file.parent.mkdir(parents=True)
    described.file.write_text(described.text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(described.file)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_launchd_agent_is_a_property_list(tmp_path):
    described = service(["/opt/termrag", "watch"], tmp_path, tmp_path / "log", platform="darwin")

    agent = plistlib.loads(described.text.encode())
    assert described.file.name == f"{agent['Label']}.plist"
    assert agent["ProgramArguments"] == ["/opt/termrag", "watch"]
    assert agent["RunAtLoad"] is True


def test_install_prints_the_unit_of_this_python(run):
    out, _ = run("watch", "install", "--print").process.communicate(timeout=60)

    assert f"{sys.executable} -m termrag watch --quiet" in out or "<key>ProgramArguments</key>" in out
