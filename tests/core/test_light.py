"""Light records behave as those of `dataclasses` do."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from termrag import light


@light.dataclass(frozen=True, slots=True)
class Light:
    name: str
    pages: tuple[int, ...] = ()


@light.dataclass(frozen=True, slots=True)
class One:
    name: str


@light.dataclass(frozen=True, slots=True)
class None_:  # noqa: N801 - a record without fields
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    name: str
    pages: tuple[int, ...] = ()


def test_it_is_equal_hashed_and_shown_by_its_fields():
    assert Light("a", (1,)) == Light("a", (1,)) != Light("a", (2,))
    assert len({Light("a"), Light("a"), Light("b"), One("a"), One("a"), None_(), None_()}) == 4
    assert repr(Light("a", (1,))) == repr(Plain("a", (1,))).replace("Plain", "Light")
    assert (One("a") == Light("a")) is False


def test_what_the_library_does_with_records_works():
    whole = Light("a", (1,))
    assert dataclasses.replace(whole, name="b") == Light("b", (1,))
    assert dataclasses.asdict(whole) == {"name": "a", "pages": (1,)}
    assert copy.deepcopy(whole) == pickle.loads(pickle.dumps(whole)) == whole
    match whole:
        case Light(name, (page,)):
            assert (name, page) == ("a", 1)


def test_it_has_no_other_fields():
    with pytest.raises(AttributeError):
        Light("a").other = 1  # type: ignore[attr-defined]
