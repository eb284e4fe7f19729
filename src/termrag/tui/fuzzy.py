"""How well a name fits what was typed: all its letters in order, the closer together the better."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def score(query: str, name: str) -> float:
    """0 if the query's letters are not all there in order; else more for runs, beginnings of words, short names."""
    wanted = query.casefold().replace(" ", "")
    if not wanted:
        return 1.0
    text = name.casefold()
    if wanted in text:
        at = text.rindex(wanted)
        return 100.0 + (20.0 if at == 0 or not text[at - 1].isalnum() else 0.0) - len(text) / 100
    total, position, previous = 0.0, -1, -2
    for letter in wanted:
        position = text.find(letter, position + 1)
        if position < 0:
            return 0.0
        total += 3.0 if position == previous + 1 else 1.0
        total += 2.0 if position == 0 or not text[position - 1].isalnum() else 0.0
        previous = position
    return max(total - len(text) / 100, 0.01)


def best(query: str, choices: Iterable[T], name: Callable[[T], str], limit: int) -> list[T]:
    """The choices that fit, best first; in their own order where nothing was typed."""
    if not query.strip():
        return [choice for choice, _ in zip(choices, range(limit), strict=False)]
    scored = [(score(query, name(choice)), -position, choice) for position, choice in enumerate(choices)]
    fitting = sorted((each for each in scored if each[0] > 0), key=lambda each: each[:2], reverse=True)
    return [choice for _, _, choice in fitting[:limit]]
