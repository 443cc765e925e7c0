"""Hand each sampled request to all who want to see it.

Strategy: the data plane calls one callable; this is it. A consumer that fails is told of in
the log, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from proxy.dataplane.sample import Sample

log = structlog.get_logger()


class Samples:
    """Whoever looks at samples, in the order they came."""

    def __init__(self) -> None:
        self._consumers: list[Callable[[Sample], object]] = []

    def add(self, consumer: Callable[[Sample], object]) -> None:
        """Have somebody called with each sample from now on; it must be quick and never wait."""
        self._consumers.append(consumer)

    def __call__(self, sample: Sample) -> None:
        """Pass on one sample. For ``Engine.on_sample``."""
        for consumer in self._consumers:
            try:
                consumer(sample)
            except Exception:  # a bug of one who only looks must not cost the others their sight
                log.exception("bug in a consumer of samples", command=sample.command)
