"""How requests reach an OpenAI-compatible endpoint: retries, error sentences, the event stream; knows no messages.

A request runs on a thread of its own, because nothing else can end a read that waits for a silent endpoint: `stop`
shuts the socket down, which also tells the endpoint to stop computing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from termrag.engines.generation import Feed
from termrag.errors import ConfigError, EngineFailed

if TYPE_CHECKING:
    import httpx

_RETRIED = (429, 502, 503)
_TRIES = 4
_FIRST_WAIT_S = 0.5  # doubles with every try
_LONGEST_WAIT_S = 20.0
_CONNECT_S = 10.0
_JOIN_S = 2.0
_QUOTED_CHARS = 300


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke in the middle of an answer."""

    why: str


class Endpoint:
    """A base URL such as http://localhost:8000/v1, with the key and the patience for it."""

    def __init__(self, url: str, *, api_key: str, timeout_s: float, model: str) -> None:
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._model = model
        self._api_key = api_key
        self._tls: Any = None
        self._asking: httpx.Client | None = None  # kept open: a prompt is counted many times while it is packed

    def open(self) -> None:
        """Import the client and read the certificates; idempotent. Raises ConfigError for a URL that is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"openai.url is not an http or https URL: {self.url!r}",
                "termrag config set openai.url http://localhost:8000/v1",
            )
        import httpx

        if self._tls is None:
            self._tls = httpx.create_ssl_context() if parts.scheme == "https" else False

    def close(self) -> None:
        """Close what is open; idempotent."""
        if self._asking is not None:
            self._asking.close()
        self._tls = self._asking = None

    def client(self) -> httpx.Client:
        """A new client, for the caller to close."""
        self.open()
        import httpx

        return httpx.Client(
            headers={"Authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            timeout=httpx.Timeout(self.timeout_s, connect=min(_CONNECT_S, self.timeout_s)),
            verify=self._tls,
            trust_env=not _is_loopback(self.url),  # what stays on this machine does not go through a proxy
        )

    def ask(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post to a route beside the API (above /v1) and return the JSON object; empty if there is no such route.
        Raises EngineFailed if the endpoint cannot be reached, or is busy."""
        import httpx

        root = self.url.removesuffix("/v1")
        try:
            self._asking = self._asking or self.client()
            response = self._asking.post(root + route, json=body)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        if response.status_code in _RETRIED:
            raise self.refused(response.status_code, response.text)
        try:
            answer = response.json() if response.status_code == httpx.codes.OK else {}
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def models(self) -> list[str]:
        """The names of the models it has, as it lists them. Raises EngineFailed, ConfigError for a URL that is none."""
        import httpx

        with self.client() as client:
            try:
                response = client.get(f"{self.url}/models")
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise self.unreachable(error) from error
        if response.status_code != httpx.codes.OK:
            raise self.refused(response.status_code, response.text)
        try:
            return [str(entry["id"]) for entry in response.json()["data"]]
        except (ValueError, KeyError, TypeError) as error:
            raise EngineFailed(f"{self.url} answers, but lists no models", f"curl {self.url}/models") from error

    def unreachable(self, error: Exception) -> EngineFailed:
        """The error for an endpoint that does not answer at all."""
        return EngineFailed(f"{self.url} cannot be reached: {error or type(error).__name__}", f"curl {self.url}/models")

    def refused(self, status: int, text: str) -> EngineFailed:
        """The error for a status, with what the endpoint says of it."""
        said = _said(text)
        why = f"{self.url} answered {status}{': ' + said if said else ''}"
        hints = {
            401: "export TERMRAG_OPENAI_API_KEY=…",
            403: "export TERMRAG_OPENAI_API_KEY=…",
            404: f"curl {self.url}/models lists the models; openai.model is {self._model}",
            429: "wait a little and ask again, or termrag config set models.engine auto",
        }
        return EngineFailed(
            why, hints.get(status, f"curl {self.url}/models" if status >= 500 else "termrag config show")
        )


class Exchange:
    """One request and its event stream: `items` gives parsed chunks, then None, Lost, or an EngineFailed."""

    def __init__(self, endpoint: Endpoint, route: str, body: dict[str, Any]) -> None:
        self.items: Feed[dict[str, Any] | Lost | EngineFailed | None] = Feed()
        self._endpoint = endpoint
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, args=(route, body), name="openai", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the request, wherever it stands; the endpoint sees the connection close."""
        self._stopped.set()
        self._shut_down()
        self._thread.join(_JOIN_S)

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # already closed
                self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self, route: str, body: dict[str, Any]) -> None:
        wait_s = 0.0
        for left in range(_TRIES - 1, -1, -1):
            if self._stopped.wait(wait_s):
                return
            backoff_s = _FIRST_WAIT_S * 2 ** (_TRIES - 1 - left)
            asked_s = self._try(route, body, is_last=left == 0)
            if asked_s is None:
                return
            wait_s = max(backoff_s, asked_s)

    def _try(self, route: str, body: dict[str, Any], *, is_last: bool) -> float | None:
        """One attempt. How long the endpoint asks to wait before the next one; None if there shall be none."""
        import httpx

        try:
            with self._endpoint.client() as client:
                request = client.build_request("POST", self._endpoint.url + route, json=body)
                request.extensions["trace"] = self._trace
                response = client.send(request, stream=True)
                with contextlib.closing(response):
                    if response.status_code == httpx.codes.OK:
                        self._read(response)
                        return None
                    return self._refused(response, is_last=is_last)
        except httpx.ConnectError as error:
            if not is_last:
                return 0.0
            self.items.put(self._endpoint.unreachable(error))
        except httpx.ConnectTimeout as error:
            self.items.put(self._endpoint.unreachable(error))
        except httpx.TimeoutException:
            wait = f"{self._endpoint.timeout_s:g} s"
            self.items.put(
                EngineFailed(f"{self._endpoint.url} was silent for {wait}", "termrag config set openai.timeout_s 600")
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.items.put(self._endpoint.unreachable(error))
        return None

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Called by httpcore: remember the socket, so that `stop` can shut it down."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._stopped.is_set():
                self._shut_down()

    def _refused(self, response: httpx.Response, *, is_last: bool) -> float | None:
        asked_s = _retry_after_s(response.headers.get("retry-after", ""))
        if response.status_code in _RETRIED and not is_last and asked_s <= _LONGEST_WAIT_S:
            return asked_s
        text = response.read().decode("utf-8", "replace")
        self.items.put(self._endpoint.refused(response.status_code, text))
        return None

    def _read(self, response: httpx.Response) -> None:
        import httpx

        try:
            for data in _events(response.iter_bytes()):
                if data == b"[DONE]":
                    break
                if isinstance(chunk := json.loads(data), dict):
                    self.items.put(chunk)
        except (httpx.HTTPError, ValueError) as error:
            self.items.put(Lost(str(error) or type(error).__name__))
            return
        self.items.put(None)


def _events(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event. Lines end at a newline alone: JSON may hold other line separators."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _retry_after_s(value: str) -> float:
    """Seconds of a Retry-After header; 0 if it has none. Source: RFC 9110, section 10.2.3."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _said(text: str) -> str:
    """The endpoint's own words for an error, on one line."""
    try:
        answer = json.loads(text)
        error = answer.get("error", answer)
        text = error if isinstance(error, str) else error.get("message") or text
    except (ValueError, AttributeError):
        pass
    if text.lstrip().startswith("<"):  # a page for a browser
        return ""
    return " ".join(text.split())[:_QUOTED_CHARS]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
