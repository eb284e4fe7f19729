"""What errors of qdrant-client mean, over HTTP and over gRPC: what passes, and what the user has to do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from termrag.errors import StoreUnavailable, StoreUnreachable
from termrag.stores.line import Fault

_START = "Start the server, or check qdrant.url: termrag config show"
_KEY = "Set TERMRAG_QDRANT_API_KEY, or qdrant.api_key_file"
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_GRPC_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL"}
_GRPC_STATUS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404}


def judge(url: str, collection: str, error: Exception) -> Fault | None:
    """The fault behind an error that a call raised; None for a mistake of our own."""
    import httpx
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, ResourceExhaustedResponse):
        wait_s = float(getattr(error, "retry_after_s", 0) or 0)
        return Fault(_silent(url, "it is overloaded"), passes=True, wait_s=wait_s)
    if isinstance(error, ResponseHandlingException):
        return _unheard(url, error.source)
    if isinstance(error, httpx.TransportError | OSError):
        return _unheard(url, error)
    if isinstance(error, UnexpectedResponse):
        text = error.content.decode("utf-8", "replace") if error.content else ""
        return _answered(url, collection, error.status_code or 0, text, _retry_after_s(error))
    code = getattr(error, "code", None)
    if callable(code) and type(error).__module__.startswith("grpc"):
        return _grpc(url, collection, error)
    return None


def _unheard(url: str, source: Any) -> Fault:
    import httpx

    if isinstance(source, httpx.ConnectTimeout | httpx.ConnectError):
        return Fault(_silent(url, _why(source)), passes=True, was_heard=False)
    if isinstance(source, httpx.TimeoutException):
        return Fault(_silent(url, "it took too long"), passes=True)
    if isinstance(source, httpx.TransportError | OSError):
        return Fault(_silent(url, _why(source)), passes=True, was_heard=False)
    return Fault(StoreUnavailable(f"what answers at {url} is no Qdrant: {_why(source)}", _START))


def _answered(url: str, collection: str, status: int, text: str, wait_s: float) -> Fault:
    if "No space left" in text or "isk is full" in text or "out of disk" in text.lower():
        return Fault(
            StoreUnavailable(f"the disk of Qdrant at {url} is full", "Free some space there, then run it again.")
        )
    if status in (401, 403):
        return Fault(StoreUnavailable(f"Qdrant at {url} does not accept the API key", _KEY))
    if status == 404:
        return Fault(StoreUnavailable(f"there is no collection {collection} at {url}", "termrag add PATH"))
    if status in _PASSING:
        return Fault(_silent(url, f"it answered {status}"), passes=True, wait_s=wait_s)
    return Fault(StoreUnavailable(f"Qdrant at {url} refused a request ({status}): {text[:300]}", "termrag doctor"))


def _grpc(url: str, collection: str, error: Any) -> Fault:
    name = error.code().name
    details = str(error.details() or "")
    if name in _GRPC_STATUS:
        return _answered(url, collection, _GRPC_STATUS[name], details, 0.0)
    if name in _GRPC_PASSING and "No space left" not in details:
        return Fault(_silent(url, name.lower().replace("_", " ")), passes=True, was_heard=name != "UNAVAILABLE")
    return _answered(url, collection, 400, details, 0.0)


def _silent(url: str, why: str) -> StoreUnreachable:
    return StoreUnreachable(f"Qdrant at {url} does not answer: {why}", _START)


def _why(source: Any) -> str:
    return str(source).strip()[:200] or type(source).__name__


def _retry_after_s(error: Any) -> float:
    with suppress(TypeError, ValueError, AttributeError):
        return float(error.headers.get("retry-after", 0))
    return 0.0
