"""Export traces by OTLP over HTTP, with OpenTelemetry's SDK. Needs ``slotway[tracing]``.

Strategy: everything here runs in the sender's thread. The SDK's tracer makes its spans from
ours, with our times; a processor collects them and its exporter sends them as one request.
What the SDK would log of each failure becomes the reason that is returned.

Cost: 60 us a span in the thread, which takes turns with the data plane's (CPython 3.11, CI
machine).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

from proxy.tracing.spans import Kind, Span

SCOPE = "slotway"
# With the SDK's own repetitions. Chosen: traces come once a second.
TIMEOUT_S = 5.0

_KINDS = {
    Kind.SERVER: SpanKind.SERVER,
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.CLIENT: SpanKind.CLIENT,
}


class _Collector(SpanProcessor):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class _Words(logging.Handler):
    """Keeps the last thing that the SDK had to say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


class OtlpExport:
    """Sends traces to a collector.

    Args:
        url: Where its traces are taken, ``http://127.0.0.1:4318/v1/traces``.
        service_name: What the traces call this service.
        version: Its version.
    """

    def __init__(self, *, url: str, service_name: str, version: str) -> None:
        self._words = _Words()
        sdk = logging.getLogger("opentelemetry")
        sdk.handlers = [self._words]
        sdk.propagate = False
        self._collector = _Collector()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(
                {
                    "service.name": service_name,
                    "service.version": version,
                    "host.name": socket.gethostname(),
                }
            ),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._collector)
        self._tracer = provider.get_tracer(SCOPE, version)
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_S)

    def __call__(self, traces: Sequence[Span]) -> str:
        """Send traces; return what is wrong, or nothing."""
        for trace in traces:
            self._make(trace, Context())
        spans, self._collector.spans = self._collector.spans, []
        self._words.last = ""
        try:
            if self._exporter.export(spans) is SpanExportResult.SUCCESS:
                return ""
        except OSError as problem:  # what the HTTP library raises, in some versions of the SDK
            return str(problem)
        return self._words.last or "the collector did not say"

    def _make(self, span: Span, parent: Context) -> None:
        made = self._tracer.start_span(
            span.name,
            context=parent,
            kind=_KINDS[span.kind],
            attributes=span.attributes,
            start_time=span.began_ns,
        )
        for moment in span.moments:
            made.add_event(moment.name, moment.attributes, moment.at_ns)
        if span.failed:
            made.set_attribute("error.type", span.failed)
            made.set_status(StatusCode.ERROR)
        for child in span.children:
            self._make(child, set_span_in_context(made))
        made.end(span.ended_ns)
