"""Traces of requests: a consumer of samples, and what is behind it.

Strategy: the data plane's samples are looked at where they come from, for a node's number
means its address only now, and leave that task as plain spans.

Cost: 30 us for one request in ``insight.sample_every`` times ``tracing.every`` (CPython 3.11,
CI machine).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from proxy.config import Tracing
from proxy.errors import ConfigError
from proxy.tracing.sender import Sender
from proxy.tracing.spans import Facts, spans_of
from proxy.version import find_version

if TYPE_CHECKING:
    from proxy.dataplane.sample import Sample

PATH = "/v1/traces"
# How long a proxy that ends waits for the collector.
FLUSH_S = 2.0


class Tracer:
    """Sends one in so many of the samples that it is given.

    Args:
        every: As ``tracing.every``; may be changed.
        facts: What a sample does not know itself.
        sender: Takes the traces.
    """

    def __init__(self, *, every: int, facts: Facts, sender: Sender) -> None:
        self.every = every
        self._seen = 0
        self._facts = facts
        self._sender = sender

    def __call__(self, sample: Sample) -> None:
        """Send this request as a trace, if it is its turn."""
        self._seen += 1
        if self._seen % self.every == 0:
            self._sender.offer(spans_of(sample, self._facts))

    async def run(self) -> None:
        """Wait until cancelled; then give what is left to the collector, for a bounded time."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._sender.close, FLUSH_S)


def open_tracer(settings: Tracing, facts: Facts) -> Tracer | None:
    """Return what sends traces; None if there are to be none.

    Raises:
        ConfigError: The endpoint is no address of a web server, or the extra is not installed.
    """
    if not settings.endpoint:
        return None
    url = traces_url(settings.endpoint)
    try:
        from proxy.tracing.otlp import OtlpExport
    except ModuleNotFoundError as problem:
        raise ConfigError(
            key="tracing.endpoint",
            given=repr(settings.endpoint),
            allowed=f"nothing, without {problem.name}: pip install 'slotway[tracing]'",
        ) from None
    export = OtlpExport(
        url=url, service_name=settings.service_name, version=find_version() or "unknown"
    )
    sender = Sender(export, to=settings.endpoint)
    return Tracer(every=settings.every, facts=facts, sender=sender)


def traces_url(endpoint: str) -> str:
    """Return where a collector takes traces: OTLP's own path below the endpoint.

    Raises:
        ConfigError: It is no address of a web server, or has a password in it, which all would
            see who see settings.
    """
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise ConfigError(
            key="tracing.endpoint",
            given="an address with a user or a password in it",
            allowed="one without; OTEL_EXPORTER_OTLP_HEADERS takes what is secret",
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(
            key="tracing.endpoint", given=repr(endpoint), allowed="http://host:port or https://..."
        )
    return endpoint if parts.path.endswith(PATH) else endpoint.rstrip("/") + PATH
