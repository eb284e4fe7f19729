"""A collection in a folder, by qdrant-edge: the engine itself, in the one process that owns the folder.

Everything of a process that opens the folder shares one engine. Another process waits a moment, and learns who owns it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.errors import StoreBusy, StoreUnavailable
from termrag.stores.conditions import STAGED, Condition
from termrag.stores.points import DENSE, WORDS, Held, Point, Sparse
from termrag.stores.qdrant_engine import OPENING, Engine, join, leave, load, write_durably
from termrag.stores.qdrant_index import Indexing, outside, search_params, standing
from termrag.stores.qdrant_indexer import config, field_indexes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOGETHER = 1000  # points per operation
_WORN_ROWS = 20_000  # points written anew: as many lie dead in the files
_ALL = 1_000_000


class EmbeddedCollection:
    """One collection in a folder of its own. Raises StoreBusy where another process owns it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine: Engine | None = join(folder)
        self.place = str(folder)

    @property
    def is_shared(self) -> bool:
        return False

    # --- the collection ------------------------------------------------------------------------------------------

    def note(self) -> dict[str, Any] | None:
        try:
            note: dict[str, Any] = json.loads((self._folder / "collection.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreUnavailable(
                f"the index in {self._folder} is damaged: {error}", "termrag add --rebuild"
            ) from error
        return note

    def create(self, dimension: int, note: Mapping[str, Any]) -> None:
        import qdrant_edge as edge

        if self.note() is not None:
            return
        engine = self._shared()
        with engine.turn.writing(), _named():
            if engine.shard is not None:
                engine.shard.close()
            engine.start_over()
            shutil.rmtree(engine.files, ignore_errors=True)  # whoever made it was killed half way
            engine.files.mkdir(mode=0o700)
            engine.shard = edge.EdgeShard.create(str(engine.files), config(dimension))
            for name, index in field_indexes().items():
                engine.shard.update(edge.UpdateOperation.create_field_index(name, index))
            engine.shard.flush()
            self.renote(note)

    def renote(self, note: Mapping[str, Any]) -> None:
        write_durably(self._folder / "collection.json", json.dumps(note))

    @property
    def may_show_staged(self) -> bool:
        engine = self._shared()
        if engine.shard is None and engine.files.is_dir():
            self._opened(engine)
        return engine.has_leftovers

    @contextmanager
    def writing(self) -> Iterator[None]:
        engine = self._shared()
        with engine.turn.writing():
            try:
                yield
            except BaseException:
                engine.has_leftovers = True
                raise

    def _shared(self) -> Engine:
        if self._engine is None:
            raise StoreUnavailable("the index is closed", "Open it again.")
        return self._engine

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        engine = self._shared()
        with engine.turn.reading(), _named():
            yield self._opened(engine)

    @contextmanager
    def _updating(self) -> Iterator[Engine]:
        engine = self._shared()
        with engine.turn.writing(), _named():
            if not engine.files.is_dir():
                raise StoreUnavailable(f"the index in {self._folder} is gone", "termrag doctor")
            self._opened(engine)
            yield engine

    def _opened(self, engine: Engine) -> Any:
        with OPENING:
            if engine.shard is None:
                import qdrant_edge as edge

                engine.sweep()
                if not engine.files.is_dir():
                    raise StoreUnavailable(f"there is no index in {self._folder}", "termrag add PATH")
                engine.shard = load(engine.files)
                chunks: Condition = {"must": [STAGED, {"key": "position", "range": {"gte": 0}}]}
                staged = edge.CountRequest(filter=_filter(chunks), exact=True)
                engine.has_leftovers = engine.shard.count(staged) > 0
            return engine.shard

    # --- points --------------------------------------------------------------------------------------------------

    def upsert(self, points: Sequence[Point], only: Condition | None = None) -> None:
        import qdrant_edge as edge

        free = None if only is None else _filter(only)
        with self._updating() as engine:
            for start in range(0, len(points), _TOGETHER):
                part = points[start : start + _TOGETHER]
                made = [edge.Point(each.id, _vectors(each.words, each.dense), each.payload) for each in part]
                chunks = sum(bool(each.words.indices) for each in part)  # the rest are notes of ours
                engine.update(edge.UpdateOperation.upsert_points(made, free), chunks)

    def set_payload(self, condition: Condition, payload: Mapping[str, Any]) -> None:
        import qdrant_edge as edge

        with self._updating() as engine:
            engine.update(edge.UpdateOperation.set_payload_by_filter(_filter(condition), dict(payload)))

    def show(self, shown: Condition, removed: Condition) -> None:
        import qdrant_edge as edge

        with self._updating() as engine:
            engine.update(edge.UpdateOperation.delete_payload_by_filter(_filter(shown), ["staged"]))
            engine.update(edge.UpdateOperation.delete_points_by_filter(_filter(removed)))

    def delete(self, condition: Condition) -> None:
        import qdrant_edge as edge

        with self._updating() as engine:
            engine.update(edge.UpdateOperation.delete_points_by_filter(_filter(condition)))

    def put_dense(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self._put({key: {DENSE: vector.tolist()} for key, vector in vectors.items()})

    def put_words(self, weights: Mapping[str, Sparse]) -> None:
        self._put({key: _vectors(words, None) for key, words in weights.items()})

    def _put(self, vectors: Mapping[str, dict[str, Any]]) -> None:
        import qdrant_edge as edge

        if not vectors:
            return
        with self._updating() as engine:
            given = [edge.PointVectors(key, vector) for key, vector in vectors.items()]
            engine.update(edge.UpdateOperation.update_vectors(given), len(given))

    def nearest(
        self, query: NDArray[np.float32] | Sparse, condition: Condition, limit: int, fields: list[str], *, exact: bool
    ) -> list[Held]:
        import qdrant_edge as edge

        asked = (
            edge.Query.Nearest(edge.SparseVector(query.indices, query.values), using=WORDS)
            if isinstance(query, Sparse)
            else edge.Query.Nearest(query.tolist(), using=DENSE)
        )
        request = edge.QueryRequest(
            limit=limit,
            query=asked,
            filter=_filter(condition),
            params=None if isinstance(query, Sparse) else search_params(limit, exact=exact),
            with_payload=fields,
        )
        with self._reading() as shard:
            return [Held("", each.payload or {}, None, each.score) for each in shard.query(request)]

    def page(
        self, condition: Condition, fields: list[str], limit: int, after: str | None, *, with_dense: bool = False
    ) -> tuple[list[Held], str | None]:
        import qdrant_edge as edge

        request = edge.ScrollRequest(
            offset=after,
            limit=limit,
            filter=_filter(condition),
            with_payload=fields,
            with_vector=[DENSE] if with_dense else False,
        )
        with self._reading() as shard:
            records, following = shard.scroll(request)
        held = [Held(str(each.id), each.payload or {}, _dense(each.vector)) for each in records]
        return held, None if following is None else str(following)

    def values(self, field: str, condition: Condition) -> dict[str, int]:
        import qdrant_edge as edge

        request = edge.FacetRequest(field, limit=_ALL, exact=True, filter=_filter(condition))
        with self._reading() as shard:
            return {str(hit.value): hit.count for hit in shard.facet(request).hits}

    def count(self, condition: Condition) -> int:
        import qdrant_edge as edge

        with self._reading() as shard:
            return int(shard.count(edge.CountRequest(filter=_filter(condition), exact=True)))

    @property
    def vector_index(self) -> str:
        with self._reading():
            return "TurboQuant" if self._shared().indexed else ""

    def segments(self) -> tuple[int, int, int]:
        with self._reading() as shard:
            engine = self._shared()
            is_worn = 4 * engine.written > shard.info().points_count
            left = outside(engine)[1] if engine.indexed else 0
        return 2 if is_worn else 1, left, engine.size_bytes()

    def optimize(self, *, force: bool) -> bool:
        """Few points are put in order here, while the whole process waits; many beside, and only `force` waits."""
        engine = self._shared()
        if not force and (engine.written < _WORN_ROWS or engine.indexing is not None):
            return False
        with self._reading() as shard:
            points = shard.info().points_count
            is_large, is_due = standing(engine, force=force)
        if is_large:
            return self._index(engine, is_due=is_due, force=force)
        if engine.indexing is not None or (not force and engine.written < points):
            return False
        with engine.tending, _named():
            done = bool(engine.shard.optimize())
            engine.shard.flush()
            engine.written = 0
            return done

    def _index(self, engine: Engine, *, is_due: bool, force: bool) -> bool:
        """Begin to index if it is due. Forced, wait, and once more for what was written while the copy was made."""
        begun = self._begun(engine, is_due=is_due)
        if begun is None or not force:
            return False
        begun.wait()
        with self._reading():
            _, is_due = standing(engine, force=True)
        if (again := self._begun(engine, is_due=is_due)) is not None:
            again.wait()
        return True

    def _begun(self, engine: Engine, *, is_due: bool) -> Indexing | None:
        """The indexing at work, begun now if it is due."""
        with engine.tending:
            begun = engine.indexing
            if begun is None and is_due:
                begun = engine.indexing = Indexing(engine)
                begun.start()
            return begun

    def interrupt(self) -> None:
        engine = self._engine
        if engine is not None and (begun := engine.indexing) is not None:
            begun.give_up()

    def drop(self) -> None:
        engine = self._shared()
        if (begun := engine.indexing) is not None:
            begun.cancel()
        with engine.tending, engine.turn.writing(), _named():
            if engine.shard is not None:
                engine.shard.close()
                engine.shard = None
            (self._folder / "collection.json").unlink(missing_ok=True)
            shutil.rmtree(engine.files, ignore_errors=True)
            engine.start_over()

    def close(self) -> None:
        """Leave the engine; the last to leave closes it. Idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            leave(engine)

    def __del__(self) -> None:
        self.close()


@contextmanager
def _named() -> Iterator[None]:
    """Give what the engine raises its name: it has only bare exceptions."""
    try:
        yield
    except (StoreUnavailable, StoreBusy, ValueError, TypeError, AssertionError):
        raise
    except Exception as error:
        text = str(error)
        if "No space left" in text or "os error 28" in text:
            raise StoreUnavailable(
                "the disk is full; the index is as it was before", "Free some disk space, then run it again."
            ) from error
        raise StoreUnavailable(f"the index failed: {text.strip().splitlines()[0][:300]}", "termrag doctor") from error


def _filter(condition: Condition) -> Any:
    import qdrant_edge as edge

    if not condition:
        return None
    return edge.Filter(
        must=[_condition(each) for each in condition["must"]] if "must" in condition else None,
        should=[_condition(each) for each in condition["should"]] if "should" in condition else None,
        must_not=[_condition(each) for each in condition["must_not"]] if "must_not" in condition else None,
    )


def _condition(one: Condition) -> Any:
    import qdrant_edge as edge

    match one:
        case {"has_vector": name}:
            return edge.HasVectorCondition(name)
        case {"key": key, "match": {"value": value}}:
            return edge.FieldCondition(key, match=edge.MatchValue(value))
        case {"key": key, "match": {"any": values}}:
            return edge.FieldCondition(key, match=edge.MatchAny(values))
        case {"key": key, "range": bounds}:
            return edge.FieldCondition(key, range=edge.RangeFloat(**{name: float(at) for name, at in bounds.items()}))
        case _:
            return _filter(one)


def _vectors(words: Sparse, dense: list[float] | None) -> dict[str, Any]:
    import qdrant_edge as edge

    vectors: dict[str, Any] = {WORDS: edge.SparseVector(words.indices, words.values)}
    return vectors if dense is None else vectors | {DENSE: dense}


def _dense(vectors: Any) -> NDArray[np.float32] | None:
    import numpy as np

    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    return None if dense is None else np.asarray(dense, dtype=np.float32)
