"""What comes from an engine's thread: nothing is lost, and readers of answers in step are woken together."""

from __future__ import annotations

import time

import pytest

from termrag.engines.generation import Feed
from termrag.pending import Pending

PACE_S = 10.0


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands where it is put."""
    now = [3 * PACE_S]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def waiting(feed: Feed[str]) -> Pending:
    wanted = feed.take()
    assert isinstance(wanted, Pending)
    return wanted


def test_the_reader_is_told_once_in_a_stretch_and_loses_nothing(clock):
    feed: Feed[str] = Feed()
    told = []
    for number in range(6):
        wanted = waiting(feed)
        feed.put(f"{number}", may_wait_s=PACE_S)
        told.append(wanted.is_over)
        assert feed.rest() == [f"{number}"]
        clock[0] += PACE_S / 2
    assert told == [True, False] * 3


def test_feeds_that_began_apart_tell_at_the_same_time(clock):
    one, other = Feed[str](), Feed[str]()
    one.put("first", may_wait_s=PACE_S)
    clock[0] += 0.9 * PACE_S
    other.put("first", may_wait_s=PACE_S)
    clock[0] += 0.2 * PACE_S
    for feed in (one, other):
        feed.rest()
        wanted = waiting(feed)
        feed.put("second", may_wait_s=PACE_S)
        assert wanted.is_over


def test_what_may_not_wait_is_told_at_once(clock):
    feed: Feed[str] = Feed()
    for _ in range(3):
        wanted = waiting(feed)
        feed.put("now")
        assert wanted.is_over
        feed.rest()
