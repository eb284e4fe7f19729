"""A real headless Chromium, driven by its DevTools protocol; nothing but aiohttp is needed for it."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_ESCAPES = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b\][^\x07\x1b]*")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-dev-shm-usage",
    "--no-default-browser-check", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


@dataclass
class Page:
    """One tab. `hosts` are all that it asked for anything; `shown` is what came for the terminal."""

    socket: aiohttp.ClientWebSocketResponse
    hosts: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    downloads: dict[str, str] = field(default_factory=dict)
    _raw: bytearray = field(default_factory=bytearray)
    _waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        await self.socket.send_json({"id": self._number, "method": method, "params": params})
        return await asyncio.wait_for(answer, 30)

    async def listen(self) -> None:
        async for message in self.socket:
            data = message.json()
            if "id" in data:
                answer = self._waiting.pop(data["id"])
                if "error" in data:
                    answer.set_exception(AssertionError(data["error"]))
                else:
                    answer.set_result(data["result"])
            else:
                self._note(data["method"], data["params"])
                self._more.set()

    def _note(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self._asked(params["request"]["url"])
            case "Network.webSocketCreated":
                self._asked(params["url"])
            case "Network.webSocketFrameReceived" if params["response"]["opcode"] == 2:
                self._raw += base64.b64decode(params["response"]["payloadData"])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.problems.append(str(params["exceptionDetails"]))

    def _asked(self, url: str) -> None:
        if found := re.match(r"\w+://([^/]+)", url):
            self.hosts.add(found[1])

    @property
    def shown(self) -> str:
        """All text that was ever drawn, without what places and colours it."""
        return re.sub(
            r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b\][^\x07\x1b]*", "", self._raw.decode("utf-8", "replace")
        )

    async def until(self, holds: Callable[[], object], timeout_s: float = 60) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def open(self, url: str, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.call("Page.navigate", url=url)

    async def evaluate(self, code: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        return result["result"].get("value")

    async def true(self, code: str, timeout_s: float = 30) -> None:
        """Wait until a condition of the page holds."""
        async with asyncio.timeout(timeout_s):
            while not await self.evaluate(f"Boolean({code})"):
                await asyncio.sleep(0.05)

    async def type(self, text: str) -> None:
        for letter in text:
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter, unmodifiedText=letter)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=letter)

    async def press(self, key: str, code: int, modifiers: int = 0, text: str = "") -> None:
        same = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **same)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    async def enter(self, modifiers: int = 0) -> None:
        await self.press("Enter", 13, modifiers, "\r")

    async def screenshot(self, file: Path) -> None:
        result = await self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(result["data"]))


@asynccontextmanager
async def browser() -> AsyncIterator[Callable[[], Any]]:
    """Chromium with a profile of its own; yields what opens a tab."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    listeners: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(rb"ws://(127\.0\.0\.1:\d+)/", await process.stderr.readline())):
                pass
        draining = asyncio.create_task(process.stderr.read())
        base = f"http://{found[1].decode()}"
        async with aiohttp.ClientSession() as client:

            async def tab() -> Page:
                async with client.put(f"{base}/json/new") as answer:
                    address = (await answer.json())["webSocketDebuggerUrl"]
                page = Page(await client.ws_connect(address, max_msg_size=0))
                listeners.append(asyncio.create_task(page.listen()))
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                return page

            yield tab
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        shutil.rmtree(profile, ignore_errors=True)
