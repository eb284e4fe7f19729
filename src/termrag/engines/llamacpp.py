"""llama.cpp inside this process, through the xllamacpp wheel; opens no TCP port.

The wheel's Server object always listens somewhere; here on a Unix socket in a folder of mode 0700, behind a random key.
Generation goes through direct calls; the socket serves the two routes that have no Python method (template, tokens).
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Generator, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from termrag.engines import Done, EngineEvent, Stream
from termrag.engines.generation import (
    TEMPLATE_VALUES,
    LatestStreams,
    StopFilter,
    Stopwatch,
    prefix_key,
)
from termrag.engines.gguf_header import read_header
from termrag.engines.llamacpp_run import Run, failure, plain, request_body, together
from termrag.errors import EngineFailed
from termrag.heap import return_memory
from termrag.pending import Pending
from termrag.records import Message, Sampling

_BATCH_TOKENS = 256  # cancelling waits for about one batch of the prompt
_CACHE_TYPE = "f16"  # of keys and values, llama.cpp's default
_CACHE_MIB = 256  # prompts of other conversations kept in memory; llama.cpp's own default is 8192
# Each delivery wakes threads that take a core from the model: 16 a second look the same to the eye. Answers that are
# written at once share them, as far as 5 a second for each.
_PACE_S = 0.06
_SLOWEST_PACE_S = 0.2
_COUNTS = 64  # prompts whose length is remembered
_LONGEST_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux


class LlamaCppEngine:
    """One GGUF model. `threads` 0 uses every core this process may run on.

    Slots are llama.cpp's own: what they generate at the same time goes through the model in one batch. Each has a
    context of its own; one that all share would take less memory, but be searched by each token of every slot.
    """

    name = "llamacpp"

    def __init__(self, path: Path, *, model: str, context_tokens: int, threads: int = 0, slots: int = 1) -> None:
        self.model = model
        self.context_length = context_tokens
        self.slots = slots
        self._path = path
        self._wanted_context = context_tokens
        self._threads = threads or _usable_cores()
        self._server: Any = None
        self._socket: Path | None = None
        self._key = ""
        self._latest = LatestStreams()
        self._counted = lru_cache(maxsize=_COUNTS)(self._count)  # the same instructions stand before every question
        self._runs: dict[int, Run] = {}  # the last of each slot
        self._used: set[int] = set()  # slots that hold something of a prompt
        self._leaving: list[Run] = []  # closed, but perhaps still at their last step

    def load(self) -> None:
        """Make ready; idempotent. Raises ModelMissing, or EngineFailed for a damaged or unsupported file."""
        if self._server is not None:
            return
        trained = read_header(self._path).context_length
        self.context_length = min(self._wanted_context, trained or self._wanted_context)
        xllamacpp = _import_xllamacpp()
        self._socket, self._key = _private_folder() / "l.sock", secrets.token_hex(16)
        try:
            self._server = xllamacpp.Server(self._parameters(xllamacpp))
        except RuntimeError as error:
            self._leave()
            raise EngineFailed(
                f"llama.cpp could not load {self._path}: {error}", "termrag models use smollm2-135m"
            ) from error
        # A server that is freed before its loop has begun waits for that loop for ever. What goes through the loop
        # shows that it runs; metrics are the cheapest of that.
        self._server.handle_metrics()
        atexit.register(self._leave)
        self.context_length = int(self._request("GET", "/props")["default_generation_settings"]["n_ctx"])

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        """As the contract says. Closing stops within one token, or about one batch of 256 prompt tokens."""
        return self._latest.alone(self._generate(messages, sampling))

    def _generate(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        run = self._begin(0, messages, sampling)
        try:
            while True:
                event = run.events.get()
                if isinstance(event, EngineFailed):
                    raise event
                yield event
                if isinstance(event, Done):
                    return
        finally:
            run.stop()

    def stream_in(self, slot: int, messages: Sequence[Message], sampling: Sampling) -> Stream:
        """As the contract says. Closing returns at once; the compute stops as soon as that of `stream`."""
        return self._latest.beside(slot, self._generate_in(slot, messages, sampling))

    def _generate_in(self, slot: int, messages: Sequence[Message], sampling: Sampling) -> Stream:
        run = self._begin(slot, messages, sampling)
        try:
            while True:
                event = run.events.take()
                if isinstance(event, Pending):
                    yield event
                    continue
                for each in together([event, *run.events.rest()]):
                    if isinstance(each, EngineFailed):
                        raise each
                    yield each
                    if isinstance(each, Done):
                        return
        finally:
            run.leave()
            self._leaving = [each for each in self._leaving if each.is_alive]
            self._leaving.append(run)

    def _begin(self, slot: int, messages: Sequence[Message], sampling: Sampling) -> Run:
        watch = Stopwatch()
        self.load()
        body = request_body(messages, sampling)
        if self.slots > 1:
            body["id_slot"] = slot
            self._share_with(slot)
        run = self._runs[slot] = Run(self._server, body, StopFilter(sampling.stop), watch, self._pace_s)
        return run

    def _share_with(self, slot: int) -> None:
        """Let a slot that is empty begin with what another has read: most prompts begin with the same instructions."""
        if slot in self._used:
            return
        self._used.add(slot)
        finished = [other for other, run in self._runs.items() if run.has_ended and run.held_tokens]
        if finished and self._socket is not None:
            file = self._socket.with_name("shared")
            with contextlib.suppress(EngineFailed, OSError):  # it is read anew then
                self._slot("save", file, min(finished, key=self.held_tokens))
                self._slot("restore", file, slot)
            file.unlink(missing_ok=True)

    def _pace_s(self) -> float:
        at_work = sum(run.is_alive for run in list(self._runs.values()))
        return min(_PACE_S * max(at_work, 1), _SLOWEST_PACE_S)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact length of the prompt, by the template and the tokenizer in the model's file."""
        self.load()
        return self._counted(tuple(messages))

    def _count(self, messages: tuple[Message, ...]) -> int:
        body = {"messages": plain(messages), "chat_template_kwargs": dict(TEMPLATE_VALUES)}
        prompt = self._request("POST", "/apply-template", body)["prompt"]
        tokens = self._request("POST", "/tokenize", {"content": prompt, "add_special": True, "parse_special": True})
        return len(tokens["tokens"])

    @property
    def prefix_key(self) -> str:
        return prefix_key(self._path, f"llamacpp {_CACHE_TYPE}", version("xllamacpp"), self.context_length)

    def held_tokens(self, slot: int = 0) -> int:
        return self._runs[slot].held_tokens if slot in self._runs else 0

    def save_prefix(self, file: Path, slot: int = 0) -> int:
        """As the contract says; nothing while a stream runs in the slot."""
        return 0 if self._is_running(slot) else int(self._slot("save", file, slot)["n_saved"])

    def load_prefix(self, file: Path, slot: int = 0) -> int:
        """As the contract says; nothing while a stream runs in the slot."""
        if self._is_running(slot):
            return 0
        restored = int(self._slot("restore", file, slot)["n_restored"])
        if restored:
            self._used.add(slot)
        return restored

    def _is_running(self, slot: int) -> bool:
        return self._latest.is_running(slot) or (slot in self._runs and self._runs[slot].is_alive)

    def _slot(self, action: str, file: Path, slot: int) -> Any:
        """llama.cpp reads and writes bare names in one folder: a link there leads to the file."""
        self.load()
        assert self._socket is not None
        link = self._socket.with_name("slot")
        link.unlink(missing_ok=True)
        link.symlink_to(file.absolute())
        try:
            return self._request("POST", f"/slots/{slot}?action={action}", {"filename": link.name})
        finally:
            link.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop what runs, free the model; idempotent."""
        self._latest.close()
        self._leave()
        atexit.unregister(self._leave)
        if self._server is not None:
            self._server = None
            return_memory()

    def _leave(self) -> None:
        """Stop the native thread: one that calls back into a dying interpreter aborts the process."""
        runs = [*self._runs.values(), *self._leaving]
        for run in runs:
            run.leave()
        for run in runs:
            run.stop()
        if self._socket is not None:
            shutil.rmtree(self._socket.parent, ignore_errors=True)
        self._runs, self._leaving, self._socket = {}, [], None
        self._used.clear()

    def _parameters(self, xllamacpp: Any) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_ctx, params.n_parallel = self.context_length * self.slots, self.slots
        params.kv_unified = False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.n_batch = params.n_ubatch = _BATCH_TOKENS
        params.cache_ram_mib = _CACHE_MIB
        params.warmup = False
        params.verbosity = -1  # llama.cpp writes to stderr, which may be a full-screen terminal
        params.slot_save_path = f"{self._socket.parent}/" if self._socket else ""
        params.hostnames, params.api_keys = [str(self._socket)], [self._key]
        params.ui = params.endpoint_slots = False
        params.endpoint_metrics = True  # see load
        params.cors_origins = ""
        params.n_threads_http = 2
        return params

    def _request(self, method: str, route: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self._socket))
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request(method, route, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EngineFailed(f"llama.cpp did not answer {route}: {error}") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise failure(answer.get("error", {}))
        return answer


def _import_xllamacpp() -> Any:
    # Without it, OpenMP threads that wait spin so long that one other busy process slows decoding tenfold. Measured
    # on two cores beside one busy process: 1000 keeps 0.29 of the quiet speed, 60 keeps 0.56 and loses 8 % when quiet.
    # Only libgomp reads it, once, when it is loaded: so before the import.
    os.environ.setdefault("GOMP_SPINCOUNT", "60")
    try:
        import xllamacpp
    except ImportError as error:
        hint = "apt-get install libgomp1" if "libgomp" in str(error) else "pip install 'termrag[llamacpp]'"
        raise EngineFailed(f"llama.cpp cannot be imported: {error}", hint) from error
    return xllamacpp


def _private_folder() -> Path:
    """A new folder that only this user may enter, with a name short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="termrag-"))
    if len(os.fsencode(folder)) > _LONGEST_SOCKET_PATH - len("/l.sock"):
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="termrag-", dir="/tmp"))
    return folder


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
