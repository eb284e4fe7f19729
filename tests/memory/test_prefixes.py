"""What a model has read of a conversation is on disk for the next process: the same answer, sooner, and never for
another model. Both local engines, on a tiny model of random weights."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.tiny import write_tiny_gguf
from termrag.engines import Done, Engine, KeepsPrefix, Piece
from termrag.engines.gguf import convert_gguf
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.engines.mlx import MLXEngine
from termrag.prefixes import Prefixes
from termrag.records import Message, Sampling, Usage

LIMIT = 64 << 20
WORDS = "the system of the user and the system on a word in the system "
SESSION = [
    Message("system", "Answer."),
    Message("user", WORDS * 12),
    Message("assistant", "the word"),
    Message("user", "and the system?"),
]

Open = Callable[[], Engine]


@pytest.fixture(params=["llamacpp", "mlx"])
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    opened: list[Engine] = []
    if request.param == "mlx":
        convert_gguf(file, tmp_path / "tiny")

    def make() -> Engine:
        engine: Engine
        if request.param == "llamacpp":
            engine = LlamaCppEngine(file, model="tiny", context_tokens=2048, threads=1)
        else:
            engine = MLXEngine(tmp_path / "tiny", model="tiny", context_tokens=2048)
        engine.load()
        opened.append(engine)
        return engine

    yield make
    for each in opened:
        each.close()


def answer(engine: Engine, messages: list[Message]) -> tuple[str, Usage]:
    text, usage = "", Usage()
    for event in engine.stream(messages, Sampling(max_tokens=6)):
        match event:
            case Piece(piece):
                text += piece
            case Done(usage=used):
                usage = used
    return text, usage


def test_a_closed_conversation_goes_on_where_it_was(open_engine: Open, tmp_path: Path) -> None:
    prefixes, engine = Prefixes(tmp_path / "kept", LIMIT), open_engine()
    prefixes.turn_to(engine, "one")
    answer(engine, SESSION)
    warm = answer(engine, SESSION)
    prefixes.put_away(engine)
    engine.close()
    resumed, later = Prefixes(tmp_path / "kept", LIMIT), open_engine()
    resumed.turn_to(later, "one")
    text, usage = answer(later, SESSION)
    assert text == warm[0]
    assert usage.cached_tokens == usage.prompt_tokens - 1


def test_its_files_are_for_this_user_alone(open_engine: Open, tmp_path: Path) -> None:
    put_away(open_engine(), tmp_path / "kept", "one")
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    files = list((tmp_path / "kept").iterdir())
    assert sorted(file.suffix for file in files) == [".json", ".kv"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_changed_model_reads_all_anew(open_engine: Open, tmp_path: Path) -> None:
    put_away(open_engine(), tmp_path / "kept", "one")
    for file in (tmp_path / "tiny.gguf", *tmp_path.glob("tiny/model*.safetensors")):
        os.utime(file, (1, 1))
    engine = open_engine()
    Prefixes(tmp_path / "kept", LIMIT).turn_to(engine, "one")
    assert answer(engine, SESSION)[1].cached_tokens == 0
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("harm", ["one byte", "cut", "slip"])
def test_a_damaged_file_is_not_believed(open_engine: Open, tmp_path: Path, harm: str) -> None:
    put_away(open_engine(), tmp_path / "kept", "one")
    (file,) = (tmp_path / "kept").glob("*.kv")
    content = bytearray(file.read_bytes())
    if harm == "one byte":
        content[len(content) // 2] ^= 1
    elif harm == "cut":
        content = content[:-100]
    else:
        file.with_suffix(".json").write_text(json.dumps([1]))
    file.write_bytes(content)
    engine = open_engine()
    Prefixes(tmp_path / "kept", LIMIT).turn_to(engine, "one")
    assert answer(engine, SESSION)[1].cached_tokens == 0


def test_another_beginning_is_answered_as_without_the_file(open_engine: Open, tmp_path: Path) -> None:
    other = [Message("system", "Answer."), Message("user", "on a word " * 40)]
    expected, _ = answer(open_engine(), other)
    put_away(open_engine(), tmp_path / "kept", "one")
    engine = open_engine()
    Prefixes(tmp_path / "kept", LIMIT).turn_to(engine, "one")
    assert answer(engine, other)[0] == expected


def test_a_forgotten_conversation_leaves_nothing(open_engine: Open, tmp_path: Path) -> None:
    prefixes, engine = Prefixes(tmp_path / "kept", LIMIT), open_engine()
    prefixes.turn_to(engine, "one")
    answer(engine, SESSION)
    prefixes.put_away(engine)
    prefixes.turn_to(engine, "one")
    prefixes.forget("one")
    prefixes.put_away(engine)
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_is_not_kept_leaves_no_file(open_engine: Open, tmp_path: Path) -> None:
    put_away(open_engine(), tmp_path / "kept", "")
    assert not (tmp_path / "kept").exists()


def test_conversations_take_turns_and_each_finds_its_own(open_engine: Open, tmp_path: Path) -> None:
    prefixes, engine = Prefixes(tmp_path / "kept", LIMIT), open_engine()
    long = [SESSION[0], Message("user", WORDS * 30)]
    other = [SESSION[0], Message("user", "on a word in " * 150)]
    for name, messages in (("one", long), ("two", other), ("one", long), ("two", other)):
        prefixes.turn_to(engine, name)
        _, usage = answer(engine, messages)
    assert usage.cached_tokens == usage.prompt_tokens - 1


def test_the_least_used_give_way(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    for name in ("one", "two", "three"):
        put_away(engine, tmp_path / "kept", name)
        for file in (tmp_path / "kept").glob("*.kv"):
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 10**9))
    sizes = [file.stat().st_size for file in (tmp_path / "kept").glob("*.kv")]
    assert len(sizes) == 3
    put_away(engine, tmp_path / "kept", "four", limit=2 * max(sizes))
    kept = {file.name for file in (tmp_path / "kept").glob("*.kv")}
    assert len(kept) == 2
    before = {file: file.stat() for file in (tmp_path / "kept").iterdir()}
    Prefixes(tmp_path / "kept", LIMIT).turn_to(engine, "four")
    assert {file: file.stat().st_size for file in before} == {file: about.st_size for file, about in before.items()}


def test_none_are_kept_where_the_limit_is_nothing(open_engine: Open, tmp_path: Path) -> None:
    put_away(open_engine(), tmp_path / "kept", "one", limit=0)
    assert not (tmp_path / "kept").exists()


def test_both_engines_can(open_engine: Open) -> None:
    assert isinstance(open_engine(), KeepsPrefix)


def put_away(engine: Engine, folder: Path, session_id: str, limit: int = LIMIT) -> None:
    prefixes = Prefixes(folder, limit)
    prefixes.turn_to(engine, session_id)
    answer(engine, SESSION)
    prefixes.put_away(engine)
