"""LanceDB on object storage, against a server on loopback that speaks S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from embedding_endpoint import Endpoint, served
from index.whole import Home, answers, copied, report, write_notes
from termrag.errors import StoreUnavailable


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A bucket's URI, and the storage options that reach it; the keys are in the environment, as they should be."""
    import boto3

    name = tmp_path.name.replace("_", "-").strip("-")[:60]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket=name)
    yield f"s3://{name}/library", [f"endpoint={url}", "allow_http=true"]
    server.stop()


async def test_a_library_on_object_storage(bucket: tuple[str, list[str]], tmp_path: Path, endpoint: Endpoint) -> None:
    uri, options = bucket
    local = Home(tmp_path / "local", endpoint)
    remote = Home(tmp_path / "remote", endpoint, {"lancedb": {"uri": uri, "options": options}})
    folder = write_notes(tmp_path / "notes", 8)
    await local.add(folder)
    await remote.add(folder)
    mine, theirs = await answers(local), await answers(remote)
    assert [[chunk.text for chunk, _ in each] for each in mine[2::4]] == [
        [chunk.text for chunk, _ in each] for each in theirs[2::4]
    ]
    assert (remote.paths.library / "ledger.sqlite").exists(), "the ledger stays on the machine"
    assert not any(each.name.endswith(".lance") for each in tmp_path.rglob("remote/**/*"))
    (folder / "note1.md").write_text("# New\n\nThe breakwater was mended with basalt.\n")
    await remote.add(folder)
    async with remote.open() as rag:
        assert "basalt" in (await rag.search("breakwater basalt"))[0].chunk.text
        await rag.optimize()
        found = await report(rag.verify_index())
        assert found.problems == () and found.recall == 1.0
        stats = await rag.index_stats()
    assert stats.place == uri and stats.size_bytes > 0


async def test_an_index_moves_to_object_storage(
    bucket: tuple[str, list[str]], tmp_path: Path, endpoint: Endpoint
) -> None:
    uri, options = bucket
    home = Home(tmp_path / "home", endpoint, {"lancedb": {"options": options}})
    await home.add(write_notes(tmp_path / "notes", 8))
    before = await answers(home)
    async with home.open() as rag:
        await copied(rag.migrate_index(uri, drop_source=True))
    after = await answers(home)
    assert after[0] == before[0]
    assert [len(each) for each in after] == [len(each) for each in before]


async def test_a_bucket_that_is_not_there_is_a_plain_error(
    bucket: tuple[str, list[str]], tmp_path: Path, endpoint: Endpoint
) -> None:
    home = Home(tmp_path / "home", endpoint, {"lancedb": {"uri": "s3://other/library", "options": bucket[1]}})
    async with home.open() as rag:
        with pytest.raises(StoreUnavailable, match=r"other/library cannot be opened: NoSuchBucket"):
            await rag.search("lamp")
    assert os.environ["AWS_ACCESS_KEY_ID"] == "testing"
