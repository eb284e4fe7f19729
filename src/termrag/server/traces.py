"""OpenTelemetry traces of requests and answers, for a collector that the settings name; without one, nothing. They hold
times, counts and names of models, never text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from termrag import __version__
from termrag.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from termrag.records import Answer

_CLOSE_MS = 3000


class Traces:
    """Spans of one server. Without a collector every method does nothing."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError where the packages that send traces are missing."""
        self._provider = _provider(url) if url else None
        self._tracer = self._provider.get_tracer("termrag.server", __version__) if self._provider else None

    @contextmanager
    def request(self, method: str, route: str, headers: Mapping[str, str], request_id: str) -> Iterator[Span | None]:
        """The span of a request, below the caller's if it names one; `ended` tells it the status."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        above = TraceContextTextMapPropagator().extract({name.lower(): value for name, value in headers.items()})
        known = {"http.request.method": method, "http.route": route, "termrag.request_id": request_id}
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=above,
            kind=SpanKind.SERVER,
            attributes=known,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    @staticmethod
    def ended(span: Span | None, status: int) -> None:
        if span is not None:
            from opentelemetry.trace import StatusCode

            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)

    @contextmanager
    def answer(self) -> Iterator[Span | None]:
        """The span of an answer, from its turn to its end."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span("answer", record_exception=False) as span:
            yield span

    @staticmethod
    def answered(span: Span | None, answer: Answer) -> None:
        """What became of it: names by OpenTelemetry's conventions for generative models, the stages in seconds."""
        if span is None:
            return
        span.set_attributes(
            {
                "gen_ai.provider.name": answer.engine,
                "gen_ai.request.model": answer.model,
                "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
                "gen_ai.usage.output_tokens": answer.usage.generated_tokens,
                "termrag.verdict": answer.verdict.value,
                **{f"termrag.stage.{name}.duration": taken / 1000 for name, taken in answer.stages_ms},
            }
        )

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        if self._provider is not None:
            self._provider.force_flush(_CLOSE_MS)
            self._provider.shutdown()


def _provider(url: str) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(f"server.traces_url needs {error.name}", "pip install 'termrag[traces]'") from error
    about: dict[str, Any] = {"service.name": "termrag", "service.version": __version__}
    provider = TracerProvider(resource=Resource(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return provider
