"""Commands that find a warm host say, and end with, what they say without one."""

from __future__ import annotations

import difflib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from host.conftest import ENDLESS, LENGTH, MakePlace, Place

QUESTION = "How long is the causeway?"
COMMANDS: tuple[tuple[tuple[str, ...], str | None], ...] = (
    (("ls",), None),
    (("ls", "--json"), None),
    (("ls", "notes/"), None),
    (("status",), None),
    (("ask", QUESTION), None),
    (("ask", "--json", QUESTION), None),
    (("ask", "--jsonl", QUESTION), None),
    (("ask", "--no-stream", "--trace", QUESTION), None),
    (("ask", "-c", "--no-save", "And who built it?"), None),
    (("ask", "--in", "notes/ferry.md", "When does the last ferry leave?"), None),
    (("ask", "What is the causeway like?"), f"From a pipe. {LENGTH} \u65e5\u672c"),
    (("ask", "-"), QUESTION),
    (("ask", "--temperature", "9", QUESTION), None),
    (("search", "ferry"), None),
    (("search", "type:pdf ferry"), None),
    (("search", "--json", "--explain", "ferry"), None),
    (("search", "--files", "ferry"), None),
    (("get", "notes/ferry.md"), None),
    (("get", "ferry.md:3"), None),
    (("get", "nothing.md"), None),
    (("add", "--json", "notes"), None),
    (("add", "-", "--name", "piped.txt"), "The lamp burns 40 litres a week."),
    (("get", "piped.txt"), None),
    (("add", "nowhere"), None),
    (("rm", "notes/ferry.md"), None),
    (("rm", "nothing.md"), None),
    (("sync", "--dry-run"), None),
    (("sync",), None),
    (("sessions", "list"), None),
    (("sessions", "show", "last"), None),
    (("sessions", "export", "last"), None),
    (("sessions", "show", "abcdef"), None),
    (("models", "list"), None),
    (("watch", "add", "notes"), None),
    (("watch", "ls"), None),
    (("watch", "--status"), None),
)
HEAVY = ("numpy", "lancedb", "pyarrow", "aiohttp", "onnxruntime", "httpx", "termrag.rag", "termrag.parts")


# What differs between any two runs, or between a cold model and a warm one.
_TIMES = r"\d+\.\d+ ms|in \d+(\.\d+)? s|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?"
_IDS = r"\b([0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{32})\b"
_NUMBERS = r"(first_token_s|\w*per_second|seconds|\w+_at|cached_tokens|search|gate|model|pack|generate|check)"
_EVENTS = r'\{"type": "(loading|reading)".*\}\n'


def timeless(text: str, place: Place) -> str:
    text = text.replace(str(place.home), "HOME")
    text = re.sub(_IDS, "ID", re.sub(_TIMES, "TIME", re.sub(_EVENTS, "", text)))
    return re.sub(rf'"{_NUMBERS}": -?[\d.e-]+', r'"\1": NUMBER', text)


def said(process: subprocess.Popen[bytes], stdin: str | None, place: Place) -> tuple[int, list[str], list[str]]:
    out, err = process.communicate(None if stdin is None else stdin.encode(), timeout=120)
    notes = [line for line in timeless(err.decode(), place).splitlines() if not re.match(r" +\w+ +TIME", line)]
    return process.returncode, timeless(out.decode(), place).splitlines(), notes


def test_every_command_says_attached_what_it_says_alone(make_place: MakePlace) -> None:
    alone, attached = make_place(), make_place()
    attached.serve()
    differing: list[str] = []
    for arguments, stdin in COMMANDS:
        pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        running = [place.open(*arguments, stdin=pipe) for place in (alone, attached)]
        expected, found = (
            said(process, stdin, place) for process, place in zip(running, (alone, attached), strict=True)
        )
        if found != expected:
            lines = [[f"code {code}", *out, *err] for code, out, err in (expected, found)]
            differing += [f"termrag {' '.join(arguments)}", *difflib.unified_diff(*lines, "alone", "attached", n=0)]
    assert not differing, "\n".join(differing)


@pytest.mark.parametrize("arguments", [("ask", QUESTION), ("search", "ferry"), ("ls",), ("add", "notes")])
def test_an_attached_command_loads_neither_store_nor_model(place: Place, arguments: tuple[str, ...]) -> None:
    place.serve()
    ran = place.run(*arguments, python=("-X", "importtime"))
    assert ran.code == 0
    imported = {line.rpartition("|")[2].strip() for line in ran.err.splitlines() if line.startswith("import time:")}
    assert imported.isdisjoint(HEAVY)
    assert "termrag.remote" in imported


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (("--no-host", "search", "ferry"), {}),
        (("search", "--no-host", "ferry"), {}),
        (("search", "ferry"), {"TERMRAG_NO_HOST": "1"}),
        (("search", "ferry"), {"TERMRAG_RETRIEVAL_PASSAGES": "7"}),
        (("--library", "other", "ls"), {}),
    ],
)
def test_a_host_is_left_alone_where_it_is_not_wanted_or_not_the_same(
    place: Place, arguments: tuple[str, ...], environ: dict[str, str]
) -> None:
    place.serve()
    ran = place.run(*arguments, environ=environ, python=("-X", "importtime"))
    assert "termrag.parts" in ran.err
    assert [line for line in ran.err.splitlines() if not line.startswith("import time:")] == []
    assert ran.code == 0


def test_what_a_killed_host_leaves_behind_does_no_harm(place: Place) -> None:
    server = place.serve()
    server.kill()
    server.wait()
    assert place.socket.exists()
    assert place.run("ask", QUESTION).code == 0
    place.serve()
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
    assert place.run("ask", QUESTION).out.startswith(LENGTH)


def test_a_socket_that_does_not_answer_holds_nobody_up(place: Place) -> None:
    place.socket.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place.socket))
        silent.listen()
        begun = time.monotonic()
        assert place.run("search", "ferry").code == 0
        assert time.monotonic() - begun < 30


def turn_of(place: Place) -> dict[str, Any]:
    shown = place.run("sessions", "show", "last", "--json", environ={"TERMRAG_NO_HOST": "1"})
    (turn,) = json.loads(shown.out)["turns"]
    assert isinstance(turn, dict)
    return turn


def at_work(place: Place) -> int:
    status = json.loads(place.run("serve", "--status", "--json").out)
    return int(status["at_work"])


def test_ctrl_c_stops_the_compute_on_the_host(make_place: MakePlace) -> None:
    place = make_place(ENDLESS)
    place.serve()
    asking = place.open("ask", "Count")
    assert asking.stdout is not None
    first = os.read(asking.stdout.fileno(), 4096)
    asking.send_signal(signal.SIGINT)
    rest, errors = asking.communicate(timeout=20)
    assert asking.returncode == 130
    assert first.startswith(b"word0") and (first + rest).endswith(b"\n")
    assert b"Traceback" not in errors
    assert at_work(place) == 0
    assert turn_of(place)["state"] == "stopped"


def test_a_host_that_dies_midway_leaves_the_partial_answer_and_a_clear_error(make_place: MakePlace) -> None:
    place = make_place(ENDLESS)
    server = place.serve()
    asking = place.open("ask", "Count")
    assert asking.stdout is not None
    first = b""
    while first.count(b"word") < 20_000:
        first += os.read(asking.stdout.fileno(), 1 << 16)
    server.kill()
    rest, errors = asking.communicate(timeout=20)
    assert asking.returncode == 5
    assert (first + rest).endswith(b"\n")
    error, hint = errors.decode().splitlines()
    assert error == "termrag: the warm host ended before it was done"
    assert "serve --background" in hint
    assert turn_of(place)["answer"]["text"].startswith("word0 word1")


def test_a_host_that_is_stopped_tells_those_it_answers(make_place: MakePlace) -> None:
    place = make_place(ENDLESS)
    server = place.serve()
    asking = place.open("ask", "Count")
    assert asking.stdout is not None
    os.read(asking.stdout.fileno(), 4096)
    server.send_signal(signal.SIGTERM)
    _, errors = asking.communicate(timeout=20)
    assert asking.returncode == 5
    assert errors.decode().splitlines()[0] == "termrag: the warm host was stopped"
    assert server.wait(20) == 0
    assert turn_of(place)["state"] == "stopped"


def test_a_model_that_is_chosen_is_the_host_s_next_one_and_commands_stay_attached(place: Place) -> None:
    place.serve()
    assert place.run("models", "use", "smollm2-135m").code == 0
    ran = place.run("search", "ferry", python=("-X", "importtime"))
    assert ran.code == 0 and "termrag.parts" not in ran.err


async def test_who_stays_attached_goes_on_without_the_host(place: Place) -> None:
    server = place.serve()
    here = StdioServerParameters(command=sys.executable, args=["-m", "termrag", "mcp"], env=place.environ)
    async with Client(here, read_timeout_seconds=60) as client:
        await client.call_tool("ask", {"question": QUESTION})
        await place.logged("method=POST")
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        answer, added = (
            await client.call_tool("ask", {"question": QUESTION}),
            await client.call_tool("add", {"name": "lamp", "text": "The lamp is lit at dusk."}),
        )
        assert answer.structured_content is not None
        assert answer.structured_content["citations"][0]["path"].endswith("causeway.md")
        assert not added.is_error
        place.serve()  # the library is nobody's own: who comes later finds it
        assert "lamp" in place.run("search", "when is the lamp lit").out
