"""Traces leave in a thread; a collector that is away or hangs stops nobody."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from proxy.embedded.waiting import wait_for
from proxy.tracing.sender import TRACES_LIMIT, Sender
from proxy.tracing.spans import Kind, Span

PATIENCE_S = 10.0
QUICK_S = 0.001


def a_trace(number: int = 0) -> Span:
    return Span(f"GET {number}", Kind.SERVER, 0, 1, {})


class Collector:
    """Takes traces, or does not, as told."""

    def __init__(self) -> None:
        self.problem = ""
        self.taken: list[str] = []
        self.asked = 0
        self.opens = threading.Event()
        self.opens.set()

    def __call__(self, traces: Sequence[Span]) -> str:
        self.opens.wait(PATIENCE_S)
        self.asked += 1
        if not self.problem:
            self.taken += [trace.name for trace in traces]
        return self.problem


def test_traces_arrive_in_order_and_few_at_a_time() -> None:
    collector = Collector()
    sender = Sender(collector, to="there", pace_s=QUICK_S)

    for number in range(600):
        sender.offer(a_trace(number))

    assert sender.close(PATIENCE_S)
    assert collector.taken == [f"GET {number}" for number in range(600)]
    assert (sender.sent, sender.dropped) == (600, 0)


def test_what_waits_when_the_end_comes_is_still_sent() -> None:
    collector = Collector()
    sender = Sender(collector, to="there", pace_s=3600.0)
    sender.offer(a_trace())

    assert sender.close(PATIENCE_S)
    assert collector.taken == ["GET 0"]

    sender.offer(a_trace())
    assert sender.dropped == 1


def test_a_collector_that_hangs_blocks_nobody_and_the_queue_is_bounded() -> None:
    collector = Collector()
    collector.opens.clear()
    sender = Sender(collector, to="there", pace_s=QUICK_S)

    for number in range(3 * TRACES_LIMIT):
        sender.offer(a_trace(number))

    assert sender.dropped >= TRACES_LIMIT
    assert not sender.close(0.01)
    collector.opens.set()
    assert sender.close(PATIENCE_S)
    assert sender.sent + sender.dropped == 3 * TRACES_LIMIT


def test_a_collector_that_is_away_is_one_line_and_one_when_it_is_back() -> None:
    collector = Collector()
    collector.problem = "connection refused"
    with capture_logs() as lines:
        sender = Sender(collector, to="http://there", pace_s=QUICK_S)
        for expected in range(1, 6):
            sender.offer(a_trace())
            wait_for(lambda wanted=expected: sender.dropped >= wanted, PATIENCE_S)
        collector.problem = ""
        sender.offer(a_trace())
        wait_for(lambda: sender.sent, PATIENCE_S)
        assert sender.close(PATIENCE_S)

    assert lines == [
        {
            "event": "traces not taken",
            "log_level": "warning",
            "endpoint": "http://there",
            "problem": "connection refused",
        },
        {
            "event": "traces taken again",
            "log_level": "info",
            "endpoint": "http://there",
            "dropped": 5,
        },
    ]


@pytest.mark.parametrize("traces", [1, TRACES_LIMIT])
def test_a_collector_that_is_away_at_the_end_is_asked_for_each_batch_once(traces: int) -> None:
    collector = Collector()
    collector.problem = "connection refused"
    sender = Sender(collector, to="there", pace_s=3600.0)
    for _ in range(traces):
        sender.offer(a_trace())

    assert sender.close(PATIENCE_S)
    assert sender.dropped == traces
    assert collector.asked <= 1 + traces // 256
