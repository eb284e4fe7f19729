"""The scripted engine says what it is told, and only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from termrag.engines import Piece
from termrag.engines.scripted import ScriptedEngine
from termrag.errors import ConfigError
from termrag.records import Message, Sampling

_QUESTION = [Message("user", "Say it.")]


def _say(engine: ScriptedEngine) -> str:
    return "".join(e.text for e in engine.stream(_QUESTION, Sampling()) if isinstance(e, Piece))


def _engine(script: str) -> ScriptedEngine:
    return ScriptedEngine(script, model="scripted", context_tokens=512)


def test_several_answers_come_in_order_and_the_last_repeats():
    engine = _engine("First.\n---\nSecond,\nin two lines.\n---\n  Third.  ")
    assert [_say(engine) for _ in range(4)] == ["First.", "Second,\nin two lines.", "  Third.  ", "  Third.  "]


def test_a_rule_within_a_line_separates_nothing():
    assert _say(_engine("a --- b\n----\nc")) == "a --- b\n----\nc"


def test_the_script_may_be_a_file(tmp_path: Path):
    file = tmp_path / "script.txt"
    file.write_text("Von Köln nach 東京.\n", encoding="utf-8")
    assert _say(_engine(f"@{file}")) == "Von Köln nach 東京."


def test_reloading_begins_the_script_again():
    engine = _engine("One.\n---\nTwo.")
    assert _say(engine) == "One."
    engine.close()
    assert _say(engine) == "One."


@pytest.mark.parametrize("script", ["", "---\n", "@/nowhere/script.txt"])
def test_without_a_script_nothing_is_invented(script: str):
    with pytest.raises(ConfigError) as caught:
        _engine(script).load()
    assert caught.value.hint
