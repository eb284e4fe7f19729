"""Bodies and queries of requests against their types; what does not fit is named field by field."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from termrag.server import wire
from termrag.server.faults import Refused


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The checker of a type, made once."""
    return TypeAdapter(kind)


async def checked_body(request: web.Request, kind: Any, timeout_s: float) -> Any:
    """The request's JSON body as a value of `kind`. Raises Refused: 408, 413, 415 or 422."""
    if request.content_type not in ("application/json", "application/octet-stream"):
        raise Refused(415, "unsupported_media_type", f"the body is {request.content_type}, not application/json")
    raw = await read_body(request, timeout_s)
    try:
        return adapter(kind).validate_json(raw or b"{}")
    except ValidationError as error:
        raise wire.invalid(error) from None


async def read_body(request: web.Request, timeout_s: float) -> bytes:
    """All of the body. Raises Refused for a client that stops sending, or sends too much."""
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError:
        raise Refused(408, "timeout", f"no body within {timeout_s:g} s", Connection="close") from None
    except web.HTTPRequestEntityTooLarge:
        raise Refused(413, "too_large", "the body is too large", Connection="close") from None


def checked_query(request: web.Request, kind: Any) -> Any:
    """The query string as a value of `kind`; a name that stands in it several times is a list. Raises Refused."""
    several = {name for name, hint in get_type_hints(kind).items() if "tuple[" in str(hint)}
    values: dict[str, Any] = {}
    for name in request.query:
        values[name] = request.query.getall(name) if name in several else request.query.getall(name)[-1]
    try:
        return adapter(kind).validate_python(values)
    except ValidationError as error:
        raise wire.invalid(error) from None
