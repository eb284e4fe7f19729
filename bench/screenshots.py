"""Pictures of the full-screen chat for the README and docs/chat.md, from the sample documents and a scripted model.

python bench/screenshots.py [NAME ...]     all of them, or only some; written to docs/screenshots/NAME.svg
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "screenshots"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

SCRIPT = """A stone causeway of 420 metres joins the Calf to Vessa. It can be crossed from two hours before low water \
until two hours after.
---
The Harbour Hostel has 22 beds in five rooms, and a bed costs 28 euros a night.

- It is open from 15 March to 31 October.
- Breakfast from the Salt Oven is included.

The hostel was built by Queen Victoria.
"""
QUESTIONS = ("How long is the causeway to the Calf?", "How many beds does the Harbour Hostel have?")
UNANSWERED = "Who won the chess championship in Reykjavik?"
_PATIENCE_S = 60.0


class Stage:
    """The app with the pilot that presses its keys."""

    def __init__(self, app: Any, pilot: Any) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def ask(self, question: str) -> None:
        chat = self.app.screen
        chat.composer.insert(question)
        await self.pilot.press("enter")
        await self.until(lambda: chat.last_reply() is not None and chat.asking is None)
        await self.rest()

    async def rest(self) -> None:
        """Let what is at work come to its end."""
        await asyncio.sleep(0.5)
        await self.pilot.pause()


async def answer(stage: Stage) -> None:
    for question in QUESTIONS:
        await stage.ask(question)


async def refusal(stage: Stage) -> None:
    await stage.ask(QUESTIONS[0])
    await stage.ask(UNANSWERED)


async def source(stage: Stage) -> None:
    await stage.ask(QUESTIONS[0])
    reply = stage.app.screen.last_reply()
    cited = next(iter(reply.answer.sentences[0].citations)).number
    stage.app.screen.transcript.focus()
    await stage.pilot.press(str(cited))
    await stage.rest()


def opened(key: str, *more: str) -> Callable[[Stage], Awaitable[None]]:
    async def open_(stage: Stage) -> None:
        await stage.pilot.press(key)
        await stage.rest()
        await stage.pilot.press(*more)
        await stage.rest()

    return open_


async def first_run(stage: Stage) -> None:
    await stage.until(lambda: getattr(stage.app.screen, "models", None))


# Name, what leads there, size, theme, and whether there are documents.
SHOTS: dict[str, tuple[Callable[[Stage], Awaitable[None]], tuple[int, int], str, bool]] = {
    "answer": (answer, (140, 36), "termrag-dark", True),
    "answer-light": (answer, (110, 32), "termrag-light", True),
    "refusal": (refusal, (110, 30), "termrag-dark", True),
    "source": (source, (110, 30), "termrag-dark", True),
    "first-run": (first_run, (90, 24), "termrag-dark", False),
    "settings": (opened("f2", *["down"] * 8, "right", "right"), (110, 28), "termrag-dark", True),
    "models": (opened("f6"), (100, 24), "harbour", True),
    "documents": (opened("ctrl+o"), (120, 28), "termrag-dark", True),
    "help": (opened("f1"), (100, 30), "frost", True),
}


async def shoot(name: str, url: str, library: Path) -> None:
    """Draw one picture."""
    from termrag.config import Config
    from termrag.paths import Paths
    from termrag.rag import Rag
    from termrag.tui.app import TermragApp

    lead, size, theme, has_documents = SHOTS[name]
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        paths = Paths(*(Path(home) / part for part in ("config", "data", "cache", "state", "run")))
        paths.make()
        config = Config().with_values(
            {
                "library": {"path": str(library if has_documents else paths.library)},
                "models": {
                    "engine": "scripted" if has_documents else "llamacpp",
                    "script": SCRIPT,
                    "embedding": "openai:words",
                },
                "openai": {"embedding_url": url},
                "tui": {"theme": theme},
            },
            "the screenshots",
        )
        app = TermragApp(config, paths, Rag)
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot)
            await stage.until(lambda: app.is_open)
            await stage.rest()
            await lead(stage)
            write(name, app.export_screenshot(title="termrag"))


def write(name: str, svg: str) -> None:
    """Put a picture in its place, without what changes from one to the next or names a host."""
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    print(f"docs/screenshots/{name}.svg")


async def index(url: str, library: Path, documents: Path) -> None:
    from termrag.config import Config
    from termrag.paths import Paths
    from termrag.rag import Rag

    paths = Paths(*(library.parent / part for part in ("config", "data", "cache", "state", "run")))
    values = {
        "library": {"path": str(library)},
        "models": {"embedding": "openai:words"},
        "openai": {"embedding_url": url},
    }
    async with Rag(Config().with_values(values, "the screenshots"), paths) as rag:
        async for _ in rag.ingest([documents]):
            pass


@contextmanager
def samples() -> Iterator[Path]:
    """The sample documents in a folder whose name may be shown."""
    home = Path(tempfile.gettempdir()) / "ada"
    home.mkdir()
    try:
        yield Path(shutil.copytree(ROOT / "tests" / "samples", home / "vessa"))
    finally:
        shutil.rmtree(home)


def main() -> None:
    from embedding_endpoint import served

    os.environ["HF_HUB_OFFLINE"] = "1"
    names = sys.argv[1:] or list(SHOTS)
    with served() as endpoint, tempfile.TemporaryDirectory() as folder, samples() as documents:
        library = Path(folder) / "library"
        asyncio.run(index(endpoint.url, library, documents))
        for name in names:
            asyncio.run(shoot(name, endpoint.url, library))


if __name__ == "__main__":
    main()
