"""A server's life: in the background, reloaded, stopped, killed; and its models, unloaded and loaded again."""

from __future__ import annotations

import asyncio
import json
import os
import plistlib
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from host.conftest import ENDLESS, LENGTH, MakePlace, Place
from host.test_attached import QUESTION
from termrag.service import service


def status_of(place: Place) -> dict[str, Any] | None:
    return json.loads(place.run("serve", "--status", "--json").out)


def client(place: Place) -> aiohttp.ClientSession:
    """Through the Unix socket, where no key is needed."""
    return aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(place.socket)))


def test_a_server_in_the_background_is_ready_told_of_and_stopped(place: Place) -> None:
    none = place.run("serve", "--status")
    assert (none.code, none.out) == (1, "")
    assert "no server runs" in none.err
    begun = place.run("serve", "--background", "--port", "0", "--json")
    assert begun.code == 0, begun.err
    said = json.loads(begun.out)
    try:
        assert Path(said["log"]).stat().st_mode & 0o777 == 0o600
        status = status_of(place)
        assert status is not None
        assert (status["pid"], status["address"], status["same_settings"]) == (said["pid"], said["address"], True)
        assert os.getsid(said["pid"]) == said["pid"]
        assert place.run("ask", QUESTION).out.startswith(LENGTH)
        assert "llama-3.2-1b" in place.run("serve", "--status").out
        again = place.run("serve", "--background", "--port", "0")
        assert again.code == 5
        assert f"process {said['pid']} serves already" in again.err
    finally:
        stopped = place.run("serve", "--stop")
    assert (stopped.code, stopped.err) == (0, f"process {said['pid']} has ended\n")
    assert not place.socket.exists()
    with pytest.raises(ProcessLookupError):
        for _ in range(200):  # until init has taken note
            os.kill(said["pid"], 0)
            time.sleep(0.01)
    assert status_of(place) is None
    assert place.run("serve", "--stop").err == "no server runs\n"


def test_a_server_that_cannot_start_says_why(place: Place) -> None:
    ran = place.run("serve", "--background", "--host", "192.0.2.1", "--port", "0")
    assert ran.code == 5
    assert "cannot listen on 192.0.2.1" in ran.err
    assert "server.log" in ran.err


async def test_sighup_reads_settings_and_keys_anew_while_a_stream_goes_on(make_place: MakePlace) -> None:
    place = make_place(ENDLESS)
    server = await asyncio.to_thread(place.serve)
    address = status_of(place)["address"]  # type: ignore[index]
    key = place.run("keys", "create", "one", "--scope", "admin").out.strip()
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(address, headers=headers) as http:
        body = {"question": "Count", "stream": True}
        async with http.post("/api/v1/generate", json=body) as stream:
            await stream.content.readuntil(b"event: token")
            elsewhere = {"Origin": "https://pages.example"}
            async with http.get("/api/v1/documents", headers=elsewhere) as answer:
                assert answer.status == 403
            place.run("config", "set", "server.origins", "https://pages.example")
            place.run("config", "set", "retrieval.passages", "2")
            server.send_signal(signal.SIGHUP)
            await place.logged("reloaded")
            async with http.get("/api/v1/documents", headers=elsewhere) as answer:
                assert answer.status == 200
            place.run("keys", "revoke", "one")
            async with http.get("/api/v1/documents") as answer:
                assert answer.status == 401
            for _ in range(100):
                await stream.content.readuntil(b"event: token")
    assert status_of(place)["same_settings"] is True  # type: ignore[index]


async def test_sighup_takes_over_the_limit_of_an_address(place: Place) -> None:
    server = await asyncio.to_thread(place.serve)
    address = status_of(place)["address"]  # type: ignore[index]
    place.run("config", "set", "server.address_requests_per_minute", "2")
    server.send_signal(signal.SIGHUP)
    await place.logged("reloaded")
    async with (
        aiohttp.ClientSession(address) as http,
        http.get("/health/live") as first,
        http.get("/health/live") as second,
    ):
        assert (first.status, second.status) == (200, 429)
    async with client(place) as http, http.get("/health/live") as answer:
        assert answer.status == 200


async def test_settings_that_are_wrong_change_nothing(place: Place) -> None:
    server = await asyncio.to_thread(place.serve)
    (place.home / "config" / "config.toml").write_text("[server]\nport = -7\n")
    server.send_signal(signal.SIGHUP)
    await place.logged("not reloaded")
    async with client(place) as http, http.get("/health/live") as answer:
        assert answer.status == 200


async def test_sigterm_ends_streams_with_an_event_and_the_process_in_order(make_place: MakePlace) -> None:
    place = make_place(ENDLESS)
    server = await asyncio.to_thread(place.serve)
    body = {"question": "Count", "stream": True}
    async with client(place) as http, http.post("/api/v1/generate", json=body) as stream:
        await stream.content.readuntil(b"event: token")
        begun = time.monotonic()
        server.send_signal(signal.SIGTERM)
        rest = (await stream.content.read()).decode()
    assert rest.rstrip().splitlines()[-2] == "event: stopped"
    assert await asyncio.to_thread(server.wait, 20) == 0
    assert time.monotonic() - begun < 10
    assert not place.socket.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_job_goes_on_after_the_server_has_ended(make_place: MakePlace, tmp_path: Path, number: int) -> None:
    place = make_place()
    many = tmp_path / "many"
    many.mkdir()
    for each in range(150):
        (many / f"{each}.md").write_text(f"# Note {each}\n\nThe lamp number {each} burns oil.\n")
    server = await asyncio.to_thread(place.serve)
    async with client(place) as http:
        async with http.post("/api/v1/documents/paths", json={"paths": [str(many)]}) as answer:
            job = (await answer.json())["id"]
        async with http.get(f"/api/v1/jobs/{job}/events") as events:
            await events.content.readuntil(b"data: ")
        server.send_signal(number)
    await asyncio.to_thread(server.wait, 20)
    await asyncio.to_thread(place.serve)
    async with client(place) as http:
        async with asyncio.timeout(120), http.get(f"/api/v1/jobs/{job}/events") as events:
            await events.content.read()
        async with http.get(f"/api/v1/jobs/{job}") as answer:
            assert (await answer.json())["state"] == "done"
    assert len(place.run("ls").out.splitlines()) == 152


async def test_models_are_unloaded_after_idleness_and_loaded_again_by_the_next_question(make_place: MakePlace) -> None:
    place = make_place(server={"keep_alive_s": 1.0})
    await asyncio.to_thread(place.serve)
    for _ in range(2):
        ran = place.run("ask", "--jsonl", QUESTION)
        assert ran.code == 0
        assert '{"type": "loading"' in ran.out
        async with asyncio.timeout(20):
            while status_of(place)["model"]:  # type: ignore[index]
                await asyncio.sleep(0.1)


def test_the_service_serves_with_the_flags_it_was_installed_with(tmp_path: Path) -> None:
    command = ["/opt/python", "-m", "termrag", "serve", "--port", "9000"]
    unit = service(command, tmp_path, tmp_path / "log", name="serve", platform="linux")
    assert unit.file.name == "termrag-serve.service"
    assert "ExecStart=/opt/python -m termrag serve --port 9000\nExecReload=/bin/kill -HUP $MAINPID" in unit.text
    assert "Nice=" not in unit.text and "UMask=0077" in unit.text
    agent = service(command, tmp_path, tmp_path / "log", name="serve", platform="darwin")
    assert agent.file.name == "org.termrag-serve.plist"
    assert plistlib.loads(agent.text.encode())["ProgramArguments"] == command
