"""Which chat model answers when the chosen one is not here."""

from __future__ import annotations

import dataclasses

import pytest

from termrag.config import ModelSettings
from termrag.errors import ModelMissing, NotFound
from termrag.events import Notice
from termrag.models import ChosenModel, ready_chat

FILES = {"config.json": b"{}", "model.safetensors": b"weights"}
SETTINGS = ModelSettings(chat="big", starter="tiny")


@pytest.fixture
def two_models(hub_model):
    """The chosen model lies on a repository of its own, so that a test can take it away."""
    tiny = hub_model(FILES)
    source = dataclasses.replace(tiny.sources[0], hub="acme/big")
    return dataclasses.replace(tiny, name="big", sources=(source,)), tiny


def said(items: list[object]) -> str:
    return "\n".join(item.message for item in items if isinstance(item, Notice))


def test_the_chosen_model_is_used_without_a_word_when_it_is_here(hub, two_models, hub_shelf):
    shelf = hub_shelf(*two_models)
    list(shelf.pull("big", "mlx"))

    assert list(ready_chat(shelf, SETTINGS, "mlx")) == [ChosenModel("big", shelf.locate("big", "mlx"))]


def test_the_starter_stands_in_at_once_and_says_how_to_get_the_chosen_one(hub, two_models, hub_shelf):
    shelf = hub_shelf(*two_models)
    list(shelf.pull("tiny", "mlx"))
    hub.requests.clear()

    items = list(ready_chat(shelf, SETTINGS, "mlx"))

    assert items[-1] == ChosenModel("tiny", shelf.locate("tiny", "mlx"))
    assert "termrag models pull big" in said(items)
    assert hub.requests == []


def test_with_neither_here_the_chosen_one_is_fetched(two_models, hub_shelf):
    shelf = hub_shelf(*two_models)

    items = list(ready_chat(shelf, SETTINGS, "mlx"))

    assert items[-1] == ChosenModel("big", shelf.locate("big", "mlx"))
    assert "Fetching it: 9 B, mit" in said(items)


def test_if_the_chosen_one_cannot_be_fetched_the_starter_is(hub, two_models, hub_shelf):
    shelf = hub_shelf(*two_models)
    hub.statuses = [403]

    items = list(ready_chat(shelf, SETTINGS, "mlx"))

    assert items[-1] == ChosenModel("tiny", shelf.locate("tiny", "mlx"))
    assert "big could not be fetched" in said(items)


def test_if_nothing_can_be_had_the_error_names_a_command(two_models, hub_shelf):
    shelf = hub_shelf(*two_models, environ={"HF_HUB_OFFLINE": "1"})

    with pytest.raises(ModelMissing, match=r"neither big .* nor tiny .* could be fetched") as caught:
        list(ready_chat(shelf, SETTINGS, "mlx"))

    assert caught.value.hint == "termrag models pull tiny"


def test_an_unknown_name_is_told_instead_of_replaced(two_models, hub_shelf):
    with pytest.raises(NotFound, match="no model is called small"):
        list(ready_chat(hub_shelf(*two_models), ModelSettings(chat="small", starter="tiny"), "mlx"))
