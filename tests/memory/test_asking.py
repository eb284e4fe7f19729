"""Follow-ups and memory through the façade: what is searched, what is remembered, what is read only once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedding_endpoint import Endpoint
from termrag.config import Config
from termrag.events import Answered, AskEvent, Refused, Retrieved, Searching
from termrag.models import Shelf
from termrag.paths import default_paths
from termrag.rag import Rag
from termrag.records import Answer, Message, Passage

SAMPLES = Path(__file__).parents[1] / "samples"
FOLLOWUPS: list[dict[str, Any]] = tomllib.loads((SAMPLES / "questions.toml").read_text(encoding="utf-8"))["followup"]


def config(says: str, **sections: dict[str, Any]) -> Config:
    values: dict[str, dict[str, Any]] = {"models": {"engine": "scripted", "script": says}}
    for section, table in sections.items():
        values.setdefault(section, {}).update(table)
    return Config().with_values(values, "test")


@pytest.fixture
async def words_only(endpoint: Endpoint) -> AsyncIterator[Rag]:
    """The samples in a library whose vectors mean little: words find what is found."""
    settings = config("x", models={"embedding": "openai:words"}, openai={"url": endpoint.url}, retrieval={"gate": 0.0})
    async with Rag(settings) as rag:
        async for _ in rag.ingest([SAMPLES], wait=True):
            pass
        yield rag


@dataclass
class Asked:
    query: str = ""
    passages: tuple[Passage, ...] = ()
    refused: bool = False
    answer: Answer | None = None

    def take(self, event: AskEvent) -> None:
        match event:
            case Searching(query):
                self.query = query
            case Retrieved(passages):
                self.passages = passages
            case Refused():
                self.refused = True
            case Answered(answer):
                self.answer = answer
            case _:
                pass


async def ask(rag: Rag, question: str, **options: Any) -> Asked:
    asked = Asked()
    async for event in rag.ask(question, **options):
        asked.take(event)
    return asked


async def followed(rag: Rag, entry: dict[str, Any]) -> Asked:
    """The follow-up in a conversation in which the question before it was answered as the table says."""
    await rag.change("models", "script", entry["said"], save=False)
    session = (await rag.start_session()).id
    await ask(rag, entry["before"], session=session)
    return await ask(rag, entry["ask"], session=session)


def holds(asked: Asked, entry: dict[str, Any]) -> bool:
    """Whether a passage of the right document holds the facts."""
    documents = {entry["document"], *entry.get("also", ())}
    return any(
        Path(passage.path).name in documents and all(bare(fact) in bare(passage.text) for fact in entry["facts"])
        for passage in asked.passages
    )


def bare(text: str) -> str:
    return re.sub(r"\s", "", text).lower()


@pytest.mark.model
async def test_follow_ups_of_the_samples_find_what_answers_them(shelf: Shelf) -> None:
    models = default_paths().models
    models.parent.mkdir(parents=True)
    models.symlink_to(shelf.folder)
    async with Rag(config("x")) as rag:
        async for _ in rag.ingest([SAMPLES], wait=True):
            pass
        missed = [e["means"] for e in FOLLOWUPS if (a := await followed(rag, e)).refused or not holds(a, e)]
        as_typed = [holds(await ask(rag, entry["ask"]), entry) for entry in FOLLOWUPS[:12]]
    assert len(missed) <= 3, missed
    assert sum(as_typed) < len(as_typed)


async def test_words_alone_find_most_of_them(words_only: Rag) -> None:
    entries = FOLLOWUPS[::2]
    missed = [entry["means"] for entry in entries if not holds(await followed(words_only, entry), entry)]
    assert len(missed) <= len(entries) // 5, missed


async def test_the_question_is_put_as_typed_and_searched_as_meant(words_only: Rag) -> None:
    asked = await followed(words_only, FOLLOWUPS[0])
    assert asked.query == FOLLOWUPS[0]["means"]
    assert asked.answer is not None
    assert asked.answer.question == FOLLOWUPS[0]["ask"]
    assert asked.answer.budget is not None
    assert "1 turn in full" in [line.part for line in asked.answer.budget.lines]


async def test_other_conversations_are_remembered_only_where_asked(words_only: Rag) -> None:
    first = (await words_only.start_session()).id
    await words_only.change("models", "script", "The spare key hangs behind the tide table.", save=False)
    await ask(words_only, "Where does the spare key of the harbour office hang?", session=first)

    async def recalled(**options: Any) -> bool:
        second = (await words_only.start_session()).id
        asked = await ask(words_only, "Who may take the spare key of the office?", session=second, **options)
        assert asked.answer is not None
        assert asked.answer.budget is not None
        return any("recalled" in line.part for line in asked.answer.budget.lines)

    assert not await recalled()
    assert await recalled(recall=True)
    await words_only.change("sessions", "recall", True, save=False)
    assert await recalled()
    for each in await words_only.sessions():
        await words_only.delete_session(each.id)
    assert not await recalled()


async def test_messages_that_come_with_a_question_are_a_conversation_too(words_only: Rag) -> None:
    history = [Message("user", "What does fault code E3 mean?"), Message("assistant", "E3 is an aerial fault.")]
    assert (await ask(words_only, "And E5?", history=history)).query == "What does fault code E5 mean?"


@pytest.mark.model
async def test_a_resumed_conversation_is_not_read_again(shelf: Shelf) -> None:
    models = default_paths().models
    models.parent.mkdir(parents=True)
    models.symlink_to(shelf.folder)
    settings = config("", models={"engine": "llamacpp", "chat": "smollm2-135m"}, generation={"max_tokens": 24})
    letter = " ".join(f"Lamp {number} burns {number * 3} litres of oil." for number in range(40))
    async with Rag(settings) as rag:
        session = (await rag.start_session()).id
        await ask(rag, f"Remember this: {letter}", session=session, general=True)
    async with Rag(settings) as rag:
        resumed = await ask(rag, "Which lamp burns most?", session=session, general=True)
        other = await ask(rag, "Which lamp burns most?", general=True)
    assert resumed.answer is not None
    assert other.answer is not None
    assert resumed.answer.usage.cached_tokens >= 0.9 * resumed.answer.usage.prompt_tokens
    assert other.answer.usage.cached_tokens < 60
    assert (await deleted(settings, session)) == []


async def deleted(settings: Config, session: str) -> list[Path]:
    """What is left on disk of what was read of a conversation, once it is deleted."""
    folder = default_paths().prefixes
    assert len(list(folder.glob("*.kv"))) == 1
    async with Rag(settings) as rag:
        await rag.delete_session(session)
    return list(folder.iterdir())
