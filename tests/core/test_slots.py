"""Which slot an answer gets, and who waits for one."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from termrag.pending import Pending
from termrag.records import Message
from termrag.slots import Slots

SYSTEM = Message("system", "Answer from the passages.")


def asked(*texts: str) -> list[Message]:
    return [SYSTEM, *(Message("user", text * 20) for text in texts)]


def take(slots: Slots, conversation: str = "", *texts: str) -> int:
    """A slot that is free now."""
    taking = slots.take(conversation, asked(*texts))
    with pytest.raises(StopIteration) as got:
        next(taking)
    return int(got.value.value)


def waiting(slots: Slots) -> tuple[Generator[Pending, None, int], Pending]:
    taking = slots.take("", asked("late"))
    return taking, next(taking)


def finish(taking: Generator[Pending, None, int]) -> int:
    with pytest.raises(StopIteration) as got:
        next(taking)
    return int(got.value.value)


def test_a_conversation_comes_back_to_its_slot() -> None:
    slots = Slots(3)
    places = {name: take(slots, name, name) for name in ("a", "b", "c")}
    assert sorted(places.values()) == [0, 1, 2]
    for place in places.values():
        slots.leave(place)
    assert {name: take(slots, name, "something else") for name in "bca"} == places


def test_what_begins_alike_goes_where_it_was_read() -> None:
    slots = Slots(3)
    places = [take(slots, "", text) for text in ("one", "two", "three")]
    for place in places:
        slots.leave(place)
    assert take(slots, "", "two", "and then?") == places[1]


def test_what_is_new_takes_the_place_of_the_oldest() -> None:
    slots = Slots(2)
    first, second = take(slots, "", "one"), take(slots, "", "two")
    slots.leave(second)
    slots.leave(first)
    assert take(slots, "", "three") == first


def test_whoever_waits_is_served_in_the_order_of_coming() -> None:
    slots = Slots(1)
    place = take(slots)
    (first, one), (second, two) = waiting(slots), waiting(slots)
    slots.leave(place)
    assert (one.is_over, two.is_over) == (True, False)
    third, three = waiting(slots)  # nobody slips in between
    assert finish(first) == place
    slots.leave(place)
    assert (two.is_over, three.is_over) == (True, False)
    finish(second)
    slots.leave(place)
    finish(third)


def test_whoever_leaves_the_line_holds_nobody_up() -> None:
    slots = Slots(1)
    place = take(slots)
    (first, _), (second, two), (third, three) = waiting(slots), waiting(slots), waiting(slots)
    first.close()
    slots.leave(place)
    assert two.is_over
    second.close()  # called already
    assert three.is_over
    assert finish(third) == place
    slots.leave(place)
    assert take(slots) == place
