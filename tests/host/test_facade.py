"""What the façade takes and gives is the same on both sides of a host."""

from __future__ import annotations

import dataclasses
import inspect
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from termrag import candidates, codec, errors, events, indexstate, records, turns, watchstate
from termrag.config import Config
from termrag.errors import TermragError
from termrag.paths import default_paths
from termrag.rag import Rag
from termrag.remote import STREAMS, RemoteRag, likeness

VALUES = [
    kind
    for module in (candidates, events, indexstate, records, turns, watchstate)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__ and kind not in (records.Row,)
]


def test_the_streams_of_the_facade_are_known() -> None:
    own = {
        name
        for name, method in inspect.getmembers(Rag, inspect.isfunction)
        if inspect.isasyncgenfunction(method) and not name.startswith("_")
    }
    assert own - {"watch"} == STREAMS


def test_what_is_no_coroutine_is_there_on_both_sides() -> None:
    own = {
        name
        for name, member in inspect.getmembers(Rag)
        if not name.startswith("_")
        and (isinstance(member, property) or inspect.isfunction(member))
        and not inspect.isasyncgenfunction(member)
        and not inspect.iscoroutinefunction(member)
    }
    assert own - {"write_at_once", "beside"} <= set(dir(RemoteRag))


# What is not a number is not equal to itself.
st.register_type_strategy(float, st.floats(allow_nan=False))


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_value_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    hints = typing.get_type_hints(kind)
    value = data.draw(st.builds(kind, **{name: st.from_type(hint) for name, hint in hints.items()}))
    assert codec.loads(codec.dumps(value)) == value


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(codec="utf-8", exclude_categories=())))
def test_every_text_comes_back(text: str) -> None:
    assert codec.loads(codec.dumps([text])) == [text]


def test_names_that_are_no_text_come_back() -> None:
    name = b"caf\xe9.txt".decode("utf-8", "surrogateescape")
    assert codec.loads(codec.dumps(name)) == name


def _kinds(kind: type[TermragError] = TermragError) -> list[type[TermragError]]:
    return [kind, *(each for child in kind.__subclasses__() if child.__module__ == "termrag.errors"
                    for each in _kinds(child))]  # fmt: skip


@pytest.mark.parametrize("kind", _kinds())
def test_every_error_is_raised_as_what_it_is(kind: type[TermragError]) -> None:
    back = codec.raised(codec.error_data(kind("what", "how")))
    assert type(back) is kind
    assert isinstance(back, errors.TermragError)
    assert (back.message, back.hint) == ("what", "how")


@pytest.mark.parametrize("line", ["nonsense", '{"$type": "os:system"}', '{"$type": "records:Hit"}', '{"$type": 5}'])
def test_what_is_no_value_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        codec.loads(line)


@pytest.mark.parametrize(
    ("section", "key", "value", "matters"),
    [
        ("models", "chat", "other", True),
        ("retrieval", "passages", 7, True),
        ("library", "path", "/elsewhere", True),
        ("documents", "chunk_tokens", 100, True),
        ("generation", "temperature", 1.5, False),
        ("tui", "theme", "termrag-light", False),
        ("server", "port", 1, False),
    ],
)
def test_a_host_is_the_same_where_its_answers_are(section: str, key: str, value: object, matters: bool) -> None:
    config, paths = Config(), default_paths()
    other = config.with_values({section: {key: value}}, "test")
    assert (likeness(other, paths, {}) != likeness(config, paths, {})) is matters
    assert likeness(config, paths, {"TERMRAG_OPENAI_API_KEY": "k"}) != likeness(config, paths, {})
