"""Core values as the API's JSON; the shapes are those of the command line's --json."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from termrag import logs
from termrag.errors import TermragError
from termrag.events import Answered, AskEvent
from termrag.server import faults
from termrag.server.faults import Refused
from termrag.wire import answer, event, plain


def ask_event(value: AskEvent) -> tuple[str, dict[str, Any]]:
    """An event's name and its data."""
    if isinstance(value, Answered):
        return "answered", {"type": "answered", "answer": answer(value.answer)}
    data = event(value)
    return str(data["type"]), data


def json_response(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(plain(value), ensure_ascii=False), status=status, content_type="application/json"
    )


def log_bug(error: BaseException, request_id: str) -> None:
    """The trace of what is no error raised on purpose."""
    if not isinstance(error, TermragError | Refused | web.HTTPException):
        logs.log_bug(f"bug request_id={request_id}", error)


def error_event(error: BaseException, request_id: str) -> str:
    """An error as an event, for what is past answering with a status."""
    log_bug(error, request_id)
    status, fault = faults.fault_of(error, request_id)
    return json.dumps({"type": "error", "status": status, **faults.data(fault)}, ensure_ascii=False)


def invalid(error: ValidationError) -> Refused:
    """What does not fit its type, field by field and without the value: it may be private."""
    parts = []
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        where = ".".join(str(part) for part in each["loc"]) or "body"
        parts.append(f"{where}: {each['msg'][:1].lower()}{each['msg'][1:]}")
    return Refused(422, "invalid", "; ".join(parts), "see /openapi.json")
