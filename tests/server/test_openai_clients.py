"""OpenAI's own client and `llm` against the server: answers, streams, citations, models, embeddings, errors."""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from server.conftest import SAYS, Served, Start

QUESTION = "How much oil does the lamp burn?"
TWO = "The lamp of Korrin burns 40 litres of oil a week. It was painted purple in 1850. The keeper trims the wick."


@asynccontextmanager
async def openai_client(served: Served, *scopes: str) -> AsyncIterator[AsyncOpenAI]:
    key = served.keys.create("openai", scopes or ("ask",))[1]
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def test_a_completion_carries_what_it_rests_on(served: Served) -> None:
    async with openai_client(served) as client:
        done = await client.chat.completions.create(model="termrag", messages=user(QUESTION))
    (choice,) = done.choices
    assert choice.message.content == "The lamp of Korrin burns 40 litres of oil a week. [1]"
    assert choice.finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0
    assert done.model_extra is not None
    grounds = done.model_extra["termrag"]
    assert grounds["verdict"] == "grounded"
    assert grounds["citations"][0]["place"].startswith("lamp.md")
    assert grounds["sentences"][0]["support"] == "supported"


async def test_cached_tokens_are_told(served: Served) -> None:
    async with openai_client(served) as client:
        for _ in range(2):
            done = await client.chat.completions.create(model="termrag", messages=user(QUESTION))
    assert done.usage is not None
    assert done.usage.prompt_tokens_details is not None
    assert done.usage.prompt_tokens_details.cached_tokens == done.usage.prompt_tokens - 1


async def test_a_stream_joins_to_the_whole_and_ends_with_the_citations(start: Start) -> None:
    served = await start(TWO)
    async with openai_client(served) as client:
        whole = await client.chat.completions.create(model="termrag", messages=user(QUESTION))
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="termrag", messages=user(QUESTION), stream=True, stream_options={"include_usage": True}
            )
        ]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert "[1]" in text
    assert "[?]" in text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-2].model_extra or {})["termrag"]["verdict"] == "partial"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens  # type: ignore[union-attr]
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 5


async def test_what_is_not_in_the_documents_is_said_so(start: Start) -> None:
    served = await start()
    await served.rag.change("retrieval", "gate", 1.0, save=False)
    async with openai_client(served) as client:
        asked: dict[str, Any] = {"model": "termrag", "messages": user("Who won the chess tournament in Reykjavik?")}
        whole = await client.chat.completions.create(**asked)
        pieces = [
            chunk.choices[0].delta.content or ""
            async for chunk in await client.chat.completions.create(**asked, stream=True)
        ]
    assert (whole.choices[0].message.content or "").startswith("Not in your documents: ")
    assert "".join(pieces) == whole.choices[0].message.content
    assert (whole.model_extra or {})["termrag"]["verdict"] == "not_found"


async def test_the_chat_model_answers_alone_with_the_clients_own_instructions(served: Served) -> None:
    name = served.rag.config.models.chat
    async with openai_client(served) as client:
        plain = await client.chat.completions.create(model=name, messages=user("Hello."))
        told = await client.chat.completions.create(
            model=name,
            messages=[
                {"role": "system", "content": "Speak like the keeper of a lighthouse. " * 5},
                {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Good evening."},
                {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "now?"}]},
            ],
        )
    assert plain.choices[0].message.content == SAYS
    assert (plain.model_extra or {})["termrag"]["verdict"] == "general"
    lines = {line["part"] for line in (told.model_extra or {})["termrag"]["budget"]["lines"]}
    assert any("turn" in part for part in lines), lines
    (instructions,) = [
        line["tokens"]
        for line in (told.model_extra or {})["termrag"]["budget"]["lines"]
        if line["part"] == "instructions"
    ]
    assert instructions > 40


async def test_sampling_is_passed_on(start: Start) -> None:
    served = await start("one two three four five six seven eight")
    name = served.rag.config.models.chat
    async with openai_client(served) as client:
        short = await client.chat.completions.create(model=name, messages=user("Count."), max_completion_tokens=3)
        stopped = await client.chat.completions.create(model=name, messages=user("Count."), stop=[" six"], seed=-7)
        huge = await client.chat.completions.create(model=name, messages=user("Count."), max_tokens=1_000_000)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("one two three", "length")
    assert stopped.choices[0].message.content == "one two three four five"
    assert huge.choices[0].finish_reason == "stop"


async def test_a_client_that_leaves_the_stream_stops_the_compute(start: Start) -> None:
    served = await start(" ".join(map(str, range(800))), concurrent=1, queue=0)
    name = served.rag.config.models.chat
    async with openai_client(served) as client:
        async with await client.chat.completions.create(
            model=name, messages=user("Count."), stream=True, max_tokens=3000
        ) as stream:
            async for _ in stream:
                break
        for _ in range(100):
            try:
                await client.chat.completions.create(model=name, messages=user("Again."), max_tokens=1)
                return
            except openai.RateLimitError as error:
                assert error.response.headers["Retry-After"]
                await asyncio.sleep(0.02)
    raise AssertionError("the answer nobody reads is still being written")


async def test_a_server_that_stops_says_so_in_the_stream(start: Start) -> None:
    served = await start(" ".join(map(str, range(3000))), concurrent=1, queue=400)
    name = served.rag.config.models.chat
    begun = asyncio.Event()

    async def follow(client: AsyncOpenAI, number: int) -> str:
        asked = client.chat.completions.create(
            model=name, messages=user(f"Count {number}."), stream=True, max_tokens=3000
        )
        try:
            async for _ in await asked:
                begun.set()
        except openai.APIError as error:
            return str(error)
        return "done"

    async with openai_client(served) as client:
        streams = [asyncio.create_task(follow(client, number)) for number in range(150)]
        await begun.wait()
        await served.stop()
        said = set(await asyncio.gather(*streams))
    assert any("the answer was stopped" in each for each in said)
    assert not [each for each in said if each != "done" and "the answer was stopped" not in each], said


async def test_models_are_listed(served: Served) -> None:
    async with openai_client(served, "read") as client:
        names = [model.id async for model in client.models.list()]
        assert names == ["termrag", "termrag:default", served.rag.config.models.chat, "openai:tiny"]
        assert (await client.models.retrieve("termrag")).owned_by == "termrag"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-9")


async def test_embeddings_come_as_numbers_and_as_base64(served: Served) -> None:
    async with openai_client(served) as client:
        one = await client.embeddings.create(model="openai:tiny", input="The lamp.", encoding_format="float")
        many = await client.embeddings.create(model="termrag", input=["The lamp.", "The keeper."])
    assert len(many.data) == 2
    assert many.data[0].embedding == pytest.approx(one.data[0].embedding)
    assert sum(number * number for number in one.data[0].embedding) == pytest.approx(1)
    assert one.usage.prompt_tokens > 0
    body = {"model": "termrag", "input": "The lamp.", "encoding_format": "base64"}
    async with served.client("ask") as raw, raw.post("/v1/embeddings", json=body) as response:
        import base64

        data = base64.b64decode((await response.json())["data"][0]["embedding"])
    assert struct.unpack(f"<{len(data) // 4}f", data) == pytest.approx(one.data[0].embedding)


async def test_a_collection_is_a_model_that_answers_from_its_documents_alone(served: Served, tmp_path: Path) -> None:
    config = served.rag.config  # a collection knows what is in the files
    for section, key in (("models", "engine"), ("models", "script"), ("models", "embedding"), ("openai", "url")):
        await served.rag.change(section, key, getattr(getattr(config, section), key))
    await served.rag.change("retrieval", "gate", 0.0)
    await served.rag.create_collection("work")
    note = tmp_path / "work" / "crane.md"
    note.parent.mkdir()
    note.write_text("# The crane\n\nThe crane of Korrin lifts 900 kilos.\n")
    beside = served.rag.beside(["work"])
    async for _ in beside.ingest([note], wait=True):
        pass
    await beside.__aexit__(None, None, None)
    async with openai_client(served) as client:
        assert {"termrag", "termrag:default", "termrag:work"} <= {each.id async for each in client.models.list()}
        found = {}
        for name in ("termrag:work", "termrag:default"):
            answer = await client.chat.completions.create(model=name, messages=user("What does Korrin have?"))
            found[name] = {line["part"] for line in (answer.model_extra or {})["termrag"]["budget"]["lines"]}
    assert "crane.md" in str(found["termrag:work"]) and "lamp.md" not in str(found["termrag:work"])
    assert "lamp.md" in str(found["termrag:default"]) and "crane.md" not in str(found["termrag:default"])


async def test_errors_are_those_that_the_client_knows(served: Served) -> None:
    async with openai_client(served, "read") as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model="termrag", messages=user("x"))
    async with openai_client(served) as client:
        with pytest.raises(openai.NotFoundError, match="no model gpt-9"):
            await client.chat.completions.create(model="gpt-9", messages=user("x"))
        with pytest.raises(openai.NotFoundError, match="no collection work"):
            await client.chat.completions.create(model="termrag:work", messages=user("x"), stream=True)
        for bad in ({"messages": []}, {"n": 2}, {"temperature": -1}, {"response_format": {"type": "json_object"}}):
            asked: dict[str, Any] = {"model": "termrag", "messages": user("x"), **bad}
            with pytest.raises(openai.BadRequestError):
                await client.chat.completions.create(**asked)
        with pytest.raises(openai.BadRequestError, match="image_url cannot be read"):
            image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
            await client.chat.completions.create(model="termrag", messages=[{"role": "user", "content": [image]}])  # type: ignore[list-item,misc]
        with pytest.raises(openai.BadRequestError) as long:
            await client.chat.completions.create(model=served.rag.config.models.chat, messages=user("word " * 90_000))
        assert long.value.code == "context_length_exceeded"
        # Fields that mean nothing here do no harm.
        await client.chat.completions.create(
            model="termrag", messages=user("x"), presence_penalty=0.5, user="ann", extra_body={"colour": "red"}
        )
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.models.list()
    assert refused.value.code == "invalid_api_key"
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["request_id"] == refused.value.response.headers["X-Request-ID"]


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["streamed", "at once"])
async def test_llm_answers_from_the_documents(served: Served, tmp_path: Path, options: list[str]) -> None:
    folder = tmp_path / "llm"
    folder.mkdir()
    entry = f"- model_id: mine\n  model_name: termrag\n  api_base: {served.url}/v1\n  api_key_name: termrag\n"
    (folder / "extra-openai-models.yaml").write_text(entry)
    key = served.keys.create("llm", ("ask",))[1]
    command = [sys.executable, "-m", "llm", "prompt", "-m", "mine", "--key", key, *options, QUESTION]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LLM_USER_PATH": str(folder)},
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complained.decode()
    assert said.decode().strip() == "The lamp of Korrin burns 40 litres of oil a week. [1]"
