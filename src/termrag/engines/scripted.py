"""The engine that says what it is told, token by token: for tests, demonstrations and documentation; runs no model."""

from __future__ import annotations

import heapq
import re
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from termrag.engines import Done, EngineEvent, Piece, Prefill, Stream
from termrag.engines.generation import LatestStreams, StopFilter, Stopwatch, common_prefix, too_long, waiting
from termrag.errors import ConfigError
from termrag.pending import Pending
from termrag.records import Message, Sampling

_TOKEN = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")
_REST_S = 2.0
_SEPARATOR = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)


class ScriptedEngine:
    """Answers the first call with the first answer, and so on; the last answer repeats.

    `script` is the text itself, or @FILE. Answers are separated by a line `---`. Tokens are words cut at eight
    characters, single signs, and their leading white space. With `tokens_per_s` each generation takes its time, as one
    of a model would; 0: none.
    """

    name = "scripted"

    def __init__(
        self, script: str, *, model: str, context_tokens: int, slots: int = 1, tokens_per_s: float = 0.0
    ) -> None:
        self.model = model
        self.context_length = context_tokens
        self.slots = slots
        self._script = script
        self._token_s = 1 / tokens_per_s if tokens_per_s else 0.0
        self._clock = _Clock()
        self._answers: list[str] = []
        self._calls = 0
        self._cached: list[str] = []
        self._latest = LatestStreams()

    def load(self) -> None:
        """Read the script; idempotent. Raises ConfigError if there is none."""
        if self._answers:
            return
        answers = [part.removesuffix("\n") for part in _SEPARATOR.split(_read_script(self._script))]
        if not any(answers):
            raise ConfigError(
                "models.script is empty, and the scripted engine says only what it is told",
                'TERMRAG_MODELS_SCRIPT="Hello." termrag ask "…"',
            )
        self._answers, self._calls, self._cached = answers, 0, []

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        """Yield Prefill, one Piece per token, Done. Of the sampling, max_tokens and stop are honoured."""
        return self._latest.alone(waiting(self._generate(messages, sampling)))

    def stream_in(self, slot: int, messages: Sequence[Message], sampling: Sampling) -> Stream:
        """The same beside others; the answers are given in the order in which the streams begin."""
        return self._latest.beside(slot, self._generate(messages, sampling))

    def _generate(self, messages: Sequence[Message], sampling: Sampling) -> Stream:
        watch = Stopwatch()
        self.load()
        prompt = _prompt(messages)
        if len(prompt) >= self.context_length:
            raise too_long(len(prompt), self.context_length)
        answer = self._answers[min(self._calls, len(self._answers) - 1)]
        self._calls += 1
        cached = min(common_prefix(self._cached, prompt), len(prompt) - 1)
        self._cached = held = list(prompt)
        yield Prefill(cached, len(prompt))
        yield Prefill(len(prompt), len(prompt))
        stop, reason = StopFilter(sampling.stop), "stop"
        limit = min(sampling.max_tokens, self.context_length - len(prompt))
        due_s = time.monotonic()
        for count, token in enumerate(_TOKEN.findall(answer)):
            if count == limit:
                reason = "length"
                break
            due_s += self._token_s
            while self._token_s and time.monotonic() < due_s:
                yield self._clock.at(due_s)
            watch.token()
            held.append(token)
            yield Piece(stop.feed(token))
            if stop.stopped:
                break
        if rest := stop.flush():
            yield Piece(rest, tokens=0)
        yield Done(reason, watch.usage(len(prompt), cached))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of the prompt in this engine's own tokens: two marks per message, one to open the answer."""
        return len(_prompt(messages))

    def close(self) -> None:
        """Forget the script and where it stood; idempotent."""
        self._latest.close()
        self._answers, self._calls, self._cached = [], 0, []


class _Clock:
    """Ends what is pending at its time, on one thread that lives while something is, and a moment longer."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Pending]] = []
        self._count = 0
        self._changed = threading.Condition()
        self._is_running = False

    def at(self, when_s: float) -> Pending:
        """`when_s` is by time.monotonic()."""
        pending = Pending()
        with self._changed:
            self._count += 1
            heapq.heappush(self._due, (when_s, self._count, pending))
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="script", daemon=True).start()
            self._changed.notify()
        return pending

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    if not self._changed.wait(_REST_S) and not self._due:
                        self._is_running = False
                        return
                    continue
                if (wait_s := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(wait_s)
                    continue
                pending = heapq.heappop(self._due)[2]
            pending.end()


def _read_script(script: str) -> str:
    if not script.startswith("@"):
        return script
    file = Path(script[1:]).expanduser()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"models.script names {file}, which cannot be read: {error}", f"ls -l {file}") from error


def _prompt(messages: Sequence[Message]) -> list[str]:
    tokens: list[str] = []
    for message in messages:
        tokens += [f"<|{message.role}|>", *_TOKEN.findall(message.content), "<|end|>"]
    return [*tokens, "<|assistant|>"]
