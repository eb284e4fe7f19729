"""Jobs that are cancelled: while they wait, while they run, by whom, and what a client that follows them is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from embedding_endpoint import Endpoint
from server.conftest import Served, Start, job_done


def notes(folder: Path, count: int) -> str:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.md").write_text(f"Note {number} of {folder.name} about boat {number * 7}.")
    return str(folder)


async def add(client: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with client.post("/api/v1/documents/paths", json={"paths": [path]}) as response:
        assert response.status == 202, await response.text()
        job = await response.json()
        assert isinstance(job, dict)
        return job


async def cancel(client: aiohttp.ClientSession, job_id: str) -> tuple[int, dict[str, Any]]:
    async with client.delete(f"/api/v1/jobs/{job_id}") as response:
        return response.status, await response.json()


async def show(client: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    async with client.get(f"/api/v1/jobs/{job_id}") as response:
        found = await response.json()
        assert isinstance(found, dict)
        return found


@asynccontextmanager
async def held(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[threading.Event]:
    """The embedding model answers nobody until the block is left; the event tells that somebody asks."""
    asked, may_answer, vector = threading.Event(), threading.Event(), endpoint.vector

    def slow(text: str) -> list[float]:
        asked.set()
        may_answer.wait(60)
        return vector(text)

    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "vector", slow)
        try:
            yield asked
        finally:
            may_answer.set()


async def test_a_running_job_stops_and_keeps_what_is_finished_and_a_waiting_one_never_starts(
    served: Served, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = notes(tmp_path / "first", 100), notes(tmp_path / "second", 3)
    async with served.client("admin") as client:
        async with held(endpoint, monkeypatch) as asked:
            running, waiting = await add(client, first), await add(client, second)
            assert await asyncio.to_thread(asked.wait, 60)
            status, told = await cancel(client, waiting["id"])
            assert (status, told["state"]) == (202, "cancelled")
            status, told = await cancel(client, running["id"])
            assert (status, told["state"]) == (202, "cancelling")
            assert (await cancel(client, running["id"]))[1]["state"] == "cancelling"
        assert (await job_done(client, running))["state"] == "cancelled"
        assert (await job_done(client, waiting))["state"] == "cancelled"
        assert (await show(client, running["id"]))["state"] == "cancelled"

        documents = [document.path for document in await served.rag.documents()]
        assert sum(path.startswith(first) for path in documents) == 100  # read, and found by their words
        assert not [path for path in documents if path.startswith(second)]
        assert (await served.rag.status()).unembedded == 100
        assert (await cancel(client, running["id"]))[0] == 409

        async with client.post(f"/api/v1/jobs/{running['id']}/retry") as response:
            assert response.status == 202
            assert (await job_done(client, await response.json()))["state"] == "done"
        assert (await served.rag.status()).unembedded == 0
        assert (await job_done(client, await add(client, second)))["state"] == "done"


async def test_reading_stops_after_the_file_in_hand(served: Served, tmp_path: Path) -> None:
    many = notes(tmp_path / "many", 3000)
    async with served.client("admin") as client:
        job = await add(client, many)
        async with client.get(f"/api/v1/jobs/{job['id']}/events") as response:
            await response.content.readuntil(b"event: indexed")
            assert (await cancel(client, job["id"]))[0] == 202
            rest = (await response.content.read()).decode()
        name, data = rest.rstrip().splitlines()[-2:]
        assert name == "event: job"
        assert json.loads(data.removeprefix("data: "))["state"] == "cancelled"
        documents = await served.rag.documents()
        assert 1 < len(documents) < 3001
        (hit, *_) = await served.rag.search("boat", mode="text")
        assert hit.chunk.path.startswith(many)


async def test_what_is_unknown_or_over_cannot_be_cancelled(served: Served) -> None:
    async with served.client("admin") as client:
        status, fault = await cancel(client, "nothing")
        assert (status, fault["error"]) == (404, "not_found")
        async with client.post("/api/v1/index/sync") as response:
            job = await response.json()
        assert (await job_done(client, job))["state"] == "done"
        status, fault = await cancel(client, job["id"])
        assert (status, fault["message"]) == (409, "the job is done")


async def test_a_job_is_cancelled_by_who_might_have_started_it(
    served: Served, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served.client("admin") as admin, served.client("write") as writer, served.client("ask") as reader:
        async with held(endpoint, monkeypatch) as asked:
            running = await add(admin, notes(tmp_path / "some", 3))
            assert await asyncio.to_thread(asked.wait, 60)
            async with admin.post("/api/v1/index/rebuild") as response:
                rebuild = await response.json()
            assert (await cancel(reader, running["id"]))[0] == 403
            assert (await cancel(writer, rebuild["id"]))[0] == 403
            assert (await show(writer, rebuild["id"]))["state"] == "waiting"
            assert (await cancel(admin, rebuild["id"]))[1]["state"] == "cancelled"
            async with writer.post(f"/api/v1/jobs/{rebuild['id']}/retry") as response:
                assert response.status == 403
            assert (await cancel(writer, running["id"]))[0] == 202
        assert (await job_done(admin, running))["state"] in ("cancelled", "done")


async def test_what_was_cancelled_stays_so_after_a_restart(start: Start, tmp_path: Path) -> None:
    first = await start()
    folder = first.rag.paths.state / "jobs"
    await first.stop()
    (tmp_path / "late.md").write_text("The late boat leaves at nine.")
    for state in ("cancelled", "cancelling"):
        job = {"id": state, "kind": "add", "target": [str(tmp_path / "late.md")], "state": state}
        (folder / f"{state}.json").write_text(json.dumps({**job, "created_at": 1.0, "changed_at": 1.0}))

    second = await start()
    async with second.client("write") as client:
        for state in ("cancelled", "cancelling"):
            assert (await job_done(client, {"id": state}))["state"] == "cancelled"
        async with client.post("/api/v1/index/sync") as response:
            assert (await job_done(client, await response.json()))["state"] == "done"
    assert not [document for document in await second.rag.documents() if document.path.endswith("late.md")]


async def test_a_cancelled_rebuild_is_finished_by_the_next_sync(
    served: Served, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served.client("admin") as client:
        assert (await job_done(client, await add(client, notes(tmp_path / "some", 40))))["state"] == "done"
        async with held(endpoint, monkeypatch) as asked:
            async with client.post("/api/v1/index/rebuild") as response:
                job = await response.json()
            assert await asyncio.to_thread(asked.wait, 60)
            assert (await cancel(client, job["id"]))[1]["state"] == "cancelling"
        assert (await job_done(client, job))["state"] == "cancelled"
        async with client.post("/api/v1/index/sync") as response:
            assert (await job_done(client, await response.json()))["state"] == "done"
    status = await served.rag.status()
    assert (status.documents, status.unembedded) == (41, 0)


async def test_a_server_that_stops_while_a_job_is_cancelled_does_not_take_it_up_again(
    start: Start, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await start()
    async with served.client("admin") as client, held(endpoint, monkeypatch) as asked:
        job = await add(client, notes(tmp_path / "some", 3))
        assert await asyncio.to_thread(asked.wait, 60)
        assert (await cancel(client, job["id"]))[1]["state"] == "cancelling"
        stopping = asyncio.create_task(served.stop())  # type: ignore[arg-type]
    await stopping
    kept = json.loads((served.rag.paths.state / "jobs" / f"{job['id']}.json").read_text())
    assert kept["state"] == "cancelled"
