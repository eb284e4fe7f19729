"""What is MLX's own: equal to mlx-lm token for token, a cache that is right after every way to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from termrag.engines import Piece, Prefill
from termrag.engines.gguf import convert_gguf
from termrag.engines.mlx import MLXEngine
from termrag.errors import EngineFailed, ModelMissing
from termrag.records import Message, Sampling

from .running import run
from .tiny import TEMPLATE, write_tiny_gguf

QUESTION = [Message("system", "Be brief."), Message("user", "Name three rivers of Europe.")]
STEP = 16


@pytest.fixture(scope="module")
def tiny(tiny_mlx: Path) -> Iterator[MLXEngine]:
    engine = MLXEngine(tiny_mlx, model="tiny", context_tokens=1024, step_tokens=STEP)
    engine.load()
    yield engine
    engine.close()


def _own_text(engine: MLXEngine, messages: list[Message], max_tokens: int, **options: Any) -> tuple[str, int]:
    """Text and number of tokens by mlx-lm itself, on a cache of its own."""
    from mlx_lm import stream_generate

    plain = [{"role": message.role, "content": message.content} for message in messages]
    ids = engine._tokenizer.apply_chat_template(plain, add_generation_prompt=True, date_string="26 Jul 2024")
    options = {"prefill_step_size": STEP, **options}
    responses = list(stream_generate(engine._model, engine._tokenizer, ids, max_tokens, **options))
    return "".join(response.text for response in responses), responses[-1].generation_tokens


@pytest.mark.parametrize("max_tokens", [1, 2, 60])
def test_text_equals_mlx_lms_own(tiny: MLXEngine, max_tokens: int):
    result = run(tiny, QUESTION, max_tokens=max_tokens)
    assert (result.text, result.usage.generated_tokens) == _own_text(tiny, QUESTION, max_tokens)


def test_text_with_a_reused_prompt_equals_mlx_lms_own_without(tiny: MLXEngine):
    first = run(tiny, QUESTION, max_tokens=12)
    second_turn = [*QUESTION, Message("assistant", first.text), Message("user", "the word system 123")]
    second = run(tiny, second_turn, max_tokens=40)
    assert second.usage.cached_tokens > first.usage.prompt_tokens
    assert second.text == _own_text(tiny, second_turn, 40)[0]


def test_sampled_text_equals_mlx_lms_own(tiny: MLXEngine):
    import mlx.core as mx
    from mlx_lm.sample_utils import make_logits_processors, make_sampler

    result = run(
        tiny, QUESTION, max_tokens=40, seed=3, temperature=0.8, top_p=0.9, top_k=30, min_p=0.02, repetition_penalty=1.4
    )
    mx.random.seed(3)
    own, _ = _own_text(
        tiny,
        QUESTION,
        40,
        sampler=make_sampler(0.8, 0.9, 0.02, top_k=30),
        logits_processors=make_logits_processors(repetition_penalty=1.4, repetition_context_size=64),
    )
    assert result.text == own


def test_the_repetition_penalty_looks_back_on_the_prompt_as_mlx_lms_own(tiny: MLXEngine):
    from mlx_lm.sample_utils import make_logits_processors

    run(tiny, QUESTION, max_tokens=1)  # the prompt now comes from the cache
    result = run(tiny, QUESTION, max_tokens=30, repetition_penalty=2.0)
    penalty = make_logits_processors(repetition_penalty=2.0, repetition_context_size=64)
    assert result.text == _own_text(tiny, QUESTION, 30, logits_processors=penalty)[0]


@pytest.mark.model
def test_the_starters_text_equals_mlx_lms_own(starter_mlx: Path):
    engine = MLXEngine(starter_mlx, model="starter", context_tokens=1024, step_tokens=STEP)
    try:
        result = run(engine, QUESTION, max_tokens=24)
        assert (result.text, result.usage.generated_tokens) == _own_text(engine, QUESTION, 24)
    finally:
        engine.close()


def test_closing_in_the_prompt_keeps_the_steps_already_done(tiny: MLXEngine):
    question = [Message("user", "the user 123 " * 60)]
    stream = tiny.stream(question, Sampling(max_tokens=8))
    done = [event.done for event in (next(stream), next(stream), next(stream)) if isinstance(event, Prefill)]
    stream.close()
    assert done[2] - done[1] == done[1] - done[0] == STEP
    after = run(tiny, question, max_tokens=8)
    assert after.usage.cached_tokens == done[2]
    assert after.text == _own_text(tiny, question, 8)[0]


def test_closing_while_decoding_keeps_a_true_cache(tiny: MLXEngine):
    for pieces in (1, 2, 7):
        stream = tiny.stream(QUESTION, Sampling(max_tokens=60))
        for _ in range(pieces):
            next(event for event in stream if isinstance(event, Piece))
        stream.close()
        assert tiny._cache[0].offset == len(tiny._cached_ids)
        assert run(tiny, QUESTION, max_tokens=20).text == _own_text(tiny, QUESTION, 20)[0]


def test_a_stop_string_keeps_a_true_cache(tiny: MLXEngine):
    free = run(tiny, QUESTION, max_tokens=20)
    run(tiny, QUESTION, max_tokens=20, stop=(free.text[6:9],))
    assert tiny._cache[0].offset == len(tiny._cached_ids)
    assert run(tiny, QUESTION, max_tokens=20).text == free.text


def test_an_answer_ends_at_the_end_of_the_window(tiny_mlx: Path):
    engine = MLXEngine(tiny_mlx, model="tiny", context_tokens=512)
    try:
        result = run(engine, [Message("user", "word " * 430)], max_tokens=500)
        assert result.done.reason == "length"
        assert result.usage.prompt_tokens + result.usage.generated_tokens == 512
    finally:
        engine.close()


def test_the_whole_life_may_happen_on_another_thread(tiny_mlx: Path):
    texts: list[str] = []

    def live() -> None:
        engine = MLXEngine(tiny_mlx, model="tiny", context_tokens=512)
        texts.append(run(engine, QUESTION, max_tokens=10).text)
        engine.close()

    thread = threading.Thread(target=live)
    thread.start()
    thread.join()
    live()
    assert texts[0] == texts[1] != ""


def test_closing_gives_the_memory_back(tiny_mlx: Path):
    import mlx.core as mx

    before = mx.get_active_memory()
    engine = MLXEngine(tiny_mlx, model="tiny", context_tokens=512)
    run(engine, QUESTION, max_tokens=4)
    assert mx.get_active_memory() > before
    engine.close()
    assert mx.get_active_memory() == before
    assert mx.get_cache_memory() == 0


def test_messages_that_the_template_refuses_are_refused_in_words(tmp_path: Path):
    template = TEMPLATE + "{% if 'rivers' in messages[-1]['content'] %}{{ raise_exception('no rivers') }}{% endif %}"
    convert_gguf(write_tiny_gguf(tmp_path / "strict.gguf", tokenizer__chat_template=template), tmp_path / "mlx")
    engine = MLXEngine(tmp_path / "mlx", model="strict", context_tokens=512)
    with pytest.raises(EngineFailed, match="no rivers"):
        engine.count_tokens(QUESTION)
    engine.close()


def test_a_folder_that_does_not_load_fails_in_a_stream_too(tiny_mlx: Path, tmp_path: Path):
    (tmp_path / "config.json").write_bytes((tiny_mlx / "config.json").read_bytes())
    with pytest.raises(EngineFailed, match="could not load"):
        run(MLXEngine(tmp_path, model="half", context_tokens=512), QUESTION)


def test_a_folder_without_a_model_is_a_missing_model(tmp_path: Path):
    with pytest.raises(ModelMissing):
        MLXEngine(tmp_path, model="none", context_tokens=512).load()


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_half_a_folder_is_refused_in_words(tiny_mlx: Path, tmp_path: Path, missing: str):
    for file in tiny_mlx.iterdir():
        if file.name != missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(EngineFailed, match="could not load"):
        MLXEngine(tmp_path, model="half", context_tokens=512).load()


def test_a_truncated_folder_is_refused_in_words(tiny_mlx: Path, tmp_path: Path):
    for file in tiny_mlx.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 5000 if file.suffix == ".safetensors" else None])
    with pytest.raises(EngineFailed, match="could not load"):
        MLXEngine(tmp_path, model="cut", context_tokens=512).load()


@pytest.mark.parametrize("pieces", [1, 200])
def test_the_memory_that_metal_keeps_resident_is_given_free_again(
    tiny: MLXEngine, monkeypatch: pytest.MonkeyPatch, pieces: int
):
    """The one branch that only Metal takes, on any machine: what MLX is asked to do there."""
    import mlx.core as mx

    asked: list[int] = []

    def set_wired_limit(limit: int) -> int:
        asked.append(limit)
        return 0

    monkeypatch.setattr(mx, "device_info", lambda *_: {"max_recommended_working_set_size": 8 << 30})
    monkeypatch.setattr(mx, "set_wired_limit", set_wired_limit)
    stream = tiny.stream(QUESTION, Sampling(max_tokens=5))
    for _ in range(pieces):
        if next(stream, None) is None:
            break
    stream.close()
    assert asked == [8 << 30, 0]


@pytest.mark.metal
def test_on_apple_silicon_the_gpu_is_used(tiny_mlx: Path):
    import mlx.core as mx

    if not mx.metal.is_available():
        pytest.skip("needs Apple silicon")
    engine = MLXEngine(tiny_mlx, model="tiny", context_tokens=512)
    try:
        assert run(engine, QUESTION, max_tokens=10).usage.generated_tokens == 10
        assert engine._step_tokens == 512
        assert mx.default_device() == mx.gpu
    finally:
        engine.close()
