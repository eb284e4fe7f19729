"""The chat's process of each visitor in a browser: started without a shell, fed by a WebSocket, ended with it.

The protocol between page, server and app is textual-serve's; who may come, and how many, is seen to here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from termrag.logs import logger
from termrag.server.faults import Refused

_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "USER", "LOGNAME")
_PREFIXES = ("LC_", "XDG_", "TERMRAG_", "TEXTUAL_", "TERM_PROGRAM")
_PATIENCE_S = 2.0  # for an app to end by itself
_CLOSING_S = 2.0  # for a page to say that it has heard of the end
_LOOK_S = 10.0  # between two looks at whether a visitor still may


class _App(AppService):
    """One app, run as `command` says, with no more of this process's environment than it needs."""

    def __init__(self, command: tuple[str, ...], environ: Mapping[str, str], **ways: Any) -> None:
        super().__init__("", **ways)
        self._command = command
        self._extra = environ
        self._complaints: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        full = super()._build_environment(width, height)
        kept = {name: value for name, value in full.items() if name in _PASSED_ON or name.startswith(_PREFIXES)}
        return {**kept, "COLUMNS": str(width), "ROWS": str(height), **self._extra}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=self._build_environment(width, height)
        )
        self._process, self._stdin = process, process.stdin
        assert process.stderr is not None
        self._complaints = asyncio.create_task(_to_log(process.stderr))
        process.stderr = asyncio.StreamReader()  # else all of it would go to this process's stdout
        process.stderr.feed_eof()
        return process

    async def end(self) -> None:
        """Ask the app to leave; end its process if it does not. Whoever waits may be cancelled, the ending is not."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    def when_ended(self, call: Callable[[], object]) -> None:
        """Begin to end, and call when it has."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        self._ending.add_done_callback(lambda _: call())

    async def _end(self) -> None:
        process = self._process
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self.stop()
                if process is not None:
                    await process.wait()
        except (TimeoutError, ConnectionError):
            pass
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
            if self._complaints is not None:  # what the app has started may hold the pipe open
                await asyncio.wait({self._complaints}, timeout=_PATIENCE_S)
                self._complaints.cancel()


async def _to_log(stream: asyncio.StreamReader) -> None:
    if said := await stream.read():
        logger.error("a chat in a browser: %s", said[-4000:].decode("utf-8", "replace"))


class Visitors:
    """At most `most()` chats at once."""

    def __init__(self, most: Callable[[], int], environ: Callable[[], Mapping[str, str]]) -> None:
        self.downloads = DownloadManager()
        self._most = most
        self._environ = environ
        self._open: dict[web.WebSocketResponse, _App | None] = {}

    @property
    def count(self) -> int:
        return len(self._open)

    def check(self) -> None:
        """Raise Refused (503) if nobody more may come."""
        if self.count >= self._most():
            raise Refused(503, "busy", "too many chats are open", "close another one, or raise server.visitors")

    async def visit(self, request: web.Request, still_may: Callable[[], bool]) -> web.WebSocketResponse:
        """One visitor's chat, until the page is closed, the app is left, or `still_may` no longer holds."""
        self.check()
        page = web.WebSocketResponse(timeout=_CLOSING_S, heartbeat=15.0, max_msg_size=1 << 20)
        self._open[page] = None
        watching: asyncio.Task[None] | None = None
        app: _App | None = None
        try:
            await page.prepare(request)
            app = _App(
                (sys.executable, "-m", "termrag", "chat"),
                self._environ(),
                write_bytes=page.send_bytes,
                write_str=page.send_str,
                close=page.close,
                download_manager=self.downloads,
            )
            self._open[page] = app
            await app.start(_size(request, "width", 80, 20, 500), _size(request, "height", 24, 5, 200))
            watching = asyncio.create_task(_close_unless(page, still_may))
            await _pass_on(page, app)
        finally:
            if watching is not None:
                watching.cancel()
            if app is None:
                del self._open[page]
            else:  # counted until its process is gone, also when the page's handler is cancelled meanwhile
                app.when_ended(lambda: self._open.pop(page, None))
                await app.end()
        return page

    async def close(self) -> None:
        """End all chats; the pages say so."""
        pages = [page.close(code=1001) for page in self._open]
        apps = [app.end() for app in self._open.values() if app is not None]
        await asyncio.gather(*pages, *apps, return_exceptions=True)


async def _close_unless(page: web.WebSocketResponse, still_may: Callable[[], bool]) -> None:
    while still_may():
        await asyncio.sleep(_LOOK_S)
    await page.close(code=1008)


async def _pass_on(page: web.WebSocketResponse, app: _App) -> None:
    """What the page sends, to the app; what is no message of textual-serve's ends the chat."""
    async for message in page:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            match message.json():
                case ["stdin", str(typed)]:
                    await app.send_bytes(typed.encode("utf-8", "replace"))
                case ["resize", {"width": int(width), "height": int(height)}]:
                    await app.set_terminal_size(min(max(width, 20), 500), min(max(height, 5), 200))
                case ["ping", sent]:
                    await page.send_json(["pong", sent])
                case ["blur", *_]:
                    await app.blur()
                case ["focus", *_]:
                    await app.focus()
        except (ValueError, ConnectionError):
            break


def _size(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    with contextlib.suppress(ValueError):
        return min(max(int(request.query.get(name, default)), least), most)
    return default


def environ_of(library: str) -> dict[str, str]:
    """What a visitor's app is told beside what this process was told: to attach to this host, and its library."""
    told = {"TERMRAG_LIBRARY_PATH": library} if library else {}
    return {**told, "TERMRAG_CHAT_HOST": str(os.getpid())}
