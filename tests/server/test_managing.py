"""Documents, jobs, vectors, index, models, watched folders, and what the server says of itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.conftest import Served, Start, job_done
from termrag.rag import Rag


async def get(client: aiohttp.ClientSession, path: str, **params: str) -> Any:
    async with client.get(path, params=params) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_documents_are_uploaded_shown_and_removed(served: Served) -> None:
    async with served.client("admin") as client:
        form = aiohttp.FormData()
        form.add_field("file", b"# Tides\n\nHigh water is at six.", filename="tides.md")
        form.add_field("file", "灯台は港にある。".encode(), filename="灯.txt")
        async with client.post("/api/v1/documents", data=form) as response:
            assert response.status == 202
            job = await job_done(client, await response.json())
        assert (job["state"], job["result"]["indexed"]) == ("done", 2)

        listed = await get(client, "/api/v1/documents", match="**/tides.md")
        assert listed["total"] == 1
        (document,) = listed["documents"]
        text = await get(client, f"/api/v1/documents/{document['id']}/text")
        assert "High water" in text["chunks"][0]["text"]
        vectors = await get(client, f"/api/v1/vectors/{document['id']}")
        assert len(vectors["vectors"][0]["values"]) == vectors["dimension"] > 0
        async with client.post("/api/v1/search", json={"query": "high water", "explain": True}) as response:
            hits = (await response.json())["hits"]
        assert hits[0]["document_id"] == document["id"]
        assert hits[0]["scores"]["bm25"] is not None
        async with client.delete(f"/api/v1/documents/{document['id']}") as response:
            assert (await response.json()) == {"removed": 1}
        assert (await get(client, "/api/v1/documents"))["total"] == 2


async def test_a_job_that_failed_says_why_and_can_be_done_again(served: Served, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.4 broken")
    async with served.client("admin") as client:
        async with client.post("/api/v1/documents/paths", json={"paths": [str(bad)]}) as response:
            job = await job_done(client, await response.json())
        assert job["state"] == "failed"
        (failed,) = (await get(client, "/api/v1/documents", failed="true"))["documents"]
        assert failed["error"]
        bad.rename(tmp_path / "bad.old")
        bad.with_suffix(".md").write_text("Whole again.")
        bad.write_text("")
        async with client.post(f"/api/v1/jobs/{job['id']}/retry") as response:
            assert response.status == 202
            assert (await job_done(client, await response.json()))["state"] in ("failed", "done")
        async with client.post("/api/v1/documents/paths", json={"paths": [str(tmp_path / "none.md")]}) as response:
            assert response.status == 404


async def test_jobs_that_were_not_finished_go_on_after_a_restart(start: Start, tmp_path: Path) -> None:
    first = await start()
    folder = first.rag.paths.state / "jobs"
    await first.stop()
    (tmp_path / "late.md").write_text("The late boat leaves at nine.")
    job = {"id": "abc123", "kind": "add", "target": [str(tmp_path / "late.md")], "state": "running"}
    (folder / "abc123.json").write_text(json.dumps({**job, "created_at": 1.0, "changed_at": 1.0}))
    (folder / "broken.json").write_text("{")

    second = await start()
    async with second.client("read") as client:
        done = await job_done(client, {"id": "abc123"})
    assert (done["state"], done["result"]["indexed"]) == ("done", 1)


async def test_a_text_is_put_in_replaced_and_taken_out(served: Served) -> None:
    async with served.client("write", "ask") as client:
        for text in ("The cat is grey.", "The cat is black."):
            async with client.post("/api/v1/vectors", json={"name": "cat", "text": text}) as response:
                assert response.status == 200, await response.text()
                document = await response.json()
        vectors = await get(client, f"/api/v1/vectors/{document['id']}")
        assert [each["text"] for each in vectors["vectors"]] == ["The cat is black."]
        async with client.delete(f"/api/v1/vectors/{document['id']}") as response:
            assert response.status == 200
        async with client.get(f"/api/v1/vectors/{document['id']}") as response:
            assert response.status == 404


async def test_the_index_and_the_models_are_told_of_and_kept(served: Served) -> None:
    async with served.client("admin") as client:
        assert (await get(client, "/api/v1/index/stats"))["documents"] == 1
        for what in ("optimize", "sync", "rebuild"):
            async with client.post(f"/api/v1/index/{what}") as response:
                assert (await job_done(client, await response.json()))["state"] == "done", what
        names = {model["name"] for model in (await get(client, "/api/v1/models"))["models"]}
        assert {"llama-3.2-1b", "smollm2-135m"} <= names
        assert (await get(client, "/api/v1/models/smollm2-135m"))["role"] == "chat"
        async with client.post("/api/v1/models/all-minilm-l6-v2/use") as response:
            assert response.status == 409
            assert (await response.json())["hint"] == "termrag models pull all-minilm-l6-v2"
        for what in ("load", "unload"):
            async with client.post(f"/api/v1/models/{what}") as response:
                assert response.status == 200


async def test_the_status_of_models_and_documents_is_told(start: Start, tmp_path: Path) -> None:
    served = await start(" ".join(map(str, range(300))))
    async with served.client("admin") as client:
        before = await get(client, "/api/v1/models/status")
        assert (before["engine"], before["loaded"], before["answers_in_progress"]) == ("scripted", None, 0)
        body = {"question": "Count.", "general": True, "stream": True}
        async with client.post("/api/v1/generate", json=body) as response:
            while b"event: token" not in await response.content.readuntil(b"\n\n"):
                pass
            during = await get(client, "/api/v1/models/status")
        assert (during["loaded"], during["answers_in_progress"]) == (before["chat"], 1)

        (document,) = (await get(client, "/api/v1/documents"))["documents"]
        status = await get(client, f"/api/v1/documents/{document['id']}/status")
        assert (status["state"], status["chunks"], status["unembedded"], status["jobs"]) == ("indexed", 1, 0, [])
        async with client.post(f"/api/v1/documents/{document['id']}/reindex") as response:
            job = await response.json()
        waiting = await get(client, f"/api/v1/documents/{document['id']}/status")
        assert [each["id"] for each in waiting["jobs"]] in ([job["id"]], [])
        assert (await job_done(client, job))["state"] == "done"


async def test_searches_by_words_meaning_and_both_are_explained_and_filtered(served: Served, tmp_path: Path) -> None:
    async with served.client("write") as client:
        async with client.post("/api/v1/vectors", json={"name": "cat.txt", "text": "The cat burns no oil."}) as done:
            assert done.status == 200

        async def search(**body: Any) -> list[dict[str, Any]]:
            async with client.post("/api/v1/vectors/search", json={"query": "burns oil", **body}) as response:
                assert response.status == 200, await response.text()
                hits = (await response.json())["hits"]
                assert isinstance(hits, list)
                return hits

        assert {hit["scores"]["cosine"] for hit in await search(mode="text", explain=True)} == {None}
        assert {hit["scores"]["bm25"] for hit in await search(mode="vector", explain=True)} == {None}
        both = await search(explain=True)
        assert len(both) == 2
        assert all(hit["scores"]["bm25"] and hit["scores"]["cosine"] for hit in both)
        assert {hit["scores"]["cosine"] for hit in await search()} == {None}
        assert len(await search(limit=1)) == 1
        (only,) = await search(filters={"types": ["md"]})
        assert only["path"].endswith("lamp.md")
        assert await search(filters={"documents": [only["document_id"]]}) == [only]
        assert await search(filters={"globs": [f"{tmp_path}/**"]}) == [only]
        assert await search(filters={"types": ["md"], "before": "2001-01-01"}) == []
        for wrong in ({"documents": ["nothing-like-it"]}, {"after": "yesterday"}):
            async with client.post("/api/v1/search", json={"query": "oil", "filters": wrong}) as response:
                assert response.status in (404, 422)


async def test_a_model_is_changed_while_an_answer_is_written(start: Start) -> None:
    served = await start(" ".join(map(str, range(300))))
    async with served.client("admin") as client:
        body = {"question": "Count.", "general": True, "stream": True}
        async with client.post("/api/v1/generate", json=body) as response:
            while b"event: token" not in await response.content.readuntil(b"\n\n"):
                pass
            async with client.post("/api/v1/models/smollm2-135m/use") as used:
                assert used.status == 200
            rest = (await response.content.read()).decode()
    assert "event: answered" in rest
    assert '"verdict":"general"' in rest
    assert served.rag.config.models.chat == "smollm2-135m"


async def test_folders_are_watched_and_forgotten(served: Served, tmp_path: Path) -> None:
    async with served.client("admin") as client:
        async with client.post("/api/v1/watch/folders", json={"path": str(tmp_path), "exclude": ["*.log"]}) as response:
            assert response.status == 201
        (folder,) = (await get(client, "/api/v1/watch/folders"))["folders"]
        assert folder["exclude"] == ["*.log"]
        assert (await get(client, "/api/v1/watch/status"))["state"] == "off"
        async with client.delete("/api/v1/watch/folders", params={"path": str(tmp_path)}) as response:
            assert response.status == 200
        assert (await get(client, "/api/v1/watch/folders"))["folders"] == []


async def test_nobody_is_sent_here_before_what_a_search_needs_is_loaded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = asyncio.Event()

    async def warm(_: Rag) -> None:
        await loaded.wait()

    monkeypatch.setattr(Rag, "warm", warm)
    served = await start()
    async with served.client("admin") as client:
        async with client.get("/health/ready") as response:
            assert response.status == 503
            said = await response.json()
        assert (said["state"], said["store"]) == ("not_ready", "loading")
        loaded.set()
        assert (await until_ready(client))["store"] == "ok"


async def until_ready(client: aiohttp.ClientSession) -> dict[str, Any]:
    for _ in range(500):
        async with client.get("/health/ready") as response:
            ready = await response.json()
        if ready["state"] == "ready":
            break
        await asyncio.sleep(0.01)
    assert isinstance(ready, dict)
    return ready


async def test_ready_says_what_is_missing_and_metrics_count(served: Served) -> None:
    async with served.client("admin") as client:
        ready = await until_ready(client)
        assert (ready["state"], ready["store"], ready["disk"]) == ("ready", "ok", "ok")
        async with client.post("/api/v1/generate", json={"question": "How much oil?"}) as response:
            assert response.status == 200
        async with client.get("/metrics") as response:
            text = await response.text()
    assert 'termrag_answers_total{verdict="grounded"} 1.0' in text
    assert 'termrag_http_requests_total{endpoint="/api/v1/generate",method="POST",status="200"} 1.0' in text
    assert "termrag_questions_waiting 0.0" in text


async def test_metrics_keep_to_the_conventions_of_prometheus(served: Served) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    async with served.client("admin") as client:
        async with client.post("/api/v1/generate", json={"question": "How much oil?"}) as response:
            assert response.status == 200
        async with client.get("/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            families = {each.name: each for each in text_string_to_metric_families(await response.text())}
    assert all(name.startswith("termrag_") and each.documentation for name, each in families.items())
    for name, each in families.items():
        if each.type == "counter":
            assert {sample.name.rpartition("_")[2] for sample in each.samples} <= {"total", "created"}, name
        if each.type == "histogram":
            assert name.endswith("_seconds"), name
    endpoints = {sample.labels["endpoint"] for sample in families["termrag_http_requests"].samples}
    assert endpoints == {"/api/v1/generate"}


async def test_stopping_ends_every_stream_with_an_event(start: Start) -> None:
    served = await start(" ".join(map(str, range(3000))), concurrent=1, queue=400)
    begun = asyncio.Event()

    async def follow(client: aiohttp.ClientSession, number: int) -> str:
        """The name of a stream's last event."""
        sampling = {"max_tokens": 3000}
        body = {"question": f"Count {number}.", "general": True, "stream": True, "sampling": sampling}
        async with client.post("/api/v1/generate", json=body) as response:
            last = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    last = line.decode().removeprefix("event: ").strip()
                    if last == "token":
                        begun.set()
            return last

    everybody = aiohttp.TCPConnector(limit=0)
    async with served.client("ask", connector=everybody) as client, client.ws_connect("/api/v1/ws") as socket:
        streams = [asyncio.create_task(follow(client, number)) for number in range(150)]
        await begun.wait()
        stopped_at = asyncio.get_running_loop().time()
        stopping = asyncio.create_task(served.stop())  # type: ignore[arg-type]
        lasts = await asyncio.gather(*streams)
        assert (await socket.receive()).data == aiohttp.WSCloseCode.GOING_AWAY
        await stopping
    assert set(lasts) <= {"answered", "stopped"}
    assert "stopped" in lasts
    assert asyncio.get_running_loop().time() - stopped_at < 20


async def test_who_follows_a_job_is_told_that_the_server_stops(start: Start, tmp_path: Path) -> None:
    served = await start()
    many = tmp_path / "many"
    many.mkdir()
    for number in range(400):
        (many / f"{number}.md").write_text(f"Note {number} about boat {number * 7}.")
    async with served.client("admin") as client:
        async with client.post("/api/v1/documents/paths", json={"paths": [str(many)]}) as response:
            job = await response.json()
        async with client.get(f"/api/v1/jobs/{job['id']}/events") as response:
            await response.content.readuntil(b"event: planned")
            stopping = asyncio.create_task(served.stop())  # type: ignore[arg-type]
            rest = (await response.content.read()).decode()
        await stopping
    assert rest.rstrip().splitlines()[-2] in ("event: stopped", "event: job")
    again = await start()
    async with again.client("read") as client:
        done = await job_done(client, job)
    assert done["state"] == "done"
    assert len(await again.rag.documents()) == 401


async def test_models_are_unloaded_after_idleness(start: Start) -> None:
    served = await start(keep_alive_s=1.0)
    async with (
        served.client("ask") as client,
        client.post("/api/v1/generate", json={"question": "How much oil?"}) as done,
    ):
        assert done.status == 200
    for _ in range(300):
        if served.rag.loaded_model is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the model stays loaded")
