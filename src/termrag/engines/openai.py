"""Any OpenAI-compatible endpoint (vLLM, llama-server, Ollama, LM Studio, a cloud): a request and its event stream.

Nothing leaves this machine but the messages and the sampling, and they go to the configured URL alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from typing import Any

from termrag.config import OpenAISettings
from termrag.engines import Done, EngineEvent, Piece, Prefill, Stream
from termrag.engines.endpoint import Endpoint, Exchange, Lost
from termrag.engines.generation import LatestStreams, StopFilter, Stopwatch, too_long, waiting
from termrag.errors import EngineFailed
from termrag.pending import Pending
from termrag.records import Message, Sampling

_PARTS = re.compile(r"[A-Za-z]+|[^A-Za-z ]| {2,}")
_HEARTBEAT_S = 0.25  # while the endpoint is silent, the caller gets a chance to close the stream this often
_MOST_COUNTS = 64  # remembered: packing a prompt counts the same messages again and again
_MOST_STOPS = 4  # what the API takes; our own filter sees to the others
_TEMPLATE_TOKENS = 48  # a default system text that some templates add
_MESSAGE_TOKENS = 8  # the marks around one message


class OpenAIEngine:
    """One model of one endpoint. As many requests go out at once as there are `slots`; the endpoint sees to them."""

    name = "openai"

    def __init__(self, settings: OpenAISettings, *, api_key: str, slots: int = 1) -> None:
        self.model = settings.model
        self.slots = slots
        self.context_length = settings.context_tokens
        self._endpoint = Endpoint(settings.url, api_key=api_key, timeout_s=settings.timeout_s, model=settings.model)
        self._latest = LatestStreams()
        self._counter = ""  # how tokens are counted here: a key of _COUNTERS; empty: not known yet
        self._counted: dict[tuple[Message, ...], int] = {}
        self._scale = 1.0

    def load(self) -> None:
        """Import the HTTP client; idempotent. The endpoint is first spoken to when there is something to say."""
        self._endpoint.open()

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        """As the contract says. Repeats the request where the endpoint cannot be reached or is busy (429, 502, 503),
        until the first byte of an answer; a connection that breaks later ends in Done("lost")."""
        return self._latest.alone(waiting(self._generate(messages, sampling), _HEARTBEAT_S))

    def stream_in(self, slot: int, messages: Sequence[Message], sampling: Sampling) -> Stream:
        """The same beside others."""
        return self._latest.beside(slot, self._generate(messages, sampling))

    def _generate(self, messages: Sequence[Message], sampling: Sampling) -> Stream:
        watch = Stopwatch()
        total = self.count_tokens(messages)
        if total >= self.context_length:
            raise too_long(total, self.context_length)
        body = _body(self.model, messages, sampling, room=self.context_length - total)
        exchange = Exchange(self._endpoint, "/chat/completions", body)
        answer = _Answer(StopFilter(sampling.stop), watch)
        try:
            yield Prefill(0, total)
            while not answer.is_over:
                item = exchange.items.take()
                if isinstance(item, Pending):
                    yield item
                    continue
                if isinstance(item, EngineFailed):
                    raise item
                had_begun = answer.has_begun
                text = answer.take(item)
                if answer.has_begun and not had_begun:
                    yield Prefill(total, total)
                if text:
                    yield Piece(text)
        finally:
            exchange.stop()
        if rest := answer.stop.flush():
            yield Piece(rest, tokens=0)
        yield self._done(answer, total)

    def _done(self, answer: _Answer, total: int) -> Done:
        usage = answer.usage
        prompt_tokens = usage.get("prompt_tokens") or total
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        answer.watch.generated = usage.get("completion_tokens") or answer.watch.generated
        if self._counter == "estimate" and prompt_tokens > total:
            # The estimate was too low for this model's tokenizer. Never again.
            self._scale *= 1.1 * prompt_tokens / total
            self._counted.clear()
        return Done(answer.reason, answer.watch.usage(prompt_tokens, cached))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact where the endpoint can count (vLLM, llama-server); else an estimate that errs on the high side.

        The estimate takes one token for two letters of an ordinary word, for every digit, sign and letter of any other
        word, and for every byte of other scripts: about twice the truth for English prose. Where an answer's usage
        shows that it was too low, all later ones are raised. An endpoint that does not answer now is estimated too.
        """
        self.load()
        key = tuple(messages)
        if key not in self._counted:
            if len(self._counted) >= _MOST_COUNTS:
                self._counted.clear()
            self._counted[key] = self._ask_count(messages)
        return self._counted[key]

    def close(self) -> None:
        """Stop what runs and leave the endpoint; idempotent."""
        self._latest.close()
        self._endpoint.close()
        self._counter = ""
        self._counted.clear()

    def _ask_count(self, messages: Sequence[Message]) -> int:
        try:
            self._counter = self._counter or self._find_counter()
            return _COUNTERS[self._counter](self, messages)
        except EngineFailed:  # not now, or not these messages
            return self._count_by_estimate(messages)

    def _find_counter(self) -> str:
        """Ask with a greeting: an endpoint that cannot count shall not see documents on a route it does not have."""
        for name in ("vllm", "llama-server"):
            try:
                _COUNTERS[name](self, [Message("user", "Hello.")])
            except _CannotCount:
                continue
            return name
        return "estimate"

    def _count_as_vllm(self, messages: Sequence[Message]) -> int:
        body = {"model": self.model, "messages": _plain(messages), "add_generation_prompt": True}
        answer = self._endpoint.ask("/tokenize", body)
        if not isinstance(count := answer.get("count"), int):
            raise _CannotCount("no count")
        self.context_length = min(self.context_length, answer.get("max_model_len") or self.context_length)
        return count

    def _count_as_llama_server(self, messages: Sequence[Message]) -> int:
        prompt = self._endpoint.ask("/apply-template", {"messages": _plain(messages)}).get("prompt")
        if not isinstance(prompt, str):
            raise _CannotCount("no template")
        body = {"content": prompt, "add_special": True, "parse_special": True}
        if not isinstance(tokens := self._endpoint.ask("/tokenize", body).get("tokens"), list):
            raise _CannotCount("no tokens")
        return len(tokens)

    def _count_by_estimate(self, messages: Sequence[Message]) -> int:
        return int(self._scale * estimate_tokens(messages))


class _CannotCount(EngineFailed):
    """The endpoint answers, but has no such route."""


_COUNTERS: dict[str, Callable[[OpenAIEngine, Sequence[Message]], int]] = {
    "vllm": OpenAIEngine._count_as_vllm,
    "llama-server": OpenAIEngine._count_as_llama_server,
    "estimate": OpenAIEngine._count_by_estimate,
}


class _Answer:
    """Reads the chunks of one answer."""

    def __init__(self, stop: StopFilter, watch: Stopwatch) -> None:
        self.stop = stop
        self.watch = watch
        self.usage: dict[str, Any] = {}
        self.reason = ""
        self.has_begun = False
        self.is_over = False

    def take(self, item: dict[str, Any] | Lost | None) -> str:
        """The text of one chunk that is safe to show; None is the end of the stream."""
        if item is None or isinstance(item, Lost):
            self.is_over = True
            if not self.reason:
                if not self.has_begun:
                    raise EngineFailed("the endpoint ended before it answered", "ask again")
                self.reason = "lost"
            return ""
        self.has_begun = True
        if "error" in item:
            raise EngineFailed(f"the endpoint failed: {item['error']}", "ask again")
        self.usage = item.get("usage") or self.usage
        text = ""
        for choice in (item.get("choices") or [])[:1]:
            if piece := (choice.get("delta") or {}).get("content"):
                self.watch.token()
                text += self.stop.feed(piece)
            if choice.get("finish_reason"):
                self.reason = "length" if choice["finish_reason"] == "length" else "stop"
        if self.stop.stopped:
            self.reason, self.is_over = "stop", True
        return text


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _body(model: str, messages: Sequence[Message], sampling: Sampling, *, room: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": _plain(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": min(sampling.max_tokens, room),
    }
    if stops := [stop for stop in sampling.stop if stop][:_MOST_STOPS]:
        body["stop"] = stops
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    # Not of the API proper, and some endpoints refuse what they do not know: sent only when asked for.
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    if sampling.min_p:
        body["min_p"] = sampling.min_p
    if sampling.repetition_penalty != 1.0:
        body["repetition_penalty"] = body["repeat_penalty"] = sampling.repetition_penalty  # vLLM's name, llama.cpp's
    return body


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Tokens that hardly any tokenizer exceeds, with room for a chat template."""
    return _TEMPLATE_TOKENS + sum(_MESSAGE_TOKENS + _estimate(message.content) for message in messages)


def _estimate(text: str) -> int:
    tokens = 0
    for part in _PARTS.findall(text):
        if not part[0].isalpha() or not part.isascii():
            tokens += len(part.encode("utf-8"))
        elif len(part) <= 20 and (part.islower() or part.istitle()):
            tokens += (len(part) + 1) // 2
        else:
            tokens += len(part)
    return tokens
