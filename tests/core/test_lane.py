"""A lane runs work in order on one thread and closes what is left early, there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from termrag.lane import Lane
from termrag.pending import Pending


@pytest.fixture
def lane():
    made = Lane("test")
    yield made
    made.close()


class Counter:
    """A generator that notes which thread pulled and which closed it."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.closed_on = ""
        self.pulled = 0

    def items(self) -> Iterator[int]:
        try:
            for number in range(1000):
                self.threads.add(threading.current_thread().name)
                self.pulled += 1
                yield number
        finally:
            self.closed_on = threading.current_thread().name


async def test_a_stream_yields_everything_in_order(lane):
    assert [item async for item in lane.stream(lambda: iter(range(50)))] == list(range(50))


async def test_a_stream_is_pulled_and_closed_on_the_lanes_thread(lane):
    counter = Counter()
    async with contextlib.aclosing(lane.stream(counter.items)) as stream:
        async for item in stream:
            if item == 3:
                break
    assert counter.threads == {"test_0"}
    assert counter.closed_on == "test_0"
    assert counter.pulled == 4


async def test_nothing_is_pulled_ahead_of_its_reader(lane):
    counter = Counter()
    async with contextlib.aclosing(lane.stream(counter.items)) as stream:
        await anext(stream)
        await asyncio.sleep(0.05)
        assert counter.pulled == 1


async def test_cancelling_the_reader_closes_the_stream(lane):
    counter = Counter()
    started = asyncio.Event()

    async def read() -> None:
        async with contextlib.aclosing(lane.stream(counter.items)) as stream:
            async for _ in stream:
                started.set()
                await asyncio.sleep(3600)

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lane.run(lambda: None)
    assert counter.closed_on == "test_0"


async def test_two_streams_on_one_lane_take_turns(lane):
    order: list[str] = []

    async def read(name: str) -> None:
        async for _ in lane.stream(lambda: iter(range(20))):
            order.append(name)  # noqa: PERF401 - the interleaving is the point

    await asyncio.gather(read("a"), read("b"))
    assert order.index("b") < 5
    assert len(order) == 40


async def test_an_error_in_the_work_reaches_the_caller(lane):
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)


async def test_another_thread_may_wait_for_the_lane(lane):
    other = Lane("other")
    try:
        name = await other.run(lane.call, lambda: threading.current_thread().name)
    finally:
        other.close()
    assert name == "test_0"


async def test_what_is_pending_leaves_the_lane_to_others(lane):
    gate = Pending()

    def slow() -> Iterator[object]:
        yield 1
        yield gate
        yield 2

    seen: list[object] = []

    async def read() -> None:
        async with contextlib.aclosing(lane.stream(slow)) as stream:
            async for item in stream:
                seen.append(item)  # noqa: PERF401 - what came so far is looked at

    task = asyncio.create_task(read())
    while seen != [1]:
        await asyncio.sleep(0)
    assert [item async for item in lane.stream(lambda: iter(range(5)))] == list(range(5))
    assert seen == [1]
    threading.Thread(target=gate.end).start()
    await task
    assert seen == [1, 2]


async def test_a_reader_that_goes_away_while_something_is_pending_closes_the_stream(lane):
    gate, closed = Pending(), threading.Event()

    def slow() -> Iterator[object]:
        try:
            yield 1
            yield gate
        finally:
            closed.set()

    async def read() -> None:
        async with contextlib.aclosing(lane.stream(slow)) as stream:
            async for _ in stream:
                begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    gate.end()
    assert await lane.run(lambda: 7) == 7
