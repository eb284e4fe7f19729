"""What the full-screen chat costs: its first frame, a long answer as it streams, a long conversation as it opens.

python bench/tui.py [frame] [stream] [open] [documents] [--runs 7]

frame   seconds and processor seconds until the input is painted, beside a Textual app of one Static widget
stream  4,000 tokens at 100 a second: key press to echo, processor share, cost of a token early and late, scroll
open    a kept conversation of 1,000 messages: from asking for it to the screen taking keys
documents  a library of 10,000 documents: opening the list; keys, letters of a filter and sorting, each to its paint
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import itertools
import json
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = (120, 40)
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("ready to paint")
Bare().run()
"""
TOKENS, PER_SECOND = 4000, 100


def report(bench: str, **values: Any) -> None:
    print(json.dumps({"bench": f"tui {bench}", **values}), flush=True)


# --- the first frame ---------------------------------------------------------------------------------------------


def painted(command: list[str], mark: bytes, environ: dict[str, str]) -> tuple[float, float]:
    """Seconds, and processor seconds, from the start of a command to a text on its screen."""
    begun = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, environ)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    seen = b""
    while mark not in seen:
        if not select.select([terminal], [], [], 60)[0]:
            raise SystemExit(f"{command[-1]} painted nothing: {seen[-300:]!r}")
        seen += os.read(terminal, 65536)
    seconds = time.perf_counter() - begun
    os.kill(child, signal.SIGKILL)
    _, _, usage = os.wait4(child, 0)
    os.close(terminal)
    return seconds, usage.ru_utime + usage.ru_stime


def frame(runs: int) -> None:
    """The fastest of several runs of each, taken in turns."""
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "TERMRAG_HOME": home, "TERM": "xterm-256color", "COLORFGBG": "15;0"}
        environ.pop("NO_COLOR", None)
        apps = {
            "bare": ([sys.executable, "-c", BARE], b"ready to paint"),
            "termrag": ([sys.executable, "-m", "termrag"], b"our documents"),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in apps}
        for _ in range(runs):
            for name, (command, mark) in apps.items():
                taken[name].append(painted(command, mark, environ))
    best = {name: tuple(min(each[i] for each in times) for i in (0, 1)) for name, times in taken.items()}
    for name, (seconds, processor) in best.items():
        report("frame", app=name, seconds=round(seconds, 3), processor_seconds=round(processor, 3))
    ratio, processor = (best["termrag"][i] / best["bare"][i] for i in (0, 1))
    report("frame", ratio=round(ratio, 2), processor_ratio=round(processor, 2), budget=1.6)


# --- a long answer -----------------------------------------------------------------------------------------------


def answer_text() -> str:
    """Prose, lists, code and tables, as a model mixes them."""
    part = (
        "## Part {n}\n\nThe **causeway** was built in 1891 and is `420 m` long, which is far for a path of grey stone. "
        "It was mended twice, as the [keeper](https://example.org) writes, and it is dry for four hours a day.\n\n"
        "- the first stone\n- the second stone, which is longer than the first one and must be wrapped somewhere\n"
        "- the third\n\n```python\ndef crossing(low_water: float) -> tuple[float, float]:\n"
        "    # hours before and after\n    return low_water - 2, low_water + 2\n```\n\n"
        "| day | low water | safe |\n|---|---|---|\n| 1 | 06:12 | yes |\n| 2 | 07:01 | no |\n\n"
    )
    return "".join(part.format(n=n) for n in range(80))


def tokens(text: str) -> list[str]:
    import re

    return re.findall(r"\s*\w{1,6}|\s*[^\w\s]|\s+", text)[:TOKENS]


@contextmanager
def app_in(home: Path) -> Iterator[Any]:
    from termrag.config import Config
    from termrag.paths import Paths
    from termrag.rag import Rag
    from termrag.tui.app import TermragApp

    paths = Paths(*(home / name for name in ("config", "data", "cache", "state", "run")))
    paths.make()
    scripted = {"engine": "scripted", "script": "x"}  # a model that is here: nothing leads to the first answer
    config = Config().with_values({"tui": {"theme": "termrag-dark"}, "models": scripted}, "bench")
    yield TermragApp(config, paths, Rag)


async def stream_once(app: Any, *, scrolled: bool) -> dict[str, Any]:
    """Feed an answer at its pace while keys are pressed, and measure."""
    from termrag.events import Token
    from termrag.tui.asking import Asking, Order
    from termrag.tui.entries import Question, Reply

    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1)
        screen = app.screen
        order = Order("How was it built?")
        asking = Asking(order, Question("q", order.question, time.time()), Reply("r", lambda target: "x"), TOKENS)
        screen.transcript.add(asking.question, asking.reply)
        screen.asking = asking
        echoes: list[float] = []
        costs: list[float] = []
        pieces = tokens(answer_text())
        begun, before = time.perf_counter(), time.process_time()
        kept = None
        for number, piece in enumerate(pieces):
            asking.take(Token(piece))
            if number % 500 == 0:
                costs.append(time.process_time())
            if number % 50 == 25:
                echoes.append(await echo(screen))
            if scrolled and number == 1000:
                screen.transcript.scroll_to(y=5, animate=False, immediate=True)
                kept = screen.transcript.scroll_y
            behind = begun + (number + 1) / PER_SECOND - time.perf_counter()
            await asyncio.sleep(max(behind, 0))
        seconds = time.perf_counter() - begun
        costs.append(time.process_time())
        share = (costs[-1] - before) / seconds
        screen.asking = None
        steps = [later - earlier for earlier, later in itertools.pairwise(costs)]
        moved = kept is not None and screen.transcript.scroll_y != kept
    echoes.sort()
    return {
        "tokens": len(pieces),
        "processor_share": round(share, 3),
        "echo_ms_p50": round(echoes[len(echoes) // 2] * 1000, 1),
        "echo_ms_p95": round(echoes[int(len(echoes) * 0.95)] * 1000, 1),
        "cost_last_to_first": round(steps[-1] / steps[1], 2),
        "scroll_moved": moved,
        "behind_s": round(seconds - len(pieces) / PER_SECOND, 2),
    }


async def echo(screen: Any) -> float:
    """Seconds from a key press to the letter in the painted input."""
    from textual.events import Key

    composer = screen.composer
    before = composer.text
    begun = time.perf_counter()
    screen.app.post_message(Key("x", "x"))
    while composer.text == before:
        await asyncio.sleep(0)
    painted = asyncio.Event()
    screen.call_after_refresh(painted.set)
    await painted.wait()
    return time.perf_counter() - begun


def stream() -> None:
    for scrolled in (False, True):
        with tempfile.TemporaryDirectory() as home, app_in(Path(home)) as app:
            report("stream", scrolled_up=scrolled, **asyncio.run(stream_once(app, scrolled=scrolled)))


# --- a long conversation -----------------------------------------------------------------------------------------


def long_session(turns: int) -> Any:
    from termrag.records import Answer, Sentence, Support, Verdict
    from termrag.turns import Session, SessionInfo, Turn, TurnState

    text = answer_text()[:900]

    def turn(number: int) -> Turn:
        answer = Answer(f"Question {number}?", Verdict.GENERAL, text, text, (Sentence(text, Support.NEUTRAL),))
        return Turn(f"t{number}", "s", number, f"Question {number}?", "", TurnState.DONE, 1.7e9 + number, answer)

    return Session(SessionInfo("s", "Long", 1.7e9, 1.7e9, turns), tuple(turn(n) for n in range(turns)))


async def open_once(app: Any) -> dict[str, Any]:
    session = long_session(500)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1)
        app.screen.show_session(long_session(4))
        await pilot.pause(1)
        begun, before = time.perf_counter(), time.process_time()
        app.screen.show_session(session)
        ready = asyncio.Event()
        app.screen.call_after_refresh(ready.set)
        await ready.wait()
        seconds, processor = time.perf_counter() - begun, time.process_time() - before
        typed = await echo(app.screen)
        begun = time.perf_counter()
        app.screen.transcript.action_first()
        while "Question 0?" not in (line.text if (line := app.screen.transcript.line_at(1)) else ""):
            await asyncio.sleep(0.005)
        home = time.perf_counter() - begun
    return {
        "messages": 1000,
        "interactive_ms": round((seconds + typed) * 1000, 1),
        "processor_ms": round(processor * 1000, 1),
        "to_first_message_ms": round(home * 1000, 1),
    }


def opening() -> None:
    with tempfile.TemporaryDirectory() as home, app_in(Path(home)) as app:
        report("open", **asyncio.run(open_once(app)))


# --- a large library ---------------------------------------------------------------------------------------------


def fill_ledger(folder: Path, number: int) -> None:
    """A ledger of so many documents, as an ingest leaves it."""
    from termrag.ledger import FileEntry, Ledger
    from termrag.records import Document, DocumentState

    def document(n: int) -> Document:
        state = DocumentState.FAILED if n % 500 == 0 else DocumentState.INDEXED
        path = f"/home/someone/papers/{n % 40:02}/{n:05} report on the harbour.{('md', 'pdf', 'docx')[n % 3]}"
        return Document(
            f"{n:032x}", path, state, 1000 + 37 * n, 1_700_000_000_000_000_000 + n, f"{n:032x}", chunks=n % 50
        )

    documents = [document(n) for n in range(number)]
    entries = [
        FileEntry(each.id, each.path, each.state, 1, n, each.size_bytes, each.modified_ns, "", "1")
        for n, each in enumerate(documents)
    ]
    with Ledger(folder) as ledger, ledger.lock():
        ledger.finish(documents, entries)


async def painted_after(app: Any, key: str, character: str | None, is_done: Any) -> tuple[float, float]:
    """Milliseconds, and milliseconds of the processor, from a key press to the paint of what it does."""
    from textual.events import Key

    begun, before = time.perf_counter(), time.process_time()
    app.post_message(Key(key, character))
    while not is_done():
        await asyncio.sleep(0)
    drawn = asyncio.Event()
    app.screen.call_after_refresh(drawn.set)
    await drawn.wait()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - before) * 1000


def spread(taken: list[tuple[float, float]]) -> dict[str, float]:
    wall, processor = (sorted(each[i] for each in taken) for i in (0, 1))
    middle, late = len(taken) // 2, int(len(taken) * 0.95)
    return {"p50": round(wall[middle], 1), "p95": round(wall[late], 1), "processor_p50": round(processor[middle], 1)}


async def documents_once(app: Any, number: int) -> dict[str, Any]:
    from termrag.tui.screens.documents import DocumentsScreen

    fill_ledger(app.paths.library, number)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1)
        begun, before = time.perf_counter(), time.process_time()
        app.action_open("documents")
        screen = app.screen
        assert isinstance(screen, DocumentsScreen)
        while not screen.is_mounted or len(screen.table.rows) < number:
            await asyncio.sleep(0.001)
        await pilot.pause()
        opened, processor = (time.perf_counter() - begun) * 1000, (time.process_time() - before) * 1000
        table = screen.table

        async def keys(key: str, times: int) -> dict[str, float]:
            taken = []
            for _ in range(times):
                at = table.cursor
                taken.append(await painted_after(app, key, None, lambda at=at: table.cursor != at))
            return spread(taken)

        async def letters(text: str) -> dict[str, float]:
            screen.action_filter()
            await pilot.pause()
            taken = []
            for letter in text:
                wanted = screen.filter.value + letter
                key = "space" if letter == " " else letter
                taken.append(await painted_after(app, key, letter, lambda wanted=wanted: screen.filter.value == wanted))
            return spread(taken)

        async def sorts() -> dict[str, float]:
            screen.action_leave()
            await pilot.pause()
            taken = []
            for _ in range(14):
                order = table.sort
                taken.append(await painted_after(app, "s", "s", lambda order=order: table.sort != order))
            return spread(taken)

        return {
            "documents": number,
            "open_ms": round(opened, 1),
            "open_processor_ms": round(processor, 1),
            "down_ms": await keys("down", 100),
            "page_ms": await keys("pagedown", 100),
            "letter_ms": await letters("00 report pdf"),
            "sort_ms": await sorts(),
        }


def documents(number: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as home, app_in(Path(home)) as app:
        report("documents", **asyncio.run(documents_once(app, number)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", default=["frame", "stream", "open", "documents"], help="frame, stream, open, documents"
    )
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    if "frame" in options.what:
        frame(options.runs)
    if "stream" in options.what:
        stream()
    if "open" in options.what:
        opening()
    if "documents" in options.what:
        documents()


if __name__ == "__main__":
    main()
