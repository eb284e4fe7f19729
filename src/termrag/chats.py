"""The chat model in use, and those that still finish their last answers after a change; knows nothing of questions.

Everything here runs on the models lane, where models are loaded, run and closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from termrag.answer import Chat
from termrag.engines import Stream, choose_engine, open_engine
from termrag.events import AskEvent, Loading
from termrag.logs import logger
from termrag.prefixes import Prefixes
from termrag.records import Message, Sampling
from termrag.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from termrag.config import Config
    from termrag.models import Shelf


@dataclass(slots=True)
class _Held:
    chat: Chat
    slots: Slots
    answers: int = 0  # that are being written with it
    is_retired: bool = False


class Chats:
    """At most one model takes new questions. A retired one is closed as soon as its last answer has ended."""

    def __init__(self, shelf: Callable[[], Shelf], environ: Mapping[str, str], prefixes: Prefixes) -> None:
        self.prefixes = prefixes
        self.slots = 1  # answers written at the same time by a model that is loaded from now on
        self._shelf = shelf
        self._environ = environ
        self._current: _Held | None = None
        self._held: list[_Held] = []

    @property
    def current(self) -> Chat | None:
        """The loaded model, if one is."""
        return self._current.chat if self._current else None

    def open(self, config: Config) -> Generator[AskEvent, None, Chat]:
        """Yield what happens while the model is made ready, and return it loaded. Raises ModelMissing or
        EngineFailed."""
        self.prefixes.limit_bytes = config.sessions.prefix_mb << 20
        if self._current is not None:
            return self._current.chat
        choice = choose_engine(config.models, config.openai)
        name, path, characters = config.models.chat, None, 0
        if choice.name in ("mlx", "llamacpp"):
            from termrag.models import ChosenModel, ready_chat

            for event in ready_chat(self._shelf(), config.models, choice.name):
                if isinstance(event, ChosenModel):
                    name, path, characters = event.name, event.path, event.passage_characters
                else:
                    yield event
        yield Loading(name)
        if self._current is not None:  # another question has loaded it meanwhile
            return self._current.chat
        engine = open_engine(
            choice,
            model=name,
            path=path,
            models=config.models,
            openai=config.openai,
            environ=self._environ,
            slots=self.slots,
        )
        begun = time.perf_counter()
        engine.load()
        logger.info("load engine=%s model=%s seconds=%.2f", choice.name, name, time.perf_counter() - begun)
        self._current = _Held(Chat(engine, characters), Slots(engine.slots))
        self._held.append(self._current)
        return self._current.chat

    @contextmanager
    def using(self, chat: Chat, session_id: str = "") -> Iterator[Chat]:
        """Within it the model stays open, whatever takes its place. The chat that it gives waits for a slot before it
        generates, and begins with what has been read of the kept conversation before, if that is on disk."""
        held = next(each for each in self._held if each.chat is chat)
        held.answers += 1

        def generate(messages: Sequence[Message], sampling: Sampling) -> Stream:
            slot = yield from held.slots.take(session_id, messages)
            try:
                self.prefixes.turn_to(chat.engine, session_id, slot)
                yield from chat.engine.stream_in(slot, messages, sampling)
            finally:
                held.slots.leave(slot)

        try:
            yield replace(chat, generate=generate)
        finally:
            held.answers -= 1
            self._close_idle()

    def retire(self) -> None:
        """The next question opens a model anew; answers in hand end on the old one."""
        if self._current is not None:
            self._current.is_retired = True
            self._current = None
            self._close_idle()

    def change_environ(self, environ: Mapping[str, str]) -> None:
        """Open models in another environment from now on."""
        self._environ = environ
        self.retire()

    def close(self) -> None:
        """Free every model, also one in use."""
        for held in self._held:
            self._close(held)
        self._held.clear()
        self._current = None

    def _close_idle(self) -> None:
        for held in [each for each in self._held if each.is_retired and not each.answers]:
            self._held.remove(held)
            self._close(held)

    def _close(self, held: _Held) -> None:
        self.prefixes.put_away(held.chat.engine)
        held.chat.engine.close()
