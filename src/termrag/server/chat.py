"""The chat in a browser: the page, its assets, signing in, and downloads; the apps themselves are those of `visitors`.

Whoever may chat may do all that this user may, so a key needs the scope admin. A browser signs in with the key once and
holds a cookie that stands for it in this process alone.
"""

from __future__ import annotations

import html
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from aiohttp import web

from termrag.server.faults import Refused
from termrag.server.middlewares import CALLER, STATE
from termrag.server.operations import Scope

if TYPE_CHECKING:
    from termrag.server.visitors import Visitors

COOKIE = "termrag_chat"
_LASTS_S = 12 * 3600
_MOST_SIGNED_IN = 100
# The terminal sets its size and colours in style elements of its own; scripts come from here alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
# `same-origin`: without a referrer a browser would send the form with the origin `null`.
_PAGE = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}
_OWN = {"chat.css": "text/css", "chat.js": "text/javascript"}
_THEIRS = {
    "textual.js": "js/textual.js",
    "xterm.css": "css/xterm.css",
    "mono.ttf": "fonts/RobotoMono-VariableFont_wght.ttf",
    "mono-italic.ttf": "fonts/RobotoMono-Italic-VariableFont_wght.ttf",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SignedIn:
    """Which cookie stands for which key, and until when; kept in memory alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}

    def take(self, key: str) -> str:
        """Remember a key under a new name, which is returned."""
        while len(self._known) >= _MOST_SIGNED_IN:
            del self._known[next(iter(self._known))]
        name = secrets.token_urlsafe(32)
        self._known[name] = (key, self._clock() + _LASTS_S)
        return name

    def key(self, name: str) -> str:
        """The key that a name stands for; nothing if it does no longer."""
        key, until = self._known.get(name, ("", 0.0))
        return key if self._clock() < until else ""

    def forget(self, name: str) -> None:
        self._known.pop(name, None)


_SIGNED_IN = web.AppKey("signed_in", SignedIn)


def add_chat(app: web.Application) -> None:
    """Add the chat's routes. Without textual-serve they say what is missing."""
    try:
        from termrag.server.visitors import Visitors, environ_of
    except ImportError:
        app.router.add_get("/chat", _missing)
        return
    state = app[STATE]
    state.visitors = Visitors(lambda: state.settings.visitors, lambda: environ_of(state.rag.config.library.path))
    app[_SIGNED_IN] = SignedIn()
    app.router.add_get("/chat", _page)
    app.router.add_get("/chat/login", _login_page)
    app.router.add_post("/chat/login", _login)
    app.router.add_post("/chat/logout", _logout)
    app.router.add_get("/chat/ws", _socket)
    app.router.add_get("/download/{key}", _download)  # where the terminal's script looks for it
    app.router.add_get("/chat/static/{name}", _static)
    app.on_shutdown.append(_close)


async def _missing(_: web.Request) -> web.Response:
    raise Refused(501, "not_implemented", "the chat in a browser needs textual-serve", "pip install 'termrag[server]'")


async def _close(app: web.Application) -> None:
    visitors = app[STATE].visitors
    if visitors is not None:
        await visitors.close()


# --- who -----------------------------------------------------------------------------------------------------------


def _let_in(request: web.Request) -> str:
    """The key that a request brings, in the cookie or in its headers. Raises Refused (401, 403)."""
    state = request.app[STATE]
    key = request.app[_SIGNED_IN].key(request.cookies.get(COOKIE, ""))
    caller = state.auth.holder(key) if key else state.auth.caller(request)
    if not caller.may(Scope.ADMIN):
        raise Refused(
            403, "forbidden", "this key has no scope admin, which the chat needs", "termrag keys create --scope admin"
        )
    request[CALLER] = caller
    return key


async def _login_page(_: web.Request) -> web.Response:
    return _login_form()


def _login_form(fault: str = "", status: int = 200) -> web.Response:
    text = _asset("login.html").replace("@FAULT@", html.escape(fault))
    return web.Response(text=text, content_type="text/html", status=status, headers=_PAGE)


async def _login(request: web.Request) -> web.Response:
    """Exchange a key for a cookie."""
    state = request.app[STATE]
    form = await request.post()
    key = str(form.get("key", "")).strip()
    try:
        if not state.auth.holder(key).may(Scope.ADMIN):
            return _login_form("This key has no scope admin, which the chat needs.", 403)
    except Refused:
        state.rate.take(f"unknown {request.remote}")
        return _login_form("The key is not valid.", 401)
    response = web.Response(status=303, headers={"Location": "/chat"})
    response.set_cookie(
        COOKIE,
        request.app[_SIGNED_IN].take(key),
        max_age=_LASTS_S,
        httponly=True,
        samesite="Strict",
        secure=request.secure,
        path="/",
    )
    return response


async def _logout(request: web.Request) -> web.Response:
    request.app[_SIGNED_IN].forget(request.cookies.get(COOKIE, ""))
    response = web.Response(status=303, headers={"Location": "/chat/login"})
    response.del_cookie(COOKIE, path="/")
    return response


# --- the chat ------------------------------------------------------------------------------------------------------


async def _page(request: web.Request) -> web.Response:
    try:
        _let_in(request)
    except Refused as error:
        if "Authorization" in request.headers or error.status != 401:
            raise
        return web.Response(status=303, headers={"Location": "/chat/login"})
    _visitors(request).check()
    return web.Response(text=_asset("chat.html"), content_type="text/html", headers=_PAGE)


async def _socket(request: web.Request) -> web.StreamResponse:
    """The terminal's connection; one of a browser has to come from the page itself."""
    key = _let_in(request)
    origin = request.headers.get("Origin")
    if (key or origin) and urlsplit(origin or "").netloc != request.headers.get("Host"):
        raise Refused(403, "forbidden_origin", "the chat is opened from its own page", "open /chat")

    def still_may() -> bool:
        try:
            return bool(_let_in(request))
        except Refused:
            return False

    return await _visitors(request).visit(request, still_may if key else lambda: True)


async def _download(request: web.Request) -> web.StreamResponse:
    """A file that the app hands out, always as an attachment."""
    _let_in(request)
    downloads = _visitors(request).downloads
    key = request.match_info["key"]
    try:
        offered = await downloads.get_download_metadata(key)
    except KeyError:
        raise web.HTTPNotFound from None
    name = quote(offered.file_name, safe="")
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        }
    )
    await response.prepare(request)
    async for part in downloads.download(key):
        await response.write(part)
    await response.write_eof()
    return response


async def _static(request: web.Request) -> web.StreamResponse:
    import textual_serve

    name = request.match_info["name"]
    headers = {"Cache-Control": "max-age=3600"}
    if name in _OWN:
        return web.Response(text=_asset(name), content_type=_OWN[name], headers=headers)
    if name in _THEIRS:
        return web.FileResponse(Path(textual_serve.__file__).parent / "static" / _THEIRS[name], headers=headers)
    raise web.HTTPNotFound


def _visitors(request: web.Request) -> Visitors:
    visitors = request.app[STATE].visitors
    assert visitors is not None
    return visitors


@cache
def _asset(name: str) -> str:
    return (resources.files("termrag.server") / "assets" / name).read_text(encoding="utf-8")
