"""The queue of questions: bounded in number and time, fair between users, true about when to come again."""

from __future__ import annotations

import asyncio

import pytest

from termrag.server.faults import Refused
from termrag.server.turns import Place, Turnstile


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refusal(turnstile: Turnstile, user: str) -> Refused:
    with pytest.raises(Refused) as caught:
        turnstile.place(user)
    return caught.value


async def test_one_user_fills_half_of_the_queue() -> None:
    turnstile = Turnstile(1, 4)
    turnstile.place("eager")
    for _ in range(2):
        turnstile.place("eager")
    assert refusal(turnstile, "eager").status == 429
    for _ in range(2):
        turnstile.place("other")
    assert refusal(turnstile, "third").status == 429


async def test_turns_go_round_the_users() -> None:
    turnstile, order = Turnstile(1, 12), []

    async def ask(place: Place, name: str) -> None:
        async with place:
            order.append(name)

    names = ["a1", "a2", "a3", "b1", "c1", "b2"]
    await asyncio.gather(*[ask(turnstile.place(name[0]), name) for name in names])
    assert order == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_when_to_come_again_follows_the_pace_of_the_last_answers() -> None:
    clock = Clock()
    turnstile = Turnstile(2, 4, clock=clock)
    for _ in range(40):
        async with turnstile.place("a"):
            clock.now += 20.0
    held = [turnstile.place(user) for user in "aabbcc"]
    error = refusal(turnstile, "d")
    assert error.headers == {"Retry-After": "50"}  # the fifth in line, two at a time, 20 s each
    for place in held:
        place.leave()
        place.leave()
    assert turnstile.waiting == 0
    async with turnstile.place("a"), turnstile.place("a"):
        assert turnstile.waiting == 0


async def test_whoever_waits_too_long_is_told_and_leaves() -> None:
    turnstile = Turnstile(1, 4, wait_s=0.01)
    held = turnstile.place("a")
    with pytest.raises(Refused) as caught:
        async with turnstile.place("b"):
            raise AssertionError("no turn was free")
    assert caught.value.status == 503
    assert turnstile.waiting == 0
    held.leave()
    async with turnstile.place("b"):
        pass


async def test_a_place_that_was_never_waited_for_is_given_back() -> None:
    turnstile = Turnstile(1, 4)
    turnstile.place("a").leave()
    place = turnstile.place("a")
    waits = turnstile.place("b")
    waits.leave()
    place.leave()
    async with turnstile.place("c"):
        pass
