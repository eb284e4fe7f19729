"""Sentence embeddings from any OpenAI-compatible endpoint, over HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from termrag.errors import EngineFailed

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 32  # servers cap the texts of one request; 32 is the smallest cap in common use
_MAX_TOKENS = 512  # the shortest window in common use; endpoints do not state theirs
_BYTES_PER_TOKEN = 3
_RETRY_WAITS_S = (0.5, 1.0, 2.0)
_LONGEST_WAIT_S = 30.0
_CONNECT_S = 10.0


class OpenAIEmbedder:
    """A remote embedding model. `url` is the base, such as http://localhost:8000/v1.

    Its dimension is learned from a first short request, which `dimension` and `fingerprint` make if `load` has not.
    """

    batch = 16
    is_parallel = True

    def __init__(self, model: str, *, url: str, api_key: str = "", timeout_s: float = 120.0) -> None:
        self.name = f"openai:{model}"
        self.max_tokens = _MAX_TOKENS
        self._model = model
        self._url = url.rstrip("/") + "/embeddings"
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._client: httpx.Client | None = None
        self._opening = threading.Lock()
        self._users: Counter[httpx.Client] = Counter()  # how many requests of each are on their way
        self._dimension = 0

    @property
    def dimension(self) -> int:
        self.load()
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """The model's name and dimension, not its URL: the same model may move to another host."""
        return f"{self.name} {self.dimension} unit"

    def load(self) -> None:
        """Ask the endpoint once; idempotent. Raises EngineFailed."""
        if not self._dimension:
            self._dimension = len(self._request(["dimension"])[0])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32, shape (len(texts), dimension), in input order; the endpoint decides
        what becomes of texts beyond its window. Raises EngineFailed."""
        import numpy as np

        self.load()
        rows: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            rows += self._request(texts[start : start + _BATCH])
        if any(len(row) != self._dimension for row in rows):
            raise EngineFailed(
                f"{self.name} changed its dimension from {self._dimension} while running", "termrag doctor"
            )
        vectors = np.asarray(rows, np.float32).reshape(len(texts), self._dimension)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise EngineFailed(f"{self.name} gave a vector without a direction", "termrag doctor")
        vectors /= lengths
        return vectors

    def count_tokens(self, text: str) -> int:
        """A third of the text's UTF-8 bytes, rounded up: the endpoint's tokenizer is unknown, and this is more than
        common ones give for prose, code and CJK alike."""
        return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)

    def close(self) -> None:
        """Close the connection; idempotent."""
        with self._opening:
            given_up, self._client = self._client, None
            if given_up is not None and given_up not in self._users:
                given_up.close()

    def _request(self, texts: Sequence[str]) -> list[list[float]]:
        """One request, tried again while the endpoint is busy or away."""
        # Endpoints refuse an empty text, and a lone surrogate cannot travel as UTF-8.
        clean = [text.encode("utf-8", "replace").decode() or " " for text in texts]
        body = {"model": self._model, "input": clean, "encoding_format": "float"}
        for wait_s in (*_RETRY_WAITS_S, None):
            answer, asked_s = self._try(body)
            if not isinstance(answer, str):
                return self._vectors(answer, len(texts))
            if wait_s is None:
                break
            time.sleep(max(wait_s, min(asked_s, _LONGEST_WAIT_S)))
        raise EngineFailed(f"{self._url} {answer}", "termrag doctor")

    def _try(self, body: dict[str, Any]) -> tuple[httpx.Response | str, float]:
        """A successful answer; or, worth another try, why not, and how many seconds to wait at least."""
        import httpx

        try:
            with self._connected() as client:
                response = client.post(self._url, json=body)
        except httpx.TransportError as error:
            return f"cannot be reached: {str(error) or type(error).__name__}", 0.0
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise EngineFailed(f"{self._url} cannot be used: {error}", _URL_HINT) from error
        status = response.status_code
        if status == 429 or status >= 500:
            asked = response.headers.get("retry-after", "")
            return f"answers {status}: {_words(response)}", float(asked) if asked.isdigit() else 0.0
        if status in (401, 403):
            raise EngineFailed(f"{self._url} refuses the key ({status})", "export TERMRAG_OPENAI_API_KEY=...")
        if status == 404:
            raise EngineFailed(f"{self._url} knows no model {self._model} (404): {_words(response)}", _URL_HINT)
        if status != 200:
            raise EngineFailed(f"{self._url} answers {status}: {_words(response)}", "termrag doctor")
        return response, 0.0

    def _vectors(self, response: httpx.Response, count: int) -> list[list[float]]:
        try:
            entries = sorted(response.json()["data"], key=lambda entry: int(entry["index"]))
            vectors = [[float(number) for number in entry["embedding"]] for entry in entries]
        except (ValueError, KeyError, TypeError) as error:
            raise EngineFailed(f"{self._url} does not answer with embeddings", _URL_HINT) from error
        if len(vectors) != count or not all(vectors):
            raise EngineFailed(f"{self._url} gave {len(vectors)} vectors for {count} texts", "termrag doctor")
        return vectors

    @contextmanager
    def _connected(self) -> Iterator[httpx.Client]:
        """The client, which several threads share. One that is given up meanwhile is closed by its last user."""
        with self._opening:
            client = self._client = self._client or self._new_client()
            self._users[client] += 1
        try:
            yield client
        finally:
            with self._opening:
                self._users -= Counter([client])  # drops who has none left
                if client is not self._client and client not in self._users:
                    client.close()

    def _new_client(self) -> httpx.Client:
        import httpx

        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        timeout = httpx.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s))
        return httpx.Client(headers=headers, timeout=timeout)


_URL_HINT = "termrag config set openai.embedding_url http://localhost:8000/v1"


def _words(response: httpx.Response) -> str:
    """What the endpoint says went wrong, shortened."""
    try:
        error = response.json()["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        text = response.text
    return " ".join(text.split())[:200] or "no reason given"
