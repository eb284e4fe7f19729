"""A collection of a Qdrant server, by qdrant-client over one line."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from termrag.config import QdrantSettings
from termrag.errors import ConfigError, StoreUnavailable
from termrag.stores.collection import KEYWORDS, NUMBERS
from termrag.stores.conditions import Condition
from termrag.stores.line import Line
from termrag.stores.points import DENSE, WORDS, Held, Point, Sparse
from termrag.stores.qdrant_faults import judge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOGETHER = 128  # points per request: a quarter of a megabyte
_OLDEST = (1, 16)  # notes at a collection, conditional writes
_ALL = 1_000_000

_T = TypeVar("_T")


def api_key_of(settings: QdrantSettings, environ: Mapping[str, str]) -> str:
    """The key, from the environment or from a file that nobody else can read; empty for none. Raises ConfigError."""
    if key := environ.get("TERMRAG_QDRANT_API_KEY", ""):
        return key
    if not settings.api_key_file:
        return ""
    file = Path(settings.api_key_file).expanduser()
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ConfigError(f"qdrant.api_key_file: others can read {file}", f"chmod 600 '{file}'")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"qdrant.api_key_file: {file}: {error.strerror}", "termrag config edit") from error


class RemoteCollection:
    """One collection by its URL. Nothing is asked of the server before the first call."""

    def __init__(self, settings: QdrantSettings, api_key: str) -> None:
        self._settings = settings
        self._name = settings.collection
        self.place = _shown(settings.url)
        self._line = Line(self.place, lambda error: judge(self.place, self._name, error))
        self._client = _client(settings, api_key)
        self._is_known = False

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def may_show_staged(self) -> bool:
        return True

    def _read(self, call: Callable[[Any], _T]) -> _T:
        return self._line.read(lambda: call(self._client))

    def _write(self, call: Callable[[Any], _T]) -> _T:
        return self._line.write(lambda: call(self._client))

    # --- the collection ------------------------------------------------------------------------------------------

    def note(self) -> dict[str, Any] | None:
        self._check_version()
        if not self._read(lambda client: client.collection_exists(self._name)):
            return None
        info = self._read(lambda client: client.get_collection(self._name))
        return (info.config.metadata or {}).get("termrag") or {}

    def _check_version(self) -> None:
        if self._is_known:
            return
        version = self._read(lambda client: client.info()).version
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers < _OLDEST:
            wanted = ".".join(map(str, _OLDEST))
            message = f"Qdrant at {self.place} is {version}; termrag needs {wanted} or later"
            raise StoreUnavailable(message, "Update the server.")
        self._is_known = True

    def create(self, dimension: int, note: Mapping[str, Any]) -> None:
        if not self._read(lambda client: client.collection_exists(self._name)):
            self._write(lambda client: self._make(client, dimension, note))
        known = self._read(lambda client: client.get_collection(self._name)).payload_schema or {}
        wanted = dict.fromkeys(KEYWORDS, "keyword") | dict.fromkeys(NUMBERS, "integer")
        for field in wanted.keys() - known.keys():
            self._index(field, wanted[field])

    def _index(self, field: str, kind: str) -> None:
        self._write(lambda client: client.create_payload_index(self._name, field, kind, timeout=self._write_timeout))

    def _make(self, client: Any, dimension: int, note: Mapping[str, Any]) -> None:
        from qdrant_client import models
        from qdrant_client.http.exceptions import UnexpectedResponse

        settings = self._settings
        dense = models.VectorParams(size=dimension, distance=models.Distance.COSINE, on_disk=settings.on_disk or None)
        try:
            client.create_collection(
                self._name,
                vectors_config={DENSE: dense},
                sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                shard_number=settings.shards,
                replication_factor=settings.replication,
                write_consistency_factor=settings.write_consistency,
                quantization_config=_quantization(settings.quantization),
                metadata={"termrag": dict(note)},
                timeout=self._write_timeout,
            )
        except UnexpectedResponse as error:
            if error.status_code != 409:  # another process was first
                raise

    def renote(self, note: Mapping[str, Any]) -> None:
        self._write(lambda client: client.update_collection(self._name, metadata={"termrag": dict(note)}))

    def interrupt(self) -> None:
        pass

    def drop(self) -> None:
        self._write(lambda client: client.delete_collection(self._name, timeout=self._write_timeout))

    @contextmanager
    def writing(self) -> Iterator[None]:
        yield

    @property
    def _write_timeout(self) -> int:
        return max(1, round(self._settings.write_timeout_s))

    # --- points --------------------------------------------------------------------------------------------------

    def upsert(self, points: Sequence[Point], only: Condition | None = None) -> None:
        from qdrant_client import models

        free = None if only is None else _filter(only)

        def put(made: Sequence[Any]) -> None:
            self._write(lambda client: client.upsert(self._name, made, update_filter=free, timeout=self._write_timeout))

        for start in range(0, len(points), _TOGETHER):
            put(
                [
                    models.PointStruct(id=each.id, vector=_vectors(each.words, each.dense), payload=each.payload)
                    for each in points[start : start + _TOGETHER]
                ]
            )

    def set_payload(self, condition: Condition, payload: Mapping[str, Any]) -> None:
        chosen = _filter(condition)
        self._write(lambda client: client.set_payload(self._name, dict(payload), chosen, timeout=self._write_timeout))

    def show(self, shown: Condition, removed: Condition) -> None:
        from qdrant_client import models

        steps = [
            models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["staged"], filter=_filter(shown))),
            models.DeleteOperation(delete=models.FilterSelector(filter=_filter(removed))),
        ]
        self._write(lambda client: client.batch_update_points(self._name, steps, timeout=self._write_timeout))

    def delete(self, condition: Condition) -> None:
        chosen = _filter(condition)
        self._write(lambda client: client.delete(self._name, chosen, timeout=self._write_timeout))

    def put_dense(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self._put({key: {DENSE: vector.tolist()} for key, vector in vectors.items()})

    def put_words(self, weights: Mapping[str, Sparse]) -> None:
        self._put({key: _vectors(words, None) for key, words in weights.items()})

    def _put(self, vectors: Mapping[str, dict[str, Any]]) -> None:
        from qdrant_client import models

        given = [models.PointVectors(id=key, vector=vector) for key, vector in vectors.items()]

        def put(part: Sequence[Any]) -> None:
            self._write(lambda client: client.update_vectors(self._name, part, timeout=self._write_timeout))

        for start in range(0, len(given), _TOGETHER):
            put(given[start : start + _TOGETHER])

    def nearest(
        self, query: NDArray[np.float32] | Sparse, condition: Condition, limit: int, fields: list[str], *, exact: bool
    ) -> list[Held]:
        from qdrant_client import models

        using: str = DENSE
        asked: Any = None
        if isinstance(query, Sparse):
            using, asked = WORDS, models.SparseVector(indices=query.indices, values=query.values)
        else:
            asked = query.tolist()
        found = self._read(
            lambda client: client.query_points(
                self._name,
                query=asked,
                using=using,
                query_filter=_filter(condition),
                search_params=models.SearchParams(exact=True) if exact else None,
                limit=limit,
                with_payload=fields,
            )
        )
        return [Held("", each.payload or {}, None, each.score) for each in found.points]

    def page(
        self, condition: Condition, fields: list[str], limit: int, after: str | None, *, with_dense: bool = False
    ) -> tuple[list[Held], str | None]:
        records, following = self._read(
            lambda client: client.scroll(
                self._name,
                scroll_filter=_filter(condition),
                limit=limit,
                offset=after,
                with_payload=fields,
                with_vectors=[DENSE] if with_dense else False,
            )
        )
        held = [Held(str(each.id), each.payload or {}, _dense(each.vector)) for each in records]
        return held, None if following is None else str(following)

    def values(self, field: str, condition: Condition) -> dict[str, int]:
        found = self._read(lambda client: client.facet(self._name, field, _filter(condition), limit=_ALL, exact=True))
        return {str(hit.value): hit.count for hit in found.hits}

    def count(self, condition: Condition) -> int:
        return int(self._read(lambda client: client.count(self._name, _filter(condition), exact=True)).count)

    @property
    def vector_index(self) -> str:
        return "HNSW"

    def segments(self) -> tuple[int, int, int]:
        self._read(lambda client: client.get_collection(self._name))
        return 1, 0, 0  # the server sees to it, on its own disk

    def optimize(self, *, force: bool) -> bool:
        return False

    def close(self) -> None:
        self._client.close()

    def __del__(self) -> None:
        with suppress(Exception):  # at the end of the interpreter half of it is gone
            self.close()


def _client(settings: QdrantSettings, api_key: str) -> Any:
    from qdrant_client import QdrantClient

    parts = urlsplit(settings.url)
    is_secure = parts.scheme == "https"
    extra: dict[str, Any] = {"verify": str(Path(settings.ca_file).expanduser())} if settings.ca_file else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a key over plain http is the user's choice
        return QdrantClient(
            host=parts.hostname or "localhost",
            port=parts.port or (443 if is_secure else 6333),
            grpc_port=settings.grpc_port,
            prefer_grpc=settings.prefer_grpc,
            https=is_secure,
            api_key=api_key or None,
            prefix=parts.path.strip("/") or None,
            timeout=settings.timeout_s,  # type: ignore[arg-type]
            check_compatibility=False,
            **extra,
        )


def _shown(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"qdrant.url must be http://HOST:PORT or https://HOST, not {parts.scheme}://…",
            "termrag config set qdrant.url http://localhost:6333",
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _quantization(kind: str) -> Any:
    from qdrant_client import models

    match kind:
        case "scalar":
            return models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
            )
        case "binary":
            return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
        case _:
            return None


def _filter(condition: Condition) -> Any:
    from qdrant_client import models

    return models.Filter(**condition) if condition else None


def _vectors(words: Sparse, dense: list[float] | None) -> dict[str, Any]:
    from qdrant_client import models

    vectors: dict[str, Any] = {WORDS: models.SparseVector(indices=words.indices, values=words.values)}
    return vectors if dense is None else vectors | {DENSE: dense}


def _dense(vectors: Any) -> NDArray[np.float32] | None:
    import numpy as np

    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    return None if dense is None else np.asarray(dense, dtype=np.float32)
