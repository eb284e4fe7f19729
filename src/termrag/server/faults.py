"""Errors as clients see them: one JSON shape, with the status of the error's kind; a bug is logged, not shown."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from termrag.errors import TermragError


@dataclass(frozen=True, slots=True)
class Fault:
    """The body of every error. `hint` is what to do about it; `request_id` finds it in the log."""

    error: str
    message: str
    hint: str
    request_id: str


@dataclass(frozen=True, slots=True)
class OpenAIError:
    """What went wrong, as clients of OpenAI's API read it. `type` is the class of the error, `code` its name here."""

    message: str
    type: str
    param: str | None
    code: str
    hint: str
    request_id: str


@dataclass(frozen=True, slots=True)
class OpenAIFault:
    """The body of every error under /v1."""

    error: OpenAIError


class Refused(Exception):  # noqa: N818 - an answer, not an accident
    """A request that is turned away before the core sees it."""

    def __init__(self, status: int, error: str, message: str, hint: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message, self.hint = status, error, message, hint
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def kind_of(error: TermragError) -> str:
    """`library_busy` of LibraryBusy."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def fault_of(error: BaseException, request_id: str) -> tuple[int, Fault]:
    """Status and body. What is neither a TermragError nor a refusal is a bug and says nothing of itself."""
    match error:
        case Refused():
            return error.status, Fault(error.error, error.message, error.hint, request_id)
        case TermragError():
            return error.http_status, Fault(kind_of(error), error.message, error.hint, request_id)
        case web.HTTPException():
            return error.status, Fault(_snake(error.reason), error.reason.lower(), "", request_id)
        case _:
            return 500, Fault("internal", "something went wrong here", "the log has the details", request_id)


def openai_fault(status: int, fault: Fault) -> tuple[int, OpenAIFault]:
    """The same in OpenAI's shape, whose clients know 400 for all that is wrong with a request."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = _OPENAI_CODES.get(fault.error, fault.error)
    error = OpenAIError(fault.message, kind, None, code, fault.hint, fault.request_id)
    return 400 if status == 422 else status, OpenAIFault(error)


_OPENAI_CODES = {
    "unauthorized": "invalid_api_key",
    "too_many_requests": "rate_limit_exceeded",
    "question_too_long": "context_length_exceeded",
}


def response(error: BaseException, request_id: str, *, openai: bool = False) -> web.Response:
    """The answer to a request that failed, in the one shape, or in OpenAI's."""
    status, fault = fault_of(error, request_id)
    body: Any = data(fault)
    if openai:
        status, wrapped = openai_fault(status, fault)
        body = asdict(wrapped)
    headers = dict(getattr(error, "headers", {}) or {}) if isinstance(error, Refused) else {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return web.json_response(body, status=status, headers=headers)


def data(fault: Fault) -> dict[str, Any]:
    return {"error": fault.error, "message": fault.message, "hint": fault.hint, "request_id": fault.request_id}


def text(fault: Fault) -> str:
    return json.dumps(data(fault), ensure_ascii=False)


def _snake(reason: str) -> str:
    return re.sub(r"[^a-z]+", "_", reason.lower()).strip("_")
