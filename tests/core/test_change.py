"""Settings that change while the façade runs: models, sampling, the configuration file."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from termrag.config import Config, load_config
from termrag.errors import ConfigError
from termrag.events import Answered, Loading, Token
from termrag.rag import Rag
from termrag.records import Answer


def scripted(says: str, **generation: object) -> Config:
    return Config().with_values({"models": {"engine": "scripted", "script": says}, "generation": generation}, "test")


async def said(rag: Rag) -> Answer:
    events = [event async for event in rag.ask("Anything?", general=True)]
    assert isinstance(events[-1], Answered)
    return events[-1].answer


async def test_a_changed_model_answers_from_the_next_question_on():
    async with Rag(scripted("The old model speaks.")) as rag:
        assert (await said(rag)).text == "The old model speaks."
        await rag.change("models", "script", "The new model speaks.", save=False)
        assert (await said(rag)).text == "The new model speaks."


async def test_an_answer_in_hand_ends_on_the_model_it_began_with():
    async with Rag(scripted("One two three four five six seven.")) as rag:
        text = []
        async with aclosing(rag.ask("Anything?", general=True)) as events:
            async for event in events:
                if isinstance(event, Token):
                    text.append(event.text)
                    if len(text) == 1:
                        await rag.change("models", "script", "Another voice.", save=False)
                        await rag.unload_models()
        assert "".join(text) == "One two three four five six seven."
        assert (await said(rag)).text == "Another voice."


async def test_models_that_were_unloaded_are_loaded_again_by_the_next_question():
    async with Rag(scripted("Here again.")) as rag:
        await said(rag)
        await rag.unload_models()
        events = [event async for event in rag.ask("Anything?", general=True)]
        assert any(isinstance(event, Loading) for event in events)


async def test_a_setting_is_kept_in_the_file_unless_told_otherwise():
    async with Rag(scripted("Fine.")) as rag:
        await rag.change("generation", "max_tokens", 2)
        await rag.change("generation", "temperature", 0.4, save=False)
        file: Path = rag.paths.config_file
        assert load_config(file, {}).generation.max_tokens == 2
        assert "temperature" not in file.read_text(encoding="utf-8")
        assert (rag.config.generation.max_tokens, rag.config.generation.temperature) == (2, 0.4)


async def test_a_setting_that_cannot_be_changes_nothing():
    async with Rag(scripted("Fine.")) as rag:
        with pytest.raises(ConfigError, match="at most 5"):
            await rag.change("generation", "temperature", 9.0)
        assert rag.config.generation.temperature == 0.0
        assert not rag.paths.config_file.exists()
