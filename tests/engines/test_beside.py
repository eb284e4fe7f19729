"""What every engine with several slots must do when they are all in use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from termrag.engines import Done, Engine, EngineEvent, Piece, Prefill, Stream
from termrag.errors import EngineFailed
from termrag.pending import Pending
from termrag.records import Message, Sampling

from .conftest import ENGINES, opened
from .running import Run, run

SLOTS = 4
TOPICS = ("rivers", "mountains", "a lighthouse and its keeper, at length", "ships")
QUESTIONS = [[Message("system", "Be brief."), Message("user", f"Speak of {topic}.")] for topic in TOPICS]
LONG = [Message("user", "word " * 700)]


@pytest.fixture(scope="module", params=[each for each in ENGINES if isinstance(each, str)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = opened(request, SLOTS)
    yield made
    made.close()


@pytest.fixture(params=["llamacpp-tiny", "mlx-tiny"])
def fresh(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine that has read nothing."""
    made = opened(request, 2)
    yield made
    made.close()


@dataclass
class Reader:
    """One stream and what came of it so far."""

    stream: Stream
    events: list[EngineEvent] = field(default_factory=list)
    error: EngineFailed | None = None
    is_over: bool = False
    pending: Pending | None = None

    def pull(self) -> None:
        """Once, unless it is over or has nothing yet."""
        if self.is_over or (self.pending is not None and not self.pending.is_over):
            return
        self.pending = None
        try:
            event = next(self.stream)
        except StopIteration:
            self.is_over = True
        except EngineFailed as error:
            self.error, self.is_over = error, True
        else:
            if isinstance(event, Pending):
                self.pending = event
            else:
                self.events.append(event)

    @property
    def pieces(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Piece)]

    @property
    def result(self) -> Run:
        return Run(tuple(self.events))


def readers(engine: Engine, prompts: Sequence[Sequence[Message]], **sampling: object) -> list[Reader]:
    options = Sampling(**sampling)  # type: ignore[arg-type]
    return [Reader(engine.stream_in(slot, prompt, options)) for slot, prompt in enumerate(prompts)]


def read(streams: Sequence[Reader], until: int | None = None) -> None:
    """Pull them in turns until all are over, or each that is not has `until` pieces."""
    give_up = time.monotonic() + 120
    while wanted := [each for each in streams if not each.is_over and (until is None or len(each.pieces) < until)]:
        assert time.monotonic() < give_up
        for each in wanted:
            each.pull()
        waits = [each.pending for each in wanted if not each.is_over]
        if waits and all(wait is not None and not wait.is_over for wait in waits):
            assert waits[0] is not None
            waits[0].wait(60)


def alone(engine: Engine, messages: Sequence[Message], **sampling: object) -> Run:
    (reader,) = readers(engine, [messages], **sampling)
    read([reader])
    if reader.error:
        raise reader.error
    return reader.result


def test_all_slots_are_there(engine: Engine) -> None:
    assert engine.slots == SLOTS


def test_events_come_in_order_in_every_slot(engine: Engine) -> None:
    streams = readers(engine, QUESTIONS, max_tokens=12)
    read(streams)
    for each, question in zip(streams, QUESTIONS, strict=True):
        result = each.result
        kinds = [type(event) for event in result.events]
        assert kinds == [Prefill] * len(result.prefills) + [Piece] * len(result.pieces) + [Done]
        total = engine.count_tokens(question)
        assert result.prefills[-1] == Prefill(total, total)


def test_each_says_what_it_says_alone(engine: Engine) -> None:
    if engine.name in ("scripted", "openai"):
        pytest.skip("says the same to every question")
    expected = [alone(engine, question, max_tokens=16).text for question in QUESTIONS]
    streams = readers(engine, QUESTIONS, max_tokens=16)
    read(streams)
    found = [each.result.text for each in streams]
    if engine.name == "mlx":
        assert found == expected
    else:
        # llama.cpp multiplies a batch of four with other kernels than one of one, so the last bits of a logit differ,
        # and where two tokens are as likely as each other another one is chosen. What comes before that is the same.
        alike = [left == right for left, right in zip(found, expected, strict=True)]
        assert all(one[:4] == other[:4] for one, other in zip(found, expected, strict=True))
        assert sum(alike) >= 2


def test_they_run_at_the_same_time(engine: Engine) -> None:
    streams = readers(engine, QUESTIONS, max_tokens=900)
    read(streams, until=3)
    assert all(len(each.pieces) >= 3 and not each.is_over for each in streams)
    for each in streams:
        each.stream.close()


def test_usage_is_each_ones_own(engine: Engine) -> None:
    prompts = [*QUESTIONS[:2], LONG, QUESTIONS[3]]
    streams = readers(engine, prompts, max_tokens=6)
    read(streams)
    for each, prompt in zip(streams, prompts, strict=True):
        assert each.result.usage.prompt_tokens == engine.count_tokens(prompt)
        assert each.result.usage.generated_tokens == 6
        assert each.result.usage.tokens_per_second > 0


def test_one_that_is_closed_leaves_the_others(engine: Engine) -> None:
    whole = alone(engine, QUESTIONS[0], max_tokens=40)
    streams = readers(engine, QUESTIONS, max_tokens=40)
    read(streams, until=2)
    streams[1].stream.close()
    streams[2].stream.close()
    rest = [streams[0], streams[3]]
    read(rest)
    assert [each.result.usage.generated_tokens for each in rest] == [whole.usage.generated_tokens] * 2
    assert alone(engine, QUESTIONS[1], max_tokens=4).usage.generated_tokens == 4


def test_one_that_is_closed_while_its_prompt_is_read_leaves_the_others(engine: Engine) -> None:
    streams = readers(engine, [QUESTIONS[0], LONG], max_tokens=30)
    read(streams[:1], until=2)
    while not streams[1].events and not streams[1].is_over:
        read(streams[:1], until=len(streams[0].pieces) + 1)
        streams[1].pull()
    streams[1].stream.close()
    read(streams[:1])
    assert streams[0].result.usage.generated_tokens == 30


def test_what_goes_wrong_with_one_leaves_the_others(engine: Engine) -> None:
    too_long = [Message("user", "word " * 1100)]
    streams = readers(engine, [QUESTIONS[0], too_long, QUESTIONS[2]], max_tokens=10)
    read(streams)
    assert streams[1].error is not None
    assert str(engine.context_length) in streams[1].error.message
    assert [streams[slot].result.usage.generated_tokens for slot in (0, 2)] == [10, 10]


def test_a_slot_goes_on_where_it_was(engine: Engine) -> None:
    first = readers(engine, QUESTIONS, max_tokens=8)
    read(first)
    prompts = [
        [*question, Message("assistant", each.result.text), Message("user", "And then?")]
        for question, each in zip(QUESTIONS, first, strict=True)
    ]
    second = readers(engine, prompts, max_tokens=4)
    read(second)
    if engine.name == "scripted":
        return  # remembers one conversation alone
    for before, after in zip(first, second, strict=True):
        assert after.result.usage.cached_tokens >= before.result.usage.prompt_tokens - 4 or engine.name == "openai"


def test_a_slot_that_is_empty_begins_with_what_another_has_read(fresh: Engine) -> None:
    instructions = Message("system", "Answer from the passages alone, and say so if they do not hold it. " * 4)
    prompts = [[instructions, Message("user", f"Speak of {topic}.")] for topic in TOPICS[:2]]
    alone = run(fresh, prompts[1], max_tokens=12, temperature=0.0)
    fresh.close()
    runs = []
    for slot, prompt in enumerate(prompts):
        reader = Reader(fresh.stream_in(slot, prompt, Sampling(max_tokens=12, temperature=0.0)))
        read([reader])
        runs.append(reader.result)
    assert runs[0].usage.cached_tokens == 0
    assert runs[1].usage.cached_tokens >= runs[1].usage.prompt_tokens // 2
    assert runs[1].text == alone.text


def test_the_next_in_a_slot_ends_its_last_and_no_other(engine: Engine) -> None:
    streams = readers(engine, QUESTIONS[:2], max_tokens=900)
    read(streams, until=2)
    after = Reader(engine.stream_in(0, QUESTIONS[2], Sampling(max_tokens=4)))
    read([after])
    assert after.result.usage.generated_tokens == 4
    assert list(streams[0].stream) == []
    count = len(streams[1].pieces)
    read(streams[1:], until=count + 2)
    assert len(streams[1].pieces) >= count + 2
    streams[1].stream.close()


def test_the_single_door_ends_all(engine: Engine) -> None:
    streams = readers(engine, QUESTIONS, max_tokens=200)
    read(streams, until=1)
    assert run(engine, QUESTIONS[0], max_tokens=4).usage.generated_tokens == 4
    assert [list(each.stream) for each in streams] == [[], [], [], []]


def test_a_seed_repeats_itself_beside_others(engine: Engine) -> None:
    options = {"temperature": 1.0, "top_p": 0.95, "top_k": 40, "seed": 11, "max_tokens": 8}
    alone(engine, QUESTIONS[1], max_tokens=1)
    expected = alone(engine, QUESTIONS[1], **options)
    others = readers(engine, [QUESTIONS[0]], max_tokens=20)
    read(others, until=2)
    seeded = Reader(engine.stream_in(1, QUESTIONS[1], Sampling(**options)))  # type: ignore[arg-type]
    late = Reader(engine.stream_in(2, QUESTIONS[2], Sampling(max_tokens=5)))
    read([*others, seeded, late])
    assert [others[0].result.usage.generated_tokens, late.result.usage.generated_tokens] == [20, 5]
    # In a batch llama.cpp's logits differ in their last bits: see above.
    assert seeded.result.text[:3] == expected.text[:3] if engine.name == "llamacpp" else seeded.result == seeded.result
    if engine.name == "mlx":
        assert seeded.result.text == expected.text


def test_closing_the_engine_ends_all(engine: Engine) -> None:
    streams = readers(engine, QUESTIONS, max_tokens=300)
    read(streams, until=1)
    engine.close()
    assert [list(each.stream) for each in streams] == [[], [], [], []]
    assert alone(engine, QUESTIONS[0], max_tokens=3).usage.generated_tokens == 3
