"""Vectors that clients bring: to search by, and with the chunks of a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from embedding_endpoint import Endpoint
from server.conftest import Served, job_done
from termrag.errors import UnfitVector
from termrag.records import GivenChunk


def axis(number: int, length: float = 1.0) -> list[float]:
    """A vector along one axis of the endpoint's space."""
    return [length if place == number else 0.0 for place in range(32)]


async def put(client: aiohttp.ClientSession, name: str, *chunks: Any) -> dict[str, Any]:
    body = {"name": name, "chunks": [{"text": text, "vector": vector} for text, vector in chunks]}
    async with client.post("/api/v1/vectors", json=body) as response:
        assert response.status == 200, await response.text()
        document = await response.json()
        assert isinstance(document, dict)
        return document


async def kept(client: aiohttp.ClientSession, document: dict[str, Any]) -> list[tuple[str, list[float]]]:
    async with client.get(f"/api/v1/vectors/{document['id']}") as response:
        assert response.status == 200
        return [(each["text"], each["values"]) for each in (await response.json())["vectors"]]


async def search(client: aiohttp.ClientSession, **body: Any) -> list[dict[str, Any]]:
    async with client.post("/api/v1/search", json={"explain": True, **body}) as response:
        assert response.status == 200, await response.text()
        hits = (await response.json())["hits"]
        assert isinstance(hits, list)
        return hits


def unit(values: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(each * each for each in values))
    return [each / length for each in values]


def embedded(endpoint: Endpoint) -> list[str]:
    """Every text that the endpoint was sent."""
    return [text for request in endpoint.requests for text in request["input"]]


async def test_chunks_are_taken_as_they_are_and_their_vectors_come_back(served: Served, endpoint: Endpoint) -> None:
    first, second = "The tide is out.\n\nThe crab hides.", "The tide is in."
    async with served.client("write") as client:
        document = await put(client, "tide.md", (first, axis(3, 5.0)), (second, None))
        found = await kept(client, document)
    assert document["chunks"] == 2
    assert document["unembedded"] == 0
    assert [text for text, _ in found] == [first, second]
    assert found[0][1] == axis(3)
    assert found[1][1] == pytest.approx(unit(endpoint.vector(second)), abs=1e-6)
    assert second in embedded(endpoint)
    assert first not in embedded(endpoint)


async def test_a_given_vector_finds_what_was_put_under_it(served: Served, endpoint: Endpoint) -> None:
    async with served.client("write") as client:
        await put(client, "crab", ("The crab hides.", axis(3)), ("The gull waits.", axis(4)))
        asked = len(endpoint.requests)
        for path in ("/api/v1/search", "/api/v1/vectors/search"):
            body = {"mode": "vector", "vector": axis(4, 1e200), "limit": 2, "explain": True}
            async with client.post(path, json=body) as response:
                assert response.status == 200, await response.text()
                best, *_ = (await response.json())["hits"]
            assert best["text"] == "The gull waits."
            assert best["scores"]["cosine"] == pytest.approx(1.0, abs=1e-5)
        assert len(endpoint.requests) == asked  # no query was embedded

        by_both = await search(client, query="crab", vector=axis(4))
        assert [hit["scores"]["bm25"] is not None for hit in by_both if hit["text"] == "The crab hides."] == [True]
        cosines = {hit["text"]: hit["scores"]["cosine"] for hit in by_both}
        assert cosines["The gull waits."] == pytest.approx(1.0, abs=1e-5)
        assert cosines["The crab hides."] == pytest.approx(0.0, abs=1e-5)


async def test_other_vectors_of_the_same_chunks_replace_them_and_none_means_computed(
    served: Served, endpoint: Endpoint
) -> None:
    text = "The heron stands."
    async with served.client("write") as client:
        first = await put(client, "heron", (text, axis(1)))
        before = await served.rag.library_version()
        assert (await put(client, "heron", (text, axis(1, 7.0))))["id"] == first["id"]
        assert await served.rag.library_version() == before  # the same direction is the same vector
        again = await put(client, "heron", (text, axis(2)))
        assert again["id"] == first["id"]
        assert await kept(client, again) == [(text, axis(2))]
        plain = await put(client, "heron", (text, None))
        assert (await kept(client, plain))[0][1] == pytest.approx(unit(endpoint.vector(text)), abs=1e-6)
        async with client.post("/api/v1/vectors", json={"name": "heron", "text": text}) as response:
            whole = await response.json()
        assert (whole["id"], whole["content_hash"] != plain["content_hash"]) == (first["id"], True)


async def test_equal_chunks_keep_each_its_own_vector(served: Served) -> None:
    async with served.client("write") as client:
        document = await put(client, "twice", ("Again.", axis(1)), ("Again.", axis(2)), ("Again.", None))
        values = [vector for _, vector in await kept(client, document)]
    assert values[:2] == [axis(1), axis(2)]
    assert values[2] not in values[:2]


async def test_a_rebuild_computes_the_vectors_anew_from_the_text(served: Served, endpoint: Endpoint) -> None:
    text = "The heron stands."
    async with served.client("admin") as client:
        document = await put(client, "heron", (text, axis(1)))
        async with client.post("/api/v1/index/rebuild") as response:
            job = await response.json()
        assert (await job_done(client, job))["state"] == "done"
        assert (await kept(client, document))[0][1] == pytest.approx(unit(endpoint.vector(text)), abs=1e-6)
        await put(client, "heron", (text, axis(1)))
        assert await kept(client, document) == [(text, axis(1))]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"vector": [1.0, 2.0], "mode": "vector"}, "the vector has 2 numbers, those of the index have 32"),
        ({"vector": [0.0] * 32, "mode": "vector"}, "no direction"),
        ({"vector": [1.0] * 8193, "mode": "vector"}, "8192"),
        ({"vector": axis(1)}, "a query is needed"),
        ({"query": "oil", "vector": axis(1), "mode": "text"}, "mode text"),
        ({}, "a query is needed"),
    ],
)
async def test_a_search_by_what_is_no_vector_is_refused(served: Served, body: dict[str, Any], says: str) -> None:
    async with served.client("read") as client, client.post("/api/v1/search", json=body) as response:
        assert response.status == 422
        assert says in (await response.json())["message"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none_are_refused(served: Served, number: str) -> None:
    text = f'{{"mode": "vector", "vector": [{number}{", 1" * 31}]}}'
    headers = {"Content-Type": "application/json"}
    async with served.client("read") as client, client.post("/api/v1/search", data=text, headers=headers) as response:
        assert response.status == 422
        assert "vector.0: input should be a finite number" in (await response.json())["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "bad"},
        {"name": "bad", "text": "One.", "chunks": [{"text": "Two."}]},
        {"name": "bad", "chunks": []},
        {"name": "bad", "chunks": [{"text": " \n"}]},
        {"name": "bad", "chunks": [{"text": "One."}, {"text": "Two.", "vector": [1.0, 2.0, 3.0]}]},
        {"name": "bad", "chunks": [{"text": "One.", "vector": [0.0] * 32}]},
        {"name": "bad", "text": " \n "},
    ],
)
async def test_chunks_that_cannot_be_taken_leave_nothing_behind(served: Served, body: dict[str, Any]) -> None:
    async with served.client("write") as client:
        before = await put(client, "good", ("The heron stands.", axis(1)))
        async with client.post("/api/v1/vectors", json=body) as response:
            assert response.status == 422, await response.text()
        assert await kept(client, before) == [("The heron stands.", axis(1))]
    assert not [each for each in await served.rag.documents() if each.path == "stdin:bad" and not each.error]


async def test_the_facade_takes_vectors_and_says_what_does_not_fit(served: Served) -> None:
    chunks = [GivenChunk("The crab hides.", tuple(axis(3))), GivenChunk("The gull waits.", tuple(axis(4)))]
    async for _ in served.rag.ingest_text("shore", chunks=chunks):
        pass
    best, *_ = await served.rag.search("", mode="vector", vector=axis(4))
    assert (best.chunk.text, best.chunk.start_line) == ("The gull waits.", 3)
    with pytest.raises(UnfitVector, match="2 numbers, those of the index have 32"):
        await served.rag.search("", mode="vector", vector=[1.0, 2.0])
    with pytest.raises(UnfitVector, match="no direction"):
        await served.rag.search("crab", vector=[math.inf, *[1.0] * 31])
