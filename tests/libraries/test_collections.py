"""Named libraries behind the façade: apart where they are one's own, together where they are asked together."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from libraries.conftest import Open
from termrag.errors import ConfigError, LibraryBusy, LibraryMismatch, NotFound, StoreUnavailable
from termrag.events import Answered
from termrag.ledger import watch_lock
from termrag.rag import Rag
from termrag.records import Answer


async def ask(rag: Rag, question: str, session: str | None = None) -> Answer:
    answer: Answer | None = None
    async for event in rag.ask(question, session=session):
        if isinstance(event, Answered):
            answer = event.answer
    assert answer is not None
    return answer


async def names_in(open_rag: Open, *names: str) -> list[str]:
    async with open_rag(*names) as rag:
        return [Path(document.path).name for document in await rag.documents()]


async def test_each_library_holds_its_own_and_the_default_one_stays_where_it_was(filled: Open, home: Path) -> None:
    assert await names_in(filled) == await names_in(filled, "default") == ["lamp.md"]
    assert await names_in(filled, "work") == ["rent.md", "rope.md"]
    assert await names_in(filled, "home") == ["rent.md"]
    assert (home / "data" / "library" / "ledger.sqlite").exists()
    assert (home / "data" / "collections" / "work" / "library" / "ledger.sqlite").exists()
    async with filled("home") as rag:
        assert {Path(hit.chunk.path).parent.name for hit in await rag.search("rent workshop")} == {"home"}
        found = {each.name: (each.documents, each.is_chosen) for each in await rag.collections()}
    assert found == {"default": (1, False), "home": (1, True), "work": (2, False)}


async def test_an_unknown_collection_is_named_with_those_there_are(filled: Open) -> None:
    with pytest.raises(NotFound, match="there is no collection office; there are default, home, work") as refused:
        filled("office")
    assert refused.value.hint == "termrag collections create office"


async def test_conversations_are_kept_in_the_collection(filled: Open) -> None:
    async with filled("home") as rag:
        session = await rag.start_session()
        await ask(rag, "What is the rent of the flat?", session.id)
        assert len(await rag.sessions()) == 1
    async with filled("work") as rag:
        assert await rag.sessions() == []
    async with filled() as rag:
        assert await rag.sessions() == []


async def test_its_own_settings_are_laid_over_the_users(
    filled: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with filled("work") as rag:
        await rag.change("retrieval", "passages", 7)
    assert (filled("work").config.retrieval.passages, filled("home").config.retrieval.passages) == (7, 4)
    assert "passages" not in (home / "config" / "config.toml").read_text()
    monkeypatch.setenv("TERMRAG_RETRIEVAL_PASSAGES", "9")
    assert filled("work").config.retrieval.passages == 9
    monkeypatch.setenv("TERMRAG_LIBRARY_PATH", str(home / "elsewhere"))
    monkeypatch.setenv("TERMRAG_LANCEDB_URI", str(home / "bucket"))
    assert filled().config.library.path == str(home / "elsewhere")
    assert filled("work").config.library.path == "", "no two libraries in one folder"
    assert filled("work").config.lancedb.uri == str(home / "bucket" / "collections" / "work")


async def test_which_one_is_meant(filled: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with filled() as rag:
        await rag.change("library", "collection", "home")
    assert filled().paths.collection == "home"
    assert filled("default").paths.collection == ""
    monkeypatch.setenv("TERMRAG_COLLECTION", "work")
    assert filled().paths.collection == "work"
    assert filled("home").paths.collection == "home"


async def test_several_are_searched_as_one(filled: Open, tmp_path: Path, vectors: Endpoint) -> None:
    vectors.requests.clear()
    async with filled("work", "home") as rag:
        hits = await rag.search("rent euros due month", limit=3)
    asked = [request["input"] for request in vectors.requests]
    assert asked == [["dimension"], ["rent euros due month"]], "one embedder, one vector for all"
    assert [(hit.chunk.collection, Path(hit.chunk.path).name) for hit in hits[:2]] in (
        [("work", "rent.md"), ("home", "rent.md")],
        [("home", "rent.md"), ("work", "rent.md")],
    )
    assert all(hit.scores.cosine is not None and hit.scores.bm25 is not None for hit in hits[:2])
    # One library that holds all of it measures the same cosines.
    async with filled() as rag:
        await rag.create_collection("both")
    async with filled("both") as rag:
        async for _ in rag.ingest([tmp_path / "notes" / "work", tmp_path / "notes" / "home"], wait=True):
            pass
        one = await rag.search("rent euros due month", limit=3)
    assert {hit.chunk.path: hit.scores.cosine for hit in one} == pytest.approx(
        {hit.chunk.path: hit.scores.cosine for hit in hits}
    )
    assert {hit.chunk.path for hit in one[:2]} == {hit.chunk.path for hit in hits[:2]}


async def test_all_means_every_one(filled: Open) -> None:
    async with filled("all") as rag:
        for query, collection in (("lamp oil", "default"), ("rope metres", "work"), ("flat", "home")):
            assert (await rag.search(query, limit=1))[0].chunk.collection == collection


async def test_an_answer_says_from_which_collection_it_is(filled: Open) -> None:
    async with filled("work", "home") as rag:
        session = await rag.start_session()
        answer = await ask(rag, "What is the rent of the flat?", session.id)
        cited = {citation.collection for sentence in answer.sentences for citation in sentence.citations}
        assert cited == {"home"}
        assert {passage.collection for passage in answer.passages} == {"work", "home"}
        kept = await rag.session(session.id)
    assert kept.turns[0].freshness == "current"
    async with filled() as rag:
        assert [each.id for each in await rag.sessions()] == [session.id], "kept with the default library"


async def test_one_with_another_embedder_is_not_mixed_in(filled: Open) -> None:
    async with filled("home") as rag:
        await rag.change("models", "embedding", "openai:other")
    async with filled("work", "home") as rag:
        with pytest.raises(LibraryMismatch, match="home has another embedding model"):
            await rag.search("rent")


async def test_empty_ones_are_left_out_and_all_empty_is_said(filled: Open) -> None:
    async with filled() as rag:
        await rag.create_collection("empty")
        await rag.create_collection("bare")
    async with filled("empty", "home") as rag:
        assert {hit.chunk.collection for hit in await rag.search("rent")} == {"home"}
    async with filled("empty", "bare") as rag:
        with pytest.raises(StoreUnavailable, match="nothing is indexed in empty, bare"):
            await rag.search("rent")


async def test_a_renamed_collection_keeps_all_that_is_its_own(filled: Open, home: Path) -> None:
    async with filled("work") as rag:
        await rag.change("retrieval", "passages", 7)
    async with filled() as rag:
        renamed = await rag.rename_collection("work", "office")
        assert (renamed.name, renamed.documents) == ("office", 2)
        for wrong in ("home", "all", "default", "Über", "../x", ""):
            with pytest.raises(ConfigError):
                await rag.rename_collection("office", wrong)
        with pytest.raises(ConfigError):
            await rag.rename_collection("default", "other")
    assert filled("office").config.retrieval.passages == 7
    assert await names_in(filled, "office") == ["rent.md", "rope.md"]
    async with filled("office") as rag:
        assert await rag.search("rope")


async def test_a_collection_goes_with_all_that_is_its_own(filled: Open, home: Path, tmp_path: Path) -> None:
    async with filled() as rag:
        with pytest.raises(ConfigError, match="holds 2 documents") as refused:
            await rag.remove_collection("work")
        assert "--yes" in refused.value.hint
        with watch_lock(home / "data" / "collections" / "work" / "library"), pytest.raises(LibraryBusy):
            await rag.remove_collection("work", sure=True)
        await rag.remove_collection("work", sure=True)
        with pytest.raises(ConfigError):
            await rag.remove_collection("default", sure=True)
        assert [each.name for each in await rag.collections()] == ["default", "home"]
    assert not (home / "data" / "collections" / "work").exists()
    assert (tmp_path / "notes" / "work" / "rent.md").exists()
    assert await names_in(filled) == ["lamp.md"]


async def test_a_server_opens_others_beside_with_its_own_models(filled: Open, vectors: Endpoint) -> None:
    vectors.requests.clear()
    async with filled() as rag:
        assert await rag.search("lamp")
        async with rag.beside(["home"]) as home, rag.beside(["work", "home"]) as both:
            answer = await ask(home, "What is the rent of the flat?")
            assert "rent of the flat" in answer.passages[0].text
            assert {hit.chunk.collection for hit in await both.search("rent")} == {"work", "home"}
            assert rag.loaded_model and {home.loaded_model, both.loaded_model} == {rag.loaded_model}
        with pytest.raises(NotFound):
            rag.beside(["office"])
        assert await rag.search("lamp"), "it goes on when the others are closed"
    assert [request["input"] for request in vectors.requests].count(["dimension"]) == 1
