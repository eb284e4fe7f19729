"""From one store to another behind the same contract: streamed, gone on with after an interruption, verified, switched.

The copy runs while others write. At its end, under the writer lock, the two stores are held against each other and what
changed meanwhile is copied again; then the setting is switched. The source stays until it is told to go.
"""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from termrag.config import Config, write_setting
from termrag.errors import ConfigError, NotFound, StoreUnavailable
from termrag.events import Copied, CopyEvent
from termrag.indexing.opening import open_by, place_by, require_unwatched
from termrag.indexing.pace import Pace
from termrag.parts import Parts
from termrag.records import Row
from termrag.stores import Store, discard_store

_STATE = "migration.json"
_COMMIT = 4000  # chunks put into the target at once
_MAINTAIN_EVERY = 20  # commits
_SAMPLE = 50  # documents whose vectors are compared
_REPAIR = 100  # documents copied again at once
_NEAR = 0.999  # cosine of a vector with its copy; a store may round


@dataclass(frozen=True, slots=True)
class _State:
    """How far a migration to `target` is: what an interrupted one goes on from."""

    target: str
    position: str = ""
    done: int = 0


def migrate(parts: Parts, target: str, *, drop_source: bool = False, replace: bool = False) -> Iterator[CopyEvent]:
    """Move the index to `target`: lancedb, qdrant, or a URI or folder for LanceDB's tables. Raises ConfigError for a
    target that holds an index already, unless it may be replaced."""
    started = time.monotonic()
    if not parts.has_library():
        raise NotFound("nothing is indexed yet", "termrag add PATH")
    old, new = parts.config, config_for(parts.config, target)
    if (place := place_by(parts, new)) == place_by(parts, old):
        raise ConfigError(f"the index is in {place} already", "termrag index stats")
    require_unwatched(parts)
    source = parts.store()
    copy = _open_target(parts, new, place, replace=replace)
    try:
        yield from _copy(parts, source, copy, place)
        copy.maintain()
        with parts.open_ledger() as ledger, ledger.lock():
            require_unwatched(parts)
            yield from _catch_up(source, copy)
            _compare_vectors(source, copy)
            stats = copy.stats()
            _switch(parts, new)
        (parts.library_folder / _STATE).unlink(missing_ok=True)
    finally:
        copy.close()
    parts.change(new)
    yield Copied(
        place, stats.documents, stats.rows, stats.size_bytes, time.monotonic() - started,
        _leave_source(parts, old, drop=drop_source),
    )  # fmt: skip


def config_for(config: Config, target: str) -> Config:
    """The settings that put the index at the target. Raises ConfigError for what is no store."""
    if "/" in target:
        uri = target if "://" in target else str(Path(target).expanduser().absolute())
        return config.with_values({"library": {"store": "lancedb"}, "lancedb": {"uri": uri}}, "--to")
    values: dict[str, dict[str, Any]] = {"library": {"store": target}}
    if target == "lancedb":
        values["lancedb"] = {"uri": ""}
    return config.with_values(values, "--to")


def _open_target(parts: Parts, config: Config, place: str, *, replace: bool) -> Store:
    """The target, empty or as an interrupted migration left it."""
    state_file = parts.library_folder / _STATE
    identity = parts.identity()
    if _state(state_file, place).position:
        return open_by(parts, config, identity, create=True)
    if replace:
        _discard(parts, config)
    copy = open_by(parts, config, identity, create=True)
    if found := copy.stats().rows:
        copy.close()
        raise ConfigError(f"{place} holds an index of {found} chunks already", "--yes replaces it")
    return copy


def _state(file: Path, target: str) -> _State:
    try:
        found = _State(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return _State(target)
    return found if found.target == target else _State(target)


def _copy(parts: Parts, source: Store, copy: Store, place: str) -> Iterator[CopyEvent]:
    file = parts.library_folder / _STATE
    state = _state(file, place)
    pace = Pace("copying chunks", source.stats().rows, state.done)
    rows: list[Row] = []
    commits = 0

    def commit(position: str) -> CopyEvent:
        nonlocal commits
        commits += 1
        copy.restore(rows)
        if commits % _MAINTAIN_EVERY == 0:
            copy.maintain()
        event = pace.step(len(rows))
        _keep(file, _State(place, position, pace.done))
        rows.clear()
        return event

    position = state.position
    for batch in source.rows(state.position):
        rows.extend(batch.rows)
        position = batch.position
        if len(rows) >= _COMMIT:
            yield commit(position)
    yield commit(position)


def _keep(file: Path, state: _State) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(dataclasses.asdict(state)), encoding="utf-8")
    part.replace(file)


# --- the end, under the lock ---------------------------------------------------------------------------------------


def _catch_up(source: Store, copy: Store) -> Iterator[CopyEvent]:
    """Make the copy equal to the source, which nobody writes to now. Raises StoreUnavailable where it stays
    another."""
    wanted = yield from _marks(source, "comparing")
    found = yield from _marks(copy, "comparing the copy")
    if surplus := [each for each in found if each not in wanted]:
        copy.delete(surplus)
    changed = [each for each, mark in wanted.items() if found.get(each) != mark]
    pace = Pace("copying what changed", len(changed))
    for start in range(0, len(changed), _REPAIR):
        part = changed[start : start + _REPAIR]
        documents: dict[str, list[Row]] = {each: [] for each in part}
        for batch in source.rows(document_ids=part):
            for row in batch.rows:
                documents[row.chunk.document_id].append(row)
        copy.replace(documents)
        yield pace.step(len(part))
    rows, copied = source.stats().rows, copy.stats().rows
    if rows != copied:
        raise StoreUnavailable(
            f"the copy holds {copied} chunks, not {rows}", "Run it again; the source is still in use."
        )


def _marks(store: Store, stage: str) -> Generator[CopyEvent, None, dict[str, int]]:
    """Document to a number that is the same for the same chunks, whatever their order; a generator that returns it."""
    marks: dict[str, int] = {}
    pace = Pace(stage, store.stats().rows)
    for batch in store.rows():
        for row in batch.rows:
            chunk = row.chunk
            mark = hash((chunk.position, chunk.text_hash, chunk.content_hash, chunk.path, chunk.modified_ns,
                         row.vector is None))  # fmt: skip
            marks[chunk.document_id] = (marks.get(chunk.document_id, 0) + mark) & (2**64 - 1)
        yield pace.step(len(batch.rows))
    return marks


def _compare_vectors(source: Store, copy: Store) -> None:
    """Hold the vectors of some documents against each other. Raises StoreUnavailable for one that differs."""
    import numpy as np

    documents: list[str] = []
    for seen, chunk in enumerate(chunk for chunk in source.scan() if chunk.position == 0):
        if len(documents) < _SAMPLE:
            documents.append(chunk.document_id)
        elif (slot := random.randrange(seen + 1)) < _SAMPLE:
            documents[slot] = chunk.document_id
    for document_id in documents:
        ours, theirs = source.vectors(document_id), copy.vectors(document_id)
        for text_hash, vector in ours.items():
            other = theirs.get(text_hash)
            norms = np.linalg.norm(vector) * (np.linalg.norm(other) if other is not None else 0.0)
            if other is None or (norms and float(vector @ other) / norms < _NEAR):
                raise StoreUnavailable(
                    f"a vector of document {document_id} is another one in the copy",
                    "Run it again with --yes; the source is still in use.",
                )


def _switch(parts: Parts, config: Config) -> None:
    file = parts.paths.settings_file
    if config.lancedb != parts.config.lancedb:
        write_setting(file, "lancedb", "uri", config.lancedb.uri)
    if config.library != parts.config.library:
        write_setting(file, "library", "store", config.library.store)


def _leave_source(parts: Parts, config: Config, *, drop: bool) -> tuple[str, ...]:
    place = place_by(parts, config)
    if drop:
        _discard(parts, config)
        return (f"the old index in {place} is gone",)
    return (f"the old index stays in {place}; nothing reads it any more",)


def _discard(parts: Parts, config: Config) -> None:
    kind = config.library.store
    discard_store(kind, parts.library_folder / kind, config=config)
