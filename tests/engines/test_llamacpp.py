"""What is llama.cpp's own: its completion to the letter, no door to the network, a clean end."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from termrag.engines import Piece
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.engines.llamacpp_run import request_body
from termrag.errors import EngineFailed, ModelMissing
from termrag.records import Message, Sampling

from .running import run
from .tiny import TEMPLATE, write_tiny_gguf

QUESTION = [Message("system", "Be brief."), Message("user", "Name three rivers of Europe.")]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def tiny(tiny_gguf: Path) -> Iterator[LlamaCppEngine]:
    engine = LlamaCppEngine(tiny_gguf, model="tiny", context_tokens=1024)
    engine.load()
    yield engine
    engine.close()


def _own_completion(file: Path, **sampling: Any) -> tuple[str, int]:
    """Text and prompt length by llama.cpp itself: a server of its own, the plain blocking call."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(file), 1024, 1
    params.n_batch = params.n_ubatch = 256
    params.verbosity, params.warmup, params.ui = -1, False, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
    server = xllamacpp.Server(params)
    messages = [{"role": message.role, "content": message.content} for message in QUESTION]
    fixed = {"chat_template_kwargs": {"date_string": "26 Jul 2024"}, "top_k": 0, "min_p": 0.0, "top_p": 1.0}
    answer = server.handle_chat_completions({"messages": messages, **fixed, **sampling})
    return answer["choices"][0]["message"]["content"], answer["usage"]["prompt_tokens"]


@on_linux
def test_text_equals_llama_cpps_own_completion(tiny: LlamaCppEngine, tiny_gguf: Path):
    text, prompt_tokens = _own_completion(tiny_gguf, temperature=0, max_tokens=40)
    result = run(tiny, QUESTION, max_tokens=40)
    assert result.text == text
    assert result.usage.prompt_tokens == prompt_tokens


def test_a_greedy_answer_asks_for_the_likeliest_token_whatever_else_is_set(tiny: LlamaCppEngine):
    """`top_p` alone would put the vocabulary in order for each token: a tenth of the starter's speed."""
    plain, narrowed = (request_body(QUESTION, each) for each in (Sampling(), Sampling(top_p=0.5, top_k=9, min_p=0.2)))
    assert narrowed == plain
    assert run(tiny, QUESTION, max_tokens=40, top_p=0.5).text == run(tiny, QUESTION, max_tokens=40).text


@on_linux
def test_seeded_text_equals_llama_cpps_own_completion(tiny: LlamaCppEngine, tiny_gguf: Path):
    text, _ = _own_completion(tiny_gguf, temperature=0.9, seed=5, max_tokens=40, repeat_penalty=1.1)
    result = run(tiny, QUESTION, temperature=0.9, seed=5, max_tokens=40, repetition_penalty=1.1)
    assert result.text == text


@on_linux
@pytest.mark.model
def test_the_starters_text_equals_llama_cpps_own_completion(starter_gguf: Path):
    text, _ = _own_completion(starter_gguf, temperature=0, max_tokens=24)
    engine = LlamaCppEngine(starter_gguf, model="starter", context_tokens=1024)
    try:
        assert run(engine, QUESTION, max_tokens=24).text == text
    finally:
        engine.close()


def test_closing_between_two_batches_leaves_the_rest_unread(tiny: LlamaCppEngine):
    stream = tiny.stream([Message("user", "word " * 900)], Sampling(max_tokens=4))
    next(stream)
    stream.close()
    assert not _native_threads()
    assert run(tiny, QUESTION, max_tokens=4).usage.generated_tokens == 4


def test_a_second_conversation_does_not_cost_the_first_its_cache(tiny: LlamaCppEngine):
    first = [Message("user", "word " * 300)]
    run(tiny, first, max_tokens=2)
    run(tiny, [Message("user", "the " * 300)], max_tokens=2)
    assert run(tiny, first, max_tokens=2).usage.cached_tokens >= 300


@on_linux
def test_no_tcp_port_is_opened(tiny_gguf: Path):
    before = _listening()
    engine = LlamaCppEngine(tiny_gguf, model="tiny", context_tokens=512)
    try:
        run(engine, QUESTION, max_tokens=2)
        assert _listening() == before
    finally:
        engine.close()


def _listening() -> set[str]:
    """The TCP sockets of this process on which anybody may call."""
    own = {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and _exists(link)}
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    entries = [line.split() for lines in tables for line in lines]
    return {entry[9] for entry in entries if entry[3] == "0A" and f"socket:[{entry[9]}]" in own}


def test_the_socket_is_out_of_reach_for_others(tiny: LlamaCppEngine):
    folder = tiny._socket.parent  # type: ignore[union-attr]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    tiny.close()
    assert not folder.exists()


def test_a_long_temporary_folder_is_no_obstacle(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    engine = LlamaCppEngine(tiny_gguf, model="tiny", context_tokens=512)
    try:
        assert run(engine, QUESTION, max_tokens=2).usage.generated_tokens == 2
    finally:
        engine.close()


def test_the_window_is_no_longer_than_the_model_was_trained_for(tiny_gguf: Path):
    engine = LlamaCppEngine(tiny_gguf, model="tiny", context_tokens=100_000)
    engine.load()
    assert engine.context_length == 2048
    engine.close()


def test_an_answer_ends_at_the_end_of_the_window(tiny_gguf: Path):
    engine = LlamaCppEngine(tiny_gguf, model="tiny", context_tokens=512)
    question = [Message("user", "word " * 400)]
    try:
        result = run(engine, question, max_tokens=500)
        assert result.done.reason == "length"
        assert result.usage.prompt_tokens + result.usage.generated_tokens <= 513
    finally:
        engine.close()


def test_a_template_that_asks_for_the_time_gets_the_same_prompt_every_time(tiny: LlamaCppEngine):
    run(tiny, QUESTION, max_tokens=1)
    again = run(tiny, QUESTION, max_tokens=1)
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1


@pytest.mark.parametrize("cut", [0, 3, 20, 500, 9_000, -1])
def test_a_truncated_file_is_refused_in_words(tiny_gguf: Path, tmp_path: Path, cut: int):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(tiny_gguf.read_bytes()[:cut])
    with pytest.raises(EngineFailed) as caught:
        LlamaCppEngine(damaged, model="tiny", context_tokens=512).load()
    assert "damaged.gguf" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("junk", [b"not a model at all" * 10, b"GGUF" + b"\xff" * 200, b"GGUF\x09\0\0\0" + bytes(64)])
def test_a_file_that_is_no_model_is_refused_in_words(tmp_path: Path, junk: bytes):
    file = tmp_path / "junk.gguf"
    file.write_bytes(junk)
    with pytest.raises(EngineFailed, match=r"junk\.gguf"):
        LlamaCppEngine(file, model="junk", context_tokens=512).load()


def test_an_architecture_that_llama_cpp_does_not_know_is_refused_in_words(tmp_path: Path):
    file = write_tiny_gguf(tmp_path / "odd.gguf", general__architecture="nosuch")
    engine = LlamaCppEngine(file, model="odd", context_tokens=512)
    with pytest.raises(EngineFailed, match=r"odd\.gguf"):
        engine.load()
    with pytest.raises(EngineFailed, match=r"odd\.gguf"):
        run(engine, QUESTION)
    assert engine._socket is None


def test_messages_that_the_template_refuses_are_refused_in_words(tmp_path: Path):
    template = TEMPLATE + "{% if 'rivers' in messages[-1]['content'] %}{{ raise_exception('no rivers') }}{% endif %}"
    file = write_tiny_gguf(tmp_path / "strict.gguf", tokenizer__chat_template=template)
    engine = LlamaCppEngine(file, model="strict", context_tokens=512)
    try:
        with pytest.raises(EngineFailed):
            engine.count_tokens(QUESTION)
        with pytest.raises(EngineFailed):
            run(engine, QUESTION)
    finally:
        engine.close()


def test_a_missing_file_is_a_missing_model(tmp_path: Path):
    with pytest.raises(ModelMissing):
        LlamaCppEngine(tmp_path / "none.gguf", model="none", context_tokens=512).load()


@pytest.mark.parametrize(
    "ending",
    ["", "sys.exit(3)", "raise KeyboardInterrupt", "del stream, engine; import gc; gc.collect()", "engine.close()"],
)
def test_an_interpreter_may_exit_in_the_middle_of_an_answer(tiny_gguf: Path, ending: str):
    code = f"""
import sys
from pathlib import Path
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.records import Message, Sampling
engine = LlamaCppEngine(Path({str(tiny_gguf)!r}), model="tiny", context_tokens=2048)
stream = engine.stream([Message("user", "word")], Sampling(max_tokens=1900))
for _ in range(5):
    next(stream)
print(engine._socket.parent)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    expected = {"sys.exit(3)": 3, "raise KeyboardInterrupt": -2}.get(ending, 0)
    assert done.returncode == expected, done.stderr
    assert "FATAL" not in done.stderr
    assert not Path(done.stdout.strip()).exists()


def test_openmp_is_told_to_wait_quietly_unless_the_user_says_otherwise(tiny_gguf: Path):
    code = f"""
import os
from pathlib import Path
from termrag.engines.llamacpp import LlamaCppEngine
LlamaCppEngine(Path({str(tiny_gguf)!r}), model="tiny", context_tokens=512).load()
print(os.environ["GOMP_SPINCOUNT"])
"""

    def spin_count(**environ: str) -> str:
        clean = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=clean | environ, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stderr == ""
        return done.stdout.strip()

    assert (spin_count(), spin_count(GOMP_SPINCOUNT="7")) == ("60", "7")


def test_engines_that_are_freed_at_once_do_not_hang(tiny_gguf: Path):
    code = f"""
from pathlib import Path
from termrag.engines.llamacpp import LlamaCppEngine
for _ in range(12):
    engine = LlamaCppEngine(Path({str(tiny_gguf)!r}), model="tiny", context_tokens=512)
    engine.load()
    engine.close()
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n"


def test_pieces_are_dropped_by_no_slow_reader(tiny: LlamaCppEngine):
    fast = run(tiny, QUESTION, max_tokens=64).text
    slow, pause = "", threading.Event()
    for event in tiny.stream(QUESTION, Sampling(max_tokens=64)):
        pause.wait(0.002)
        slow += event.text if isinstance(event, Piece) else ""
    assert slow == fast


def _native_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "llamacpp"]


def _exists(link: Path) -> bool:
    try:
        link.readlink()
    except OSError:
        return False
    return True
