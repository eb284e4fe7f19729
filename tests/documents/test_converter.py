"""The converter: whatever a parser does, the parent goes on and the machine is as before."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from termrag.converter import Converter, Limits
from termrag.errors import UnreadableFile

LIMITS = Limits(timeout_s=20, memory_mb=400, output_mb=1, cpu_s=2, cpu_s_per_mb=0)
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs one of the probes on a small file, under tight limits."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    file = tmp_path / "some.doc"
    file.write_text("some words")
    with contextlib.ExitStack() as stack:
        converters: dict[tuple[str, Limits], Converter] = {}

        def run_probe(probe: str, limits: Limits = LIMITS, **arguments: Any) -> Any:
            key = (probe, limits)
            if key not in converters:
                converters[key] = stack.enter_context(Converter(limits, parser=f"probes:{probe}"))
            with file.open("rb") as opened:
                return converters[key].run(opened.fileno(), file.name, arguments)

        yield run_probe


def test_a_parser_gets_the_bytes_and_its_arguments(run: Run) -> None:
    assert run("echo", name="a") == {"text": "some words", "name": "a"}


def test_files_share_one_zygote_but_no_child(run: Run) -> None:
    first, second = run("describe"), run("describe")
    assert first["parent"] == second["parent"]
    assert first["pid"] != second["pid"]


def test_a_parser_sees_no_secrets_and_no_current_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERMRAG_OPENAI_API_KEY", "secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    seen = run("describe")
    assert not {"TERMRAG_OPENAI_API_KEY", "GITHUB_TOKEN"} & set(seen["environment"])
    assert "" not in seen["path"]
    assert str(Path.cwd()) not in seen["path"]


def test_the_network_cannot_be_reached_even_past_python(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        server.accept()[0].close()
        server.settimeout(0.2)

        outcome = run("connect", port=port)

        assert outcome["python"] == "PermissionError"
        assert outcome["libc"] == "refused"
        with pytest.raises(TimeoutError):
            server.accept()


def test_files_cannot_be_written_removed_nor_programs_started(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "target.txt"
    target.write_text("mine")
    outcome = run("write_file", target=str(target))
    assert set(outcome.values()) == {"PermissionError"}
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("spin", "takes too long"),
        ("hoard", "more than 400 MB"),
        ("flood", "more than 1 MB of text"),
        ("crash", "SIGSEGV"),
        ("leave", "without an answer"),
    ],
)
def test_a_parser_that_breaks_a_limit_is_one_clear_line(run: Run, probe: str, words: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        run(probe)
    assert caught.value.message.startswith("some.doc ")
    assert words in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_parser_that_waits_is_stopped_at_the_deadline(run: Run) -> None:
    started = time.monotonic()
    with pytest.raises(UnreadableFile, match="takes too long"):
        run("wait", Limits(timeout_s=1))
    assert time.monotonic() - started < 15


def test_what_a_parser_raises_is_shown_on_one_line_without_escapes(run: Run) -> None:
    with pytest.raises(UnreadableFile) as caught:
        run("stumble")
    assert "seems to be damaged" in caught.value.message
    assert caught.value.message.isprintable()


def test_noise_of_a_parser_reaches_nobody(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("babble") == "quiet"
    assert capfd.readouterr() == ("", "")


def test_the_converter_goes_on_after_every_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    file = tmp_path / "a"
    file.write_text("words")
    with Converter(LIMITS, parser="probes:echo") as converter, file.open("rb") as opened:
        assert converter.run(opened.fileno(), "a", {})["text"] == "words"
        assert converter.pid is not None
        os.kill(converter.pid, signal.SIGKILL)
        assert converter.run(opened.fileno(), "a", {})["text"] == "words"


def test_a_zygote_that_cannot_start_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("words")
    with (
        Converter(LIMITS, parser="no_such_module:parse") as converter,
        file.open("rb") as opened,
        pytest.raises(UnreadableFile, match="no_such_module"),
    ):
        converter.run(opened.fileno(), "a", {})


def test_nothing_is_started_before_it_is_needed() -> None:
    with Converter() as converter:
        assert converter.pid is None


def test_closing_leaves_no_process(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    file = tmp_path / "a"
    file.write_text("words")
    converter = Converter(LIMITS, parser="probes:echo")
    with file.open("rb") as opened:
        converter.run(opened.fileno(), "a", {})
    pid = converter.pid
    assert pid is not None
    converter.close()
    converter.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_zygote_and_child_die_with_a_killed_parent(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("words")
    script = (
        "import sys\n"
        "from termrag.converter import Converter, Limits\n"
        "converter = Converter(Limits(timeout_s=600), parser='probes:wait')\n"
        "converter._started(fresh=False)\n"
        "print(converter.pid, flush=True)\n"
        f"opened = open({str(file)!r}, 'rb')\n"
        "converter.run(opened.fileno(), 'a', {})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    with parent.stdout:
        zygote = int(parent.stdout.readline())
    child = _wait_for(lambda: _children(zygote))[0]

    parent.kill()
    parent.wait()

    _wait_for(lambda: not _alive(zygote) and not _alive(child))


def test_an_interrupt_while_a_file_is_read_leaves_a_usable_converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    file = tmp_path / "a"
    file.write_text("words")
    with Converter(Limits(timeout_s=600), parser="probes:wait") as converter, file.open("rb") as opened:
        interrupt = threading.Timer(1.0, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            converter.run(opened.fileno(), "a", {})
        interrupt.join()
        assert converter.pid is None


@pytest.mark.skipif(platform.system() != "Linux", reason="the filter is the Linux kernel's")
def test_the_kernel_refuses_sockets_and_programs_without_any_namespace() -> None:
    script = (
        "import ctypes, errno, os, socket\n"
        "from termrag.converter.syscalls import refuse_calls\n"
        "assert refuse_calls(ctypes.CDLL(None, use_errno=True))\n"
        "for act in (socket.socket, lambda: os.execv('/bin/true', ['true']), lambda: os.unlink('/nowhere')):\n"
        "    try:\n"
        "        act()\n"
        "    except OSError as error:\n"
        "        assert error.errno == errno.EPERM, error\n"
        "    else:\n"
        "        raise AssertionError(act)\n"
        "print(open(os.__file__).read(3), len(os.listdir('/')) > 0)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip().endswith("True")


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if int(line.split()[1]) == pid]


def _alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.strip().startswith("Z")


def _wait_for(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := condition():
            return value
        threading.Event().wait(0.05)
    raise AssertionError("it did not come to pass in time")
