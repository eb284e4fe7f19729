"""Questions over HTTP: at once, streamed, resumed, over a WebSocket, from uploads; the same answer as in process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from server.conftest import SAYS, Served, Start
from termrag.events import Answered
from termrag.wire import answer as answer_json

QUESTION = "How much oil does the lamp burn?"


async def events_of(response: aiohttp.ClientResponse) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, event, data) of a stream."""
    assert response.status == 200, await response.text()
    assert response.content_type == "text/event-stream"
    found = []
    for block in (await response.text()).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("stages_ms", "usage")}


async def test_the_answer_is_the_one_of_the_core(served: Served) -> None:
    async with served.client("ask") as client, client.post("/api/v1/generate", json={"question": QUESTION}) as response:
        assert response.status == 200
        answer = await response.json()
    events = [event async for event in served.rag.ask(QUESTION)]
    assert isinstance(events[-1], Answered)
    assert timeless(answer) == timeless(json.loads(json.dumps(answer_json(events[-1].answer))))
    assert answer["verdict"] == "grounded"
    assert answer["citations"][0]["quote"]


async def test_a_stream_ends_with_the_same_answer(served: Served) -> None:
    async with served.client("ask") as client:
        async with client.post("/api/v1/generate", json={"question": QUESTION}) as response:
            whole = await response.json()
        async with client.post("/api/v1/generate", json={"question": QUESTION, "stream": True}) as response:
            events = await events_of(response)
    assert events[0][1] == "run"
    assert "".join(data["text"] for _, event, data in events if event == "token") == SAYS
    assert timeless(events[-1][2]["answer"]) == timeless(whole)


async def test_a_lost_stream_goes_on_after_the_last_event_that_came(start: Start) -> None:
    served = await start("One two three four five six seven eight nine ten.")
    async with served.client("ask") as client:
        body = {"question": "Count.", "general": True, "stream": True}
        async with client.post("/api/v1/generate", json=body) as response:
            first = [await response.content.readuntil(b"\n\n") for _ in range(4)]
        last_id = first[-1].split(b"\n")[0].removeprefix(b"id: ").decode()
        run = last_id.partition(":")[0]
        async with client.get(f"/api/v1/generate/{run}/events", headers={"Last-Event-ID": last_id}) as response:
            rest = await events_of(response)
    assert int(rest[0][0].partition(":")[2]) == int(last_id.partition(":")[2]) + 1
    assert rest[-1][1] == "answered"


async def test_another_user_cannot_listen(served: Served) -> None:
    async with served.client("ask") as client:
        body = {"question": "Count.", "stream": True, "session": "new"}
        async with client.post("/api/v1/generate", json=body) as response:
            run = (await events_of(response))[0][2]["id"]
    async with served.client("ask") as other, other.get(f"/api/v1/generate/{run}/events") as response:
        assert response.status == 404


async def test_a_client_that_goes_away_stops_the_compute(start: Start) -> None:
    served = await start(" ".join(map(str, range(800))), resume_s=0.0)
    async with served.client("ask") as client:
        body = {
            "question": "Count.",
            "general": True,
            "stream": True,
            "session": "new",
            "sampling": {"max_tokens": 3000},
        }
        async with client.post("/api/v1/generate", json=body) as response:
            while b"event: token" not in await response.content.readuntil(b"\n\n"):
                pass
    async with served.client("ask") as client:
        for _ in range(400):
            async with client.get("/api/v1/sessions") as response:
                (session,) = (await response.json())["sessions"]
            async with client.get(f"/api/v1/sessions/{session['id']}") as response:
                (turn,) = (await response.json())["turns"]
            if turn["state"] != "writing":
                break
            await asyncio.sleep(0.02)
    assert turn["state"] == "stopped"
    assert "799" not in turn["answer"]["text"]


async def test_identical_questions_at_the_same_time_are_answered_once(start: Start) -> None:
    served = await start(" ".join(map(str, range(300))))
    body = {"question": "Count.", "general": True, "stream": True}
    async with served.client("ask") as client:

        async def run_of() -> str:
            async with client.post("/api/v1/generate", json=body) as response:
                return str((await events_of(response))[0][2]["id"])

        assert len(set(await asyncio.gather(*(run_of() for _ in range(4))))) == 1


async def test_the_same_question_is_another_one_when_the_documents_have_changed(start: Start, tmp_path: Path) -> None:
    served = await start(" ".join(map(str, range(100))), script_tokens_per_s=40.0)
    body = {"question": QUESTION, "stream": True}
    async with served.client("ask", "write") as client:

        async def run_of(response: aiohttp.ClientResponse) -> str:
            line = await response.content.readuntil(b"\n\n")
            return str(json.loads(line.split(b"data: ")[1])["id"])

        async with client.post("/api/v1/generate", json=body) as first:
            run = await run_of(first)
            async with client.post("/api/v1/generate", json=body) as second:
                assert await run_of(second) == run
            (tmp_path / "notes" / "oil.md").write_text("# Oil\n\nThe oil comes by boat every second week.\n")
            async for _ in served.rag.ingest([tmp_path / "notes"], wait=True):
                pass
            async with client.post("/api/v1/generate", json=body) as third:
                assert await run_of(third) != run


async def test_who_stops_a_shared_answer_stops_it_for_nobody_else(start: Start) -> None:
    says = " ".join(map(str, range(60)))
    served = await start(says, script_tokens_per_s=100.0)
    body = {"question": "Count.", "general": True, "stream": True}
    async with served.client("ask") as one, served.client("ask") as other:
        async with (
            one.post("/api/v1/generate", json=body) as first,
            other.post("/api/v1/generate", json=body) as second,
        ):
            run = json.loads((await first.content.readuntil(b"\n\n")).split(b"data: ")[1])["id"]
            async with one.delete(f"/api/v1/generate/{run}") as stopped:
                assert stopped.status == 204
            async with one.delete(f"/api/v1/generate/{run}") as again:
                assert again.status == 404
            events = await events_of(second)
        assert events[-1][1] == "answered"
        assert events[-1][2]["answer"]["text"] == says


async def test_users_are_served_in_turns(start: Start) -> None:
    served = await start("one two three four", concurrent=1, queue=8, script_tokens_per_s=40.0)
    order: list[str] = []
    async with served.client("ask") as eager, served.client("ask") as other:

        async def ask(client: aiohttp.ClientSession, name: str) -> None:
            body = {"question": f"Count, {name}.", "general": True}
            async with client.post("/api/v1/generate", json=body) as response:
                assert response.status == 200
                await response.read()
                order.append(name)

        first = [asyncio.create_task(ask(eager, f"eager {number}")) for number in range(4)]
        while await _waiting(eager) < 3:
            await asyncio.sleep(0.01)
        await asyncio.gather(*first, ask(other, "other 0"), ask(other, "other 1"))
    assert order.index("other 0") <= 2
    assert order.index("other 1") <= 4


async def _waiting(client: aiohttp.ClientSession) -> int:
    async with client.get("/health/ready") as response:
        return int((await response.json())["questions_waiting"])


async def test_nobody_waits_for_ever(start: Start) -> None:
    served = await start(" ".join(map(str, range(400))), concurrent=1, queue=4, queue_s=0.2, script_tokens_per_s=20.0)
    body = {"question": "Count.", "general": True, "stream": True}
    async with served.client("ask") as client, client.post("/api/v1/generate", json=body) as held:
        await held.content.readuntil(b"event: token")
        async with client.post("/api/v1/generate", json={"question": "And?", "general": True}) as late:
            assert late.status == 503
            assert int(late.headers["Retry-After"]) >= 1
            assert (await late.json())["error"] == "busy"


async def test_a_client_that_goes_away_leaves_the_queue(start: Start) -> None:
    served = await start(" ".join(map(str, range(400))), concurrent=1, queue=4, script_tokens_per_s=20.0)
    body = {"question": "Count.", "general": True, "stream": True}
    async with served.client("ask") as client, client.post("/api/v1/generate", json=body) as held:
        await held.content.readuntil(b"event: token")
        late = asyncio.create_task(client.post("/api/v1/generate", json={"question": "And?", "general": True}))
        while not await _waiting(client):
            await asyncio.sleep(0.01)
        late.cancel()
        async with asyncio.timeout(5):
            while await _waiting(client):
                await asyncio.sleep(0.01)


async def test_over_the_queue_questions_are_refused_with_the_time_to_wait(start: Start) -> None:
    served = await start(" ".join(map(str, range(400))), concurrent=1, queue=1)
    async with served.client("ask") as client:

        async def status_of(number: int) -> tuple[int, str | None]:
            async with client.post(
                "/api/v1/generate", json={"question": f"Count {number}.", "general": True}
            ) as response:
                await response.read()
                return response.status, response.headers.get("Retry-After")

        results = await asyncio.gather(*(status_of(number) for number in range(5)))
    assert sorted(status for status, _ in results) == [200, 200, 429, 429, 429]
    assert all(wait for status, wait in results if status == 429)


async def test_a_websocket_asks_stops_and_asks_again(start: Start) -> None:
    served = await start(" ".join(map(str, range(500))))
    async with served.client("ask") as client, client.ws_connect("/api/v1/ws") as socket:
        await socket.send_json({"type": "generate", "question": "Count.", "general": True})
        kinds = []
        async for message in socket:
            kinds.append(message.json()["type"])
            if kinds.count("token") == 3:
                await socket.send_json({"type": "stop"})
            if kinds[-1] in ("stopped", "answered"):
                break
        assert kinds[-1] == "stopped"
        await socket.send_json({"nonsense": True})
        assert (await socket.receive_json())["status"] == 422
        await socket.send_json({"question": QUESTION, "general": True, "sampling": {"max_tokens": 5}})
        while (message := await socket.receive_json())["type"] != "answered":
            pass
        assert message["answer"]["text"]


async def test_a_conversation_is_kept_and_gone_on_with(served: Served) -> None:
    async with served.client("ask", "write") as client:
        async with client.post("/api/v1/generate", json={"question": QUESTION, "session": "new"}) as response:
            assert response.status == 200
        async with client.get("/api/v1/sessions", params={"query": "oil"}) as response:
            (session,) = (await response.json())["sessions"]
        async with client.post("/api/v1/generate", json={"question": "And why?", "session": session["id"]}) as response:
            assert response.status == 200
        async with client.get(f"/api/v1/sessions/{session['id']}/export", params={"format": "markdown"}) as response:
            assert "lamp.md" in await response.text()
        async with client.delete(f"/api/v1/sessions/{session['id']}") as response:
            assert (await response.json())["is_deleted"]


def form(question: str, *files: tuple[str, bytes], **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("question", question)
    for name, value in fields.items():
        data.add_field(name, value)
    for name, content in files:
        data.add_field("file", content, filename=name, content_type="application/octet-stream")
    return data


BOAT = b"# Boats\n\nThe Petrel carries 36 people and a dog. The Petrel was built in 1974.\n"


async def test_an_upload_is_answered_from_and_not_kept(start: Start) -> None:
    served = await start("The Petrel carries 36 people and a dog.")
    async with served.client("ask") as client:
        upload = form("How many does the Petrel carry?", ("boats.md", BOAT), ("more.txt", b"Nothing of note."))
        async with client.post("/api/v1/generate/upload", data=upload) as response:
            answer = await response.json()
        assert response.status == 200, answer
        assert answer["verdict"] == "grounded"
        assert answer["citations"][0]["path"] == "boats.md"
    assert len(await served.rag.documents()) == 1
    assert list((served.rag.paths.state / "uploads").iterdir()) == []


async def test_an_upload_and_the_same_text_have_the_same_answer(start: Start) -> None:
    served = await start("The Petrel carries 36 people and a dog. The Petrel was built in 1974.")
    question = "How many does the Petrel carry?"
    sampling = {"max_tokens": 12}
    async with served.client("ask") as client:
        body = {"question": question, "text": BOAT.decode(), "text_name": "boats.txt", "sampling": sampling}
        async with client.post("/api/v1/generate", json=body) as response:
            by_text = await response.json()
        upload = form(question, ("boats.txt", BOAT), sampling=json.dumps(sampling))
        async with client.post("/api/v1/generate/upload", data=upload) as response:
            by_file = await response.json()
        upload = form(question, ("boats.txt", BOAT), sampling=json.dumps({"colour": "red"}))
        async with client.post("/api/v1/generate/upload", data=upload) as response:
            assert response.status == 422
    assert by_text["text"].startswith("The Petrel carries 36 people")
    assert by_text["usage"]["generated_tokens"] == 12
    for name in ("text", "cited_text", "verdict", "budget"):
        assert by_file[name] == by_text[name], name
    assert [each["quote"] for each in by_file["citations"]] == [each["quote"] for each in by_text["citations"]]


async def test_an_upload_that_is_kept_becomes_a_document_once(start: Start) -> None:
    served = await start("The Petrel carries 36 people and a dog.")
    async with served.client("ask", "write") as client:
        for _ in range(2):
            upload = form("How many does the Petrel carry?", ("../../etc/boats.md", BOAT), keep="true")
            async with client.post("/api/v1/generate/upload", data=upload) as response:
                answer = await response.json()
                assert response.status == 200, answer
    documents = await served.rag.documents()
    assert len(documents) == 2
    kept = next(Path(each.path) for each in documents if each.path.endswith("boats.md"))
    assert kept.is_relative_to(served.rag.paths.data / "uploads")
    assert kept.parent.parent == served.rag.paths.data / "uploads"
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_gives_no_text_is_an_error_with_its_name(served: Served) -> None:
    async with served.client("ask") as client:
        upload = form("What is in it?", ("empty.md", b""))
        async with client.post("/api/v1/generate/upload", data=upload) as response:
            assert response.status == 422
            assert "empty" in (await response.json())["message"]
