"""What may be wrong with a library and its surroundings, each finding with what mends it; changes nothing."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from termrag.errors import TermragError

if TYPE_CHECKING:
    from termrag.parts import Parts


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is a command or one plain sentence; empty where all is well."""

    subject: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(parts: Parts) -> list[Finding]:
    """Look at everything that can be looked at without the network. Never raises TermragError."""
    findings: list[Finding] = []
    for look in (_python, _engine, _chat_model, _embedder, _pip, _folders, _disk, _library, _index, _failures):
        try:
            findings.extend(look(parts))
        except TermragError as error:
            findings.append(Finding(look.__name__.strip("_"), False, error.message, error.hint))
    return findings


def _python(parts: Parts) -> Iterator[Finding]:
    yield Finding("python", True, sys.version.split()[0])


def _engine(parts: Parts) -> Iterator[Finding]:
    choice = parts.engine_choice()
    yield Finding("engine", True, f"{choice.name}: {choice.reason}")


def _chat_model(parts: Parts) -> Iterator[Finding]:
    name = parts.config.models.chat
    engine = parts.engine_choice().name
    if engine in ("openai", "scripted"):
        return
    here = parts.is_here(name, engine)
    starter = parts.config.models.starter
    if here:
        yield Finding("chat model", True, f"{name} is here")
    elif parts.is_here(starter, engine):
        yield Finding("chat model", False, f"{name} is not here, {starter} stands in", f"termrag models pull {name}")
    else:
        yield Finding("chat model", False, f"neither {name} nor {starter} is here", f"termrag models pull {starter}")


def _embedder(parts: Parts) -> Iterator[Finding]:
    name = parts.config.models.embedding
    if name.startswith("openai:") or parts.is_here(name, "onnx"):
        yield Finding("embedding model", True, name)
    else:
        yield Finding("embedding model", False, f"{name} is not here", f"termrag models pull {name}")


def _pip(parts: Parts) -> Iterator[Finding]:
    ok = find_spec("pip") is not None
    yield Finding("pip", ok, "starter models come through pip", "" if ok else f"{sys.executable} -m ensurepip")


def _folders(parts: Parts) -> Iterator[Finding]:
    for folder in (parts.paths.config, parts.library_folder, parts.paths.state):
        if not folder.exists():
            continue
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & 0o077:
            yield Finding("privacy", False, f"others can open {folder} ({mode:04o})", f"chmod 700 '{folder}'")
        elif not os.access(folder, os.W_OK):
            yield Finding("folder", False, f"{folder} is not writable", f"chmod u+w '{folder}'")
        else:
            yield Finding("privacy", True, f"{folder} is yours alone")


def _disk(parts: Parts) -> Iterator[Finding]:
    folder = parts.library_folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    ok = free > 1_000_000_000
    yield Finding(
        "disk", ok, f"{free / 1e9:.1f} GB free", "" if ok else "Free some space: an index needs room to compact."
    )


def _library(parts: Parts) -> Iterator[Finding]:
    if not parts.has_library():
        yield Finding("library", False, "nothing is indexed yet", "termrag add PATH")
        return
    with parts.open_ledger() as ledger:
        holder = ledger.lock_holder()
        counts = ledger.counts()
    busy = f", process {holder} is writing" if holder else ""
    yield Finding("library", True, f"{counts.indexed} documents, {counts.chunks} chunks{busy}")


def _index(parts: Parts) -> Iterator[Finding]:
    if not parts.has_library():
        return
    with parts.open_ledger() as ledger:
        expected = ledger.counts().chunks
    store = parts.store()
    stats = store.stats()
    agrees = stats.rows == expected or (store.is_shared and stats.rows > expected)  # others write to it too
    detail = f"{stats.rows} chunks in the store, {expected} in the ledger"
    yield Finding("index", agrees, detail, "" if agrees else "termrag add PATH, for the folders you indexed")


def _failures(parts: Parts) -> Iterator[Finding]:
    if not parts.has_library():
        return
    with parts.open_ledger() as ledger:
        failed = ledger.failures()
    for document in failed[:20]:
        yield Finding(
            "file", False, f"{document.path}: {document.error}", document.hint or f"termrag get '{document.path}'"
        )
