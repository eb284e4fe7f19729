"""Who is calling: an API key, a JSON Web Token, or the user of this machine through the Unix socket."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from termrag.config import ServerSettings
from termrag.errors import ConfigError
from termrag.server.faults import Refused
from termrag.server.keys import SCOPES, Keys
from termrag.server.operations import Scope

_INCLUDES = {"read": {"read"}, "ask": {"read", "ask"}, "write": {"read", "write"}, "admin": set(SCOPES)}


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` stands in the audit log and owns streams and rate limits."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        return any(scope in _INCLUDES[mine] for mine in self.scopes)


LOCAL_USER = Caller("local user", frozenset({"admin"}))


class Auth:
    """Checks what a request brings in `Authorization: Bearer …`, or `X-API-Key`."""

    def __init__(self, keys: Keys, settings: ServerSettings) -> None:
        self._keys = keys
        self._settings = settings
        self._jwt_key = _jwt_key(settings)

    def caller(self, request: web.Request) -> Caller:
        """Who calls. Raises Refused (401) for nobody that is known."""
        if is_local(request):
            return LOCAL_USER
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.holder(token.strip() if kind.lower() == "bearer" else request.headers.get("X-API-Key", ""))

    def holder(self, text: str) -> Caller:
        """Who holds a key or a token. Raises Refused (401)."""
        if key := self._keys.check(text):
            return Caller(f"key {key.id}", frozenset(key.scopes))
        if self._jwt_key and text.count(".") == 2:
            return self._by_token(text)
        what = "the key is not valid" if text else "a key is needed"
        raise Refused(401, "unauthorized", what, "termrag keys create", WWW_Authenticate='Bearer realm="termrag"')

    def _by_token(self, text: str) -> Caller:
        import jwt

        settings = self._settings
        try:
            claims = jwt.decode(
                text,
                self._jwt_key,
                algorithms=[settings.jwt_algorithm],
                audience=settings.jwt_audience,
                issuer=settings.jwt_issuer,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            refusal = Refused(401, "unauthorized", f"the token is not valid: {str(error).lower()}", "get a new token")
            refusal.headers["WWW-Authenticate"] = 'Bearer realm="termrag", error="invalid_token"'
            raise refusal from None
        scopes = claims.get("scope", "")
        named = scopes.split() if isinstance(scopes, str) else []
        return Caller(f"token {claims['sub']}", frozenset(named) & frozenset(SCOPES))


def is_local(request: web.Request) -> bool:
    """Whether the request came through the Unix socket, which only this user may open; peers are checked there."""
    transport = request.transport
    if transport is None:
        return False
    return bool(getattr(transport.get_extra_info("socket"), "family", None) == socket.AF_UNIX)


def _jwt_key(settings: ServerSettings) -> str:
    if not settings.jwt_algorithm:
        return ""
    if not (settings.jwt_key_file and settings.jwt_issuer and settings.jwt_audience):
        raise ConfigError(
            "tokens need server.jwt_key_file, server.jwt_issuer and server.jwt_audience", "termrag config edit"
        )
    try:
        key = Path(settings.jwt_key_file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"server.jwt_key_file: {error}", "termrag config edit") from error
    if settings.jwt_algorithm == "HS256" and len(key) < 32:
        raise ConfigError("server.jwt_key_file: a secret needs 32 characters or more", "openssl rand -hex 32")
    return key
