"""Several questions at once through the façade: interleaved, each with its own answer, and the rest wait their turn."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from embedding_endpoint import served
from engines.tiny import write_tiny_gguf
from termrag.config import Config
from termrag.events import Answered, Token
from termrag.paths import Paths, default_paths
from termrag.rag import Rag
from termrag.records import Answer, Message, Sampling

Open = Callable[..., Awaitable[Rag]]


@pytest.fixture
async def open_rag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    monkeypatch.setenv("TERMRAG_HOME", str(tmp_path / "home"))
    paths: Paths = default_paths()
    async with AsyncExitStack() as stack:

        async def begin(slots: int, **models: Any) -> Rag:
            config = Config().with_values({"models": models}, "test")
            rag = await stack.enter_async_context(Rag(config, paths))
            rag.write_at_once(slots)
            return rag

        yield begin


async def ask(rag: Rag, question: str, order: list[str], tokens: int = 16, **options: Any) -> Answer:
    events = rag.ask(question, general=True, sampling=Sampling(max_tokens=tokens), **options)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Token):
                order.append(question)
            if isinstance(event, Answered):
                return event.answer
    raise AssertionError("no answer")


async def test_answers_at_once_are_interleaved(open_rag: Open) -> None:
    says = " ".join(map(str, range(40)))
    rag = await open_rag(3, engine="scripted", script=says, script_tokens_per_s=200.0)
    order: list[str] = []
    answers = await asyncio.gather(*(ask(rag, each, order, 400) for each in "abc"))
    assert {answer.text for answer in answers} == {says}
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > len(order) / 2


async def test_more_than_there_are_slots_wait_and_are_whole(open_rag: Open) -> None:
    says = " ".join(map(str, range(30)))
    rag = await open_rag(1, engine="scripted", script=says, script_tokens_per_s=1000.0)
    order: list[str] = []
    answers = await asyncio.gather(*(ask(rag, each, order, 400) for each in "abcd"))
    assert {answer.text for answer in answers} == {says}
    assert order == sorted(order, key=order.index)  # one after the other


async def test_a_search_by_words_does_not_wait_for_one_that_waits_for_its_vector(
    open_rag: Open, tmp_path: Path
) -> None:
    (tmp_path / "lamp.md").write_text("The lamp is lit at dusk.")
    with served() as endpoint:
        config = Config().with_values({"models": {"embedding": "openai:tiny"}, "openai": {"url": endpoint.url}}, "test")
        async with Rag(config, default_paths()) as rag:
            async for _ in rag.ingest([tmp_path / "lamp.md"], wait=True):
                pass
            before = len(endpoint.requests)
            endpoint.free.clear()
            held = asyncio.create_task(rag.search("who lights the lamp"))
            while len(endpoint.requests) == before:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(15):
                assert len(await rag.search("lamp", mode="text")) == 1
            assert not held.done()
            endpoint.free.set()
            assert len(await held) == 1


async def test_other_work_of_the_models_does_not_wait_for_the_next_token(open_rag: Open) -> None:
    rag = await open_rag(1, engine="scripted", script="one two three", script_tokens_per_s=0.05)
    waits = asyncio.create_task(ask(rag, "Count.", [], 400))
    while rag.loaded_model is None:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(15):
        await rag.unload_models()
    assert not waits.done()
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits


async def test_one_that_is_left_makes_room_for_the_next(open_rag: Open) -> None:
    rag = await open_rag(1, engine="scripted", script=" ".join(map(str, range(500))), script_tokens_per_s=100.0)
    order: list[str] = []
    first = asyncio.create_task(ask(rag, "first", order, 900))
    while not order:
        await asyncio.sleep(0.01)
    waits = asyncio.create_task(ask(rag, "waits", order, 900))
    third = asyncio.create_task(ask(rag, "third", order, 4))
    await asyncio.sleep(0.05)
    for task in (waits, first):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    answer = await third
    assert answer.usage.generated_tokens == 4
    assert "waits" not in order


@pytest.mark.parametrize("engine", ["llamacpp", "mlx"])
async def test_conversations_at_once_keep_their_own_caches(open_rag: Open, tmp_path: Path, engine: str) -> None:
    """Each answer is what the conversation alone would have brought, and each second turn finds its first read."""
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    model = file
    if engine == "mlx":
        from termrag.engines.gguf import convert_gguf

        model = tmp_path / "tiny-mlx"
        convert_gguf(file, model)
    settings = {"engine": engine, "chat": str(model), "context_tokens": 1024}
    questions = [f"the system number {number} of the user " * 6 for number in range(5)]

    async def talk(rag: Rag, at_once: bool) -> list[tuple[Answer, Answer]]:
        async def one(question: str) -> tuple[Answer, Answer]:
            session = (await rag.start_session()).id
            first = await ask(rag, question, [], session=session)
            return first, await ask(rag, "and the word?", [], session=session)

        if at_once:
            return list(await asyncio.gather(*map(one, questions)))
        return [await one(question) for question in questions]

    alone = await talk(await open_rag(1, **settings), at_once=False)
    beside = await talk(await open_rag(3, **settings), at_once=True)
    for expected, found in zip(alone, beside, strict=True):
        assert [each.text for each in found] == [each.text for each in expected]
        assert found[1].usage.prompt_tokens == expected[1].usage.prompt_tokens


async def test_a_follow_up_without_a_session_goes_where_it_was_read(open_rag: Open, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    rag = await open_rag(2, engine="llamacpp", chat=str(file), context_tokens=1024)
    questions = ["the system of the user " * 20, "on a word in the " * 20]
    first = await asyncio.gather(*(ask(rag, question, []) for question in questions))
    for question, answer in zip(questions, first, strict=True):
        history = [Message("user", question), Message("assistant", answer.text)]
        again = await ask(rag, "and the word?", [], history=history)
        assert again.usage.cached_tokens > answer.usage.prompt_tokens / 2
