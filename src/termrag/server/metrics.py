"""What a monitoring system wants to know, in Prometheus' form: its names, base units and conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from termrag.records import Answer
    from termrag.server.runs import Runs
    from termrag.server.turns import Turnstile

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ANSWER_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """One server's counts, in a registry of its own."""

    def __init__(self, runs: Runs, turnstile: Turnstile) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "termrag_http_requests",
            "Requests by endpoint and outcome.",
            ("endpoint", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "termrag_http_request_duration_seconds",
            "Time to the end of an answer.",
            ("endpoint",),
            registry=self._registry,
        )
        self._answers = Counter("termrag_answers", "Answers by verdict.", ("verdict",), registry=self._registry)
        self._tokens = Counter("termrag_tokens", "Tokens of the chat model.", ("kind",), registry=self._registry)
        self._first = Histogram(
            "termrag_first_token_seconds", "Time to the first token.", buckets=_ANSWER_S, registry=self._registry
        )
        self._gauge("termrag_answers_in_progress", "Answers being written.", lambda: runs.active)
        self._gauge("termrag_questions_waiting", "Questions that wait for their turn.", lambda: turnstile.waiting)

    def _gauge(self, name: str, help_: str, value: Callable[[], float]) -> None:
        Gauge(name, help_, registry=self._registry).set_function(value)

    def count_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """`endpoint` is the route's pattern, never the path: there are few of them."""
        self._requests.labels(endpoint, method, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def count_answer(self, answer: Answer) -> None:
        self._answers.labels(answer.verdict.value).inc()
        self._tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self._tokens.labels("prompt_cached").inc(answer.usage.cached_tokens)
        self._tokens.labels("generated").inc(answer.usage.generated_tokens)
        if answer.usage.first_token_s:
            self._first.observe(answer.usage.first_token_s)

    def text(self) -> bytes:
        return generate_latest(self._registry)
