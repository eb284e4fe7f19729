"""Which chat model answers, when the chosen one may not be here; fetches, but never loads or runs one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from termrag.config import ModelSettings
from termrag.errors import ModelMissing, TermragError
from termrag.events import Notice, PullEvent
from termrag.models.files import in_words
from termrag.models.shelf import Shelf


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """The model that answers, what its engine loads, and how much text of passages it reads with profit (0: all)."""

    name: str
    path: Path
    passage_characters: int = 0


def ready_chat(shelf: Shelf, settings: ModelSettings, engine: str) -> Iterator[Notice | PullEvent | ChosenModel]:
    """Make a chat model for `engine` (mlx or llamacpp) ready; the last item is always the ChosenModel.

    The chosen model if it is here. Else the starter if that is here, with a notice that names the command which fetches
    the chosen one: nobody who asks a question wants to wait for most of a gigabyte first, and no network is touched.
    If neither is here, the chosen one is fetched; if that fails, which takes a few seconds without a network, the
    starter. Raises NotFound for an unknown name, ModelMissing if nothing can be had.
    """
    chosen, starter = settings.chat, settings.starter
    if path := _here(shelf, chosen, engine):
        yield _chosen(shelf, chosen, path)
        return
    if chosen != starter and (path := _here(shelf, starter, engine)):
        yield Notice(
            f"{chosen} is not on this machine, {starter} answers instead and understands far less. "
            f"To fetch {chosen} ({_size(shelf, chosen, engine)}): termrag models pull {chosen}"
        )
        yield _chosen(shelf, starter, path)
        return
    yield from _fetched(shelf, chosen, starter, engine)


def _fetched(shelf: Shelf, chosen: str, starter: str, engine: str) -> Iterator[Notice | PullEvent | ChosenModel]:
    model = shelf.known(chosen)
    yield Notice(f"{chosen} is not on this machine. Fetching it: {_size(shelf, chosen, engine)}, {model.licence}")
    try:
        yield from shelf.pull(chosen, engine)
        yield _chosen(shelf, chosen, shelf.locate(chosen, engine))
        return
    except TermragError as error:
        if chosen == starter:
            raise
        failure = error
    yield Notice(f"{chosen} could not be fetched: {failure.message}. {starter} answers instead.")
    try:
        yield from shelf.pull(starter, engine)
    except TermragError as error:
        raise ModelMissing(
            f"neither {chosen} ({failure.message}) nor {starter} ({error.message}) could be fetched",
            f"termrag models pull {starter}",
        ) from error
    yield _chosen(shelf, starter, shelf.locate(starter, engine))


def _chosen(shelf: Shelf, name: str, path: Path) -> ChosenModel:
    known = next((model for model in shelf.models() if model.name == name), None)
    return ChosenModel(name, path, shelf.known(name).passage_characters if known else 0)


def _here(shelf: Shelf, name: str, engine: str) -> Path | None:
    try:
        return shelf.locate(name, engine)
    except ModelMissing:
        return None


def _size(shelf: Shelf, name: str, engine: str) -> str:
    source = shelf.known(name).source(engine)
    return in_words(source.size_bytes) if source else f"no form for {engine}"
