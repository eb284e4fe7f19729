"""The real chat over a real library: store, ledger and sessions on disk, the scripted engine, vectors from a loopback
endpoint. Keys are pressed by Textual's pilot."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from embedding_endpoint import Endpoint, served
from models.conftest import hub, hub_model, hub_shelf  # noqa: F401 - fixtures
from termrag.config import Config
from termrag.models import Shelf
from termrag.paths import Paths, default_paths
from termrag.rag import Rag
from termrag.tui.app import TermragApp
from termrag.tui.entries import Entry, Question, Reply
from termrag.tui.screens.chat import ChatScreen
from termrag.turns import TurnState

LENGTH = "The causeway to the Calf is 420 metres long."
NOTES = {
    "causeway.md": f"# The causeway\n\n{LENGTH} It was built in 1891 of grey stone by the islanders.\n",
    "ferry.md": "# The ferry\n\nThe last ferry leaves Vessa at 19:00 in summer. A return ticket costs 18.40 euros.\n",
    "hostel.md": "# The hostel\n\nThe Harbour Hostel has 22 beds in five rooms. A bed costs 28 euros a night.\n",
}
ENDLESS = " ".join(f"word{n}" for n in range(40_000))


@pytest.fixture(scope="session")
def vectors() -> Iterator[Endpoint]:
    with served() as endpoint:
        yield endpoint


def settings(vectors: Endpoint, script: str, **sections: dict[str, Any]) -> Config:
    base: dict[str, dict[str, Any]] = {
        "models": {"engine": "scripted", "script": script, "embedding": "openai:words", "context_tokens": 1_000_000},
        "openai": {"embedding_url": vectors.url, "url": vectors.url},
        "generation": {"max_tokens": 900_000},
        "tui": {"theme": "termrag-dark"},
    }
    for section, table in sections.items():
        base.setdefault(section, {}).update(table)
    return Config().with_values(base, "test")


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, vectors: Endpoint, notes: Path) -> Path:
    """A data folder whose library holds the notes, to be copied by every test that needs one."""
    folder = tmp_path_factory.mktemp("indexed")
    config = settings(vectors, "x").with_values({"library": {"path": str(folder / "library")}}, "test")

    folders = [folder / name for name in ("config", "data", "cache", "state", "run")]

    async def index() -> None:
        async with Rag(config, Paths(*folders)) as rag:
            async for _ in rag.ingest([notes]):
                pass

    asyncio.run(index())
    return folder / "library"


@dataclass
class Chat:
    """The app with its main screen, and short ways to what tests look at."""

    app: TermragApp
    pilot: Pilot[None]

    @property
    def screen(self) -> ChatScreen:
        screen = next(each for each in self.app.screen_stack if isinstance(each, ChatScreen))
        assert isinstance(screen, ChatScreen)
        return screen

    @property
    def entries(self) -> list[Entry]:
        return self.screen.transcript.entries

    @property
    def replies(self) -> list[Reply]:
        return [entry for entry in self.entries if isinstance(entry, Reply)]

    @property
    def questions(self) -> list[Question]:
        return [entry for entry in self.entries if isinstance(entry, Question)]

    @property
    def text(self) -> str:
        """The transcript as it would be copied."""
        transcript = self.screen.transcript
        return "\n".join(line.text for y in range(transcript.virtual_size.height) if (line := transcript.line_at(y)))

    @property
    def toasts(self) -> list[str]:
        return [f"{toast.title} {toast.message}".strip() for toast in self.app._notifications]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        self.screen.composer.focus()
        self.screen.composer.insert(text)
        await self.pilot.press("enter")

    async def until(self, holds: Callable[[], object], timeout_s: float = 30) -> None:
        """Wait for a condition."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not holds():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"never came true; toasts {self.toasts}; on screen:\n{self.text}")
            await asyncio.sleep(0.01)
        await self.pilot.pause()

    async def ask(self, question: str) -> Reply:
        """Type a question and wait for the end of its answer."""
        count = len(self.replies)
        await self.type(question)
        await self.until(lambda: len(self.replies) > count and self.screen.asking is None)
        return self.replies[-1]

    def line_of(self, words: str) -> str:
        return next((line for line in self.text.splitlines() if words in line), "")


Opens = Callable[..., AbstractAsyncContextManager[Chat]]


@pytest.fixture
def open_chat(vectors: Endpoint, indexed: Path, home: Path) -> Opens:
    """`async with open_chat(script, size=…) as chat`: over a copy of the notes' library, or none; with models of one's
    own on a `shelf`."""

    @asynccontextmanager
    async def opened(
        script: str = LENGTH,
        *,
        size: tuple[int, int] = (110, 34),
        library: bool = True,
        shelf: Shelf | None = None,
        **sections: dict[str, Any],
    ) -> AsyncIterator[Chat]:
        paths = default_paths()
        paths.make()
        if library and not paths.library.exists():
            shutil.copytree(indexed, paths.library)

        def open_rag(config: Config, paths: Paths) -> Rag:
            rag = Rag(config, paths)
            if shelf is not None:
                rag._parts._shelf = shelf
            return rag

        app = TermragApp(settings(vectors, script, **sections), paths, open_rag)
        async with app.run_test(size=size) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: app.is_open)
            yield chat

    return opened


def done(reply: Reply) -> bool:
    return reply.state is TurnState.DONE
