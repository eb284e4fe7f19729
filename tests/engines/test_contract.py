"""What every engine must do, whatever runs behind it."""

from __future__ import annotations

import time

import pytest

from termrag.engines import Done, Engine, Piece, Prefill
from termrag.errors import EngineFailed
from termrag.records import Message, Sampling

from .running import run

QUESTION = [Message("system", "Be brief."), Message("user", "Name three rivers of Europe.")]
LONG_QUESTION = [Message("user", "word " * 700)]


def test_events_come_in_order(engine: Engine):
    result = run(engine, QUESTION, max_tokens=8)
    kinds = [type(event) for event in result.events]
    assert kinds == [Prefill] * len(result.prefills) + [Piece] * len(result.pieces) + [Done]
    assert result.text


def test_prefill_rises_to_the_whole_prompt(engine: Engine):
    result = run(engine, QUESTION, max_tokens=4)
    done = [event.done for event in result.prefills]
    assert done == sorted(done)
    assert result.prefills[-1] == Prefill(engine.count_tokens(QUESTION), engine.count_tokens(QUESTION))


def test_usage_agrees_with_the_count(engine: Engine):
    result = run(engine, QUESTION, max_tokens=8)
    assert result.usage.prompt_tokens == engine.count_tokens(QUESTION)
    assert result.usage.generated_tokens == 8
    assert result.usage.first_token_s > 0
    assert result.usage.tokens_per_second > 0


def test_the_second_turn_reuses_the_first(engine: Engine):
    first = run(engine, QUESTION, max_tokens=8)
    second_turn = [*QUESTION, Message("assistant", first.text), Message("user", "And of Asia?")]
    second = run(engine, second_turn, max_tokens=4)
    assert second.usage.prompt_tokens == engine.count_tokens(second_turn)
    # All of the first turn but the few marks that open an answer, which some templates close differently.
    assert second.usage.cached_tokens >= first.usage.prompt_tokens - 4


def test_a_count_depends_on_every_message(engine: Engine):
    longer = [*QUESTION, Message("assistant", "The Rhine."), Message("user", "Wie heißt 東京 auf Łódź?")]
    other = [Message("system", "Be very brief."), *longer[1:]]
    assert engine.count_tokens(other) > engine.count_tokens(longer) > engine.count_tokens(QUESTION)


def test_max_tokens_ends_with_length(engine: Engine):
    result = run(engine, QUESTION, max_tokens=3)
    assert result.done.reason == "length"
    assert result.usage.generated_tokens == 3


@pytest.mark.parametrize("start", [0, 1, 4])
def test_a_stop_string_across_tokens_ends_the_text_before_it(engine: Engine, start: int):
    run(engine, QUESTION, max_tokens=1)  # so that both runs below find the same cache
    free = run(engine, QUESTION, max_tokens=16)
    stop = free.text[start : start + 7]
    stopped = run(engine, QUESTION, max_tokens=16, stop=(stop,))
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.done.reason == "stop"
    assert stopped.usage.generated_tokens < 16


def test_a_stop_string_that_only_begins_is_given_back(engine: Engine):
    run(engine, QUESTION, max_tokens=1)
    free = run(engine, QUESTION, max_tokens=6)
    stops = (free.text[-3:] + "§ never", "", free.text[2:5] + "§")
    assert run(engine, QUESTION, max_tokens=6, stop=stops).text == free.text


def test_temperature_zero_repeats_itself(engine: Engine):
    run(engine, QUESTION, max_tokens=1)
    assert run(engine, QUESTION, max_tokens=10).text == run(engine, QUESTION, max_tokens=10).text


def test_a_seed_repeats_itself(engine: Engine):
    options = {"temperature": 1.0, "top_p": 0.95, "top_k": 40, "min_p": 0.01, "seed": 11, "max_tokens": 8}
    run(engine, QUESTION, max_tokens=1)
    assert run(engine, QUESTION, **options).text == run(engine, QUESTION, **options).text


def test_a_repetition_penalty_is_taken(engine: Engine):
    result = run(engine, QUESTION, repetition_penalty=1.3, max_tokens=6)
    assert result.usage.generated_tokens == 6


def test_closing_while_decoding_stops_the_compute(engine: Engine):
    run(engine, QUESTION, max_tokens=1)
    expected = run(engine, QUESTION, max_tokens=2)
    stream = engine.stream(QUESTION, Sampling(max_tokens=600))
    events = [next(event for event in stream if isinstance(event, Piece)) for _ in range(3)]
    began = time.perf_counter()
    stream.close()
    after = run(engine, QUESTION, max_tokens=2)
    waited = time.perf_counter() - began
    assert len(events) == 3
    assert after.text == expected.text
    # What 600 tokens would have taken at the pace just seen, generously halved.
    assert waited < max(0.5, 300 / max(expected.usage.tokens_per_second, 1.0))


def test_closing_while_reading_the_prompt_stops_the_compute(engine: Engine):
    run(engine, QUESTION, max_tokens=1)
    expected = run(engine, QUESTION, max_tokens=4)
    stream = engine.stream(LONG_QUESTION, Sampling(max_tokens=4))
    first = next(stream)
    stream.close()
    assert isinstance(first, Prefill)
    assert first.done < first.total
    after = run(engine, QUESTION, max_tokens=4)
    assert after.text == expected.text
    assert after.usage.prompt_tokens == engine.count_tokens(QUESTION)


def test_the_next_request_ends_the_last(engine: Engine):
    left = engine.stream(QUESTION, Sampling(max_tokens=600))
    next(event for event in left if isinstance(event, Piece))
    assert run(engine, QUESTION, max_tokens=4).usage.generated_tokens == 4
    assert list(left) == []


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(engine: Engine):
    too_long = [Message("user", "word " * 1100)]
    with pytest.raises(EngineFailed) as caught:
        run(engine, too_long, max_tokens=4)
    assert str(engine.count_tokens(too_long)) in caught.value.message
    assert str(engine.context_length) in caught.value.message
    assert caught.value.hint
    assert run(engine, QUESTION, max_tokens=4).usage.generated_tokens == 4


def test_text_of_any_script_goes_in_and_comes_out_whole(engine: Engine):
    messages = [Message("user", "Ünï 東京 👩‍🔬 עברית \u2028 \x1c end.")]
    result = run(engine, messages, max_tokens=8)
    assert result.usage.prompt_tokens == engine.count_tokens(messages)
    assert result.text.encode("utf-8").decode("utf-8") == result.text


def test_closed_engines_load_again(engine: Engine):
    run(engine, QUESTION, max_tokens=1)
    before = run(engine, QUESTION, max_tokens=6)
    engine.close()
    engine.close()
    again = run(engine, QUESTION, max_tokens=6)
    assert again.usage.cached_tokens < engine.count_tokens(QUESTION) - 1 or engine.name == "openai"
    assert again.text == before.text
