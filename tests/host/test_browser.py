"""The chat in a real browser: who is let in, what is typed and shown, and what is left when the page is closed."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from host.browser import CHROMIUM, Page, browser
from host.conftest import LENGTH, MakePlace, Place

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

_SCREENSHOTS = os.environ.get("TERMRAG_SCREENSHOTS", "")  # a folder to look at them in
QUESTION = "How long is the causeway?"


def key_of(place: Place, scope: str = "admin") -> str:
    return place.run("keys", "create", "browser", "--scope", scope).out.strip()


def address_of(place: Place) -> str:
    return str(json.loads(place.run("serve", "--status", "--json").out)["address"])


def children_of(pid: int) -> list[int]:
    """The living processes below one, from /proc."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(folder.name))
    return found


async def sign_in(page: Page, address: str, key: str, size: tuple[int, int]) -> None:
    await page.open(f"{address}/chat", *size)
    await page.true("document.querySelector('#key')")
    await page.evaluate(f"document.querySelector('#key').value = {json.dumps(key)}")
    await page.evaluate("document.querySelector('form').requestSubmit()")
    await page.true("document.body.classList.contains('-first-byte')", 60)
    await page.evaluate("document.querySelector('textarea').focus()")


@pytest.fixture
async def screenshots(tmp_path: Path) -> AsyncIterator[Path]:
    folder = Path(_SCREENSHOTS or tmp_path)
    folder.mkdir(exist_ok=True)
    yield folder


@pytest.mark.parametrize(("name", "size"), [("desktop", (1280, 800)), ("phone", (390, 700))])
async def test_a_question_is_typed_sent_and_answered(
    place: Place, screenshots: Path, name: str, size: tuple[int, int]
) -> None:
    server = await asyncio.to_thread(place.serve)
    address, key = address_of(place), key_of(place)
    async with browser() as tab:
        page = await tab()
        await page.open(f"{address}/chat/login", *size)
        await page.true("document.querySelector('#key')")
        await page.screenshot(screenshots / f"login-{name}.png")
        await sign_in(page, address, key, size)
        await page.until(lambda: "Ask" in page.shown)
        await page.type(QUESTION)
        await page.screenshot(screenshots / f"typed-{name}.png")
        await page.enter()
        await page.until(lambda: "420 metres" in page.shown)
        await asyncio.sleep(1)  # for the picture: the last frame is being painted
        await page.screenshot(screenshots / f"answered-{name}.png")
        assert page.hosts == {urlsplit(address).netloc}
        assert page.problems == []
        assert len(children_of(server.pid)) == 1
        await page.call("Page.close")
        async with asyncio.timeout(6):
            while children_of(server.pid):
                await asyncio.sleep(0.05)
    shown = json.loads(place.run("sessions", "show", "last", "--json").out)
    assert [turn["answer"]["text"] for turn in shown["turns"]] == [LENGTH]


async def test_the_app_in_the_browser_uses_the_models_of_the_server(place: Place) -> None:
    server = await asyncio.to_thread(place.serve)
    address, key = address_of(place), key_of(place)
    async with browser() as tab:
        page = await tab()
        await sign_in(page, address, key, (1280, 800))
        await page.type(QUESTION)
        await page.enter()
        await page.until(lambda: "420 metres" in page.shown)
        (child,) = children_of(server.pid)
        mapped = Path(f"/proc/{child}/maps").read_text()
        assert "lancedb" not in mapped and "onnxruntime" not in mapped


async def test_shift_enter_makes_a_line_and_does_not_send(place: Place) -> None:
    await asyncio.to_thread(place.serve)
    address, key = address_of(place), key_of(place)
    async with browser() as tab:
        page = await tab()
        await sign_in(page, address, key, (1280, 800))
        await page.type("How long")
        await page.enter(modifiers=8)
        await page.type("is the causeway?")
        await page.enter()
        await page.until(lambda: "420 metres" in page.shown)
    (turn,) = json.loads(place.run("sessions", "show", "last", "--json").out)["turns"]
    assert turn["question"] == "How long\nis the causeway?"


async def test_what_is_exported_is_downloaded(place: Place, tmp_path: Path) -> None:
    await asyncio.to_thread(place.serve)
    address, key = address_of(place), key_of(place)
    async with browser() as tab:
        page = await tab()
        await sign_in(page, address, key, (1280, 800))
        await page.type(QUESTION)
        await page.enter()
        await page.until(lambda: "420 metres" in page.shown)
        folder = tmp_path / "downloads"
        await page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        await page.press("g", 71, modifiers=2)
        await page.until(lambda: "HTML" in page.shown)
        await page.enter()
        async with asyncio.timeout(20):
            while not [each for each in (folder.iterdir() if folder.exists() else ()) if each.suffix == ".md"]:
                await asyncio.sleep(0.05)
        (file,) = folder.iterdir()
        assert LENGTH in file.read_text()


async def test_who_has_no_right_to_it_gets_no_chat(make_place: MakePlace) -> None:
    place = make_place(server={"visitors": 1})
    server = await asyncio.to_thread(place.serve)
    address, key, reader = address_of(place), key_of(place), key_of(place, "ask")
    host = urlsplit(address).netloc
    good = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:

        async def status(path: str, method: str = "GET", **options: object) -> int:
            async with client.request(method, path, allow_redirects=False, **options) as answer:  # type: ignore[arg-type]
                return answer.status

        assert await status("/chat") == 303
        assert await status("/chat/ws") == 401
        assert await status("/chat/ws", headers={"Cookie": "termrag_chat=guess"}) == 401
        assert await status("/chat", headers={"Authorization": "Bearer no"}) == 401
        assert await status("/chat", headers={"Authorization": f"Bearer {reader}"}) == 403
        assert await status("/chat", headers={**good, "Host": "evil.example"}) == 403
        assert await status("/chat", headers={**good, "Origin": "https://evil.example"}) == 403
        assert await status("/chat/login", "POST", data={"key": "no"}) == 401
        assert await status("/chat/login", "POST", data={"key": reader}) == 403
        assert await status("/download/none", headers=good) == 404
        assert await status("/chat/static/..%2f..%2fserver.py") == 404
        async with client.post("/chat/login", data={"key": key}, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and key not in cookie
        assert await status("/chat") == 200
        assert await status("/chat/ws") == 403  # a cookie without an origin comes from no page
        origin = {"Origin": f"http://{host}"}
        async with client.ws_connect("/chat/ws?width=80&height=24", headers=origin) as page:
            assert (await page.receive()).type is aiohttp.WSMsgType.BINARY
            assert await status("/chat") == 503
            assert await status("/chat/ws", headers=origin) == 503
            await page.send_json({"no": "message"})
            await page.send_str("no json at all")
        async with asyncio.timeout(6):
            while children_of(server.pid) or await status("/chat") != 200:
                await asyncio.sleep(0.05)
        assert await status("/chat/logout", "POST") == 303
        assert await status("/chat") == 303


async def test_stopping_the_server_ends_the_visitors(place: Place) -> None:
    server = await asyncio.to_thread(place.serve)
    address, key = address_of(place), key_of(place)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(address, headers=headers) as client, client.ws_connect("/chat/ws") as page:
        await page.receive()
        (child,) = children_of(server.pid)
        stopping = place.open("serve", "--stop")
        while (await page.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
        assert await asyncio.to_thread(stopping.wait, 20) == 0
    assert server.wait(1) == 0
    assert not Path(f"/proc/{child}").exists()
