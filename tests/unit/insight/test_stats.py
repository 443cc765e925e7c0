"""Rates and percentiles are differences of readings; what a second brought becomes an event."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import pytest

from proxy.dataplane.histogram import LATENCY_BOUNDS_S, Histogram
from proxy.insight import readings, stats
from proxy.insight.events import EventLog
from proxy.insight.readings import Reading
from proxy.insight.seconds import Seconds
from proxy.insight.stats import Stats
from proxy.insight.views_answers import EventKind


def histogram(**counts: int) -> Histogram:
    """Return a histogram that has so many values of each place: ``at3=10``."""
    buckets = [0] * (len(LATENCY_BOUNDS_S) + 1)
    for place, count in counts.items():
        buckets[int(place.removeprefix("at"))] = count
    return Histogram(LATENCY_BOUNDS_S, tuple(buckets), 0.0)


class FakeMeter:
    """Counters that a test sets, with the meter's names."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = defaultdict(int)
        self.errors = {"ERR": 0, "other": 0}
        self.refusals = {"moved": 0, "ask": 0, "tryagain": 0}
        self.limits = {"lane_limit": 0}
        self.latency = histogram()
        self.tick_s = histogram()
        self.turn_s = histogram()
        self.families = {"string": family(0), "hash": family(0)}
        self.nodes: dict[int, object] = {}


def family(requests: int) -> SimpleNamespace:
    return SimpleNamespace(requests=requests, latency=histogram(at4=requests))


def node(requests: int) -> SimpleNamespace:
    return SimpleNamespace(
        requests=requests, latency=histogram(at6=requests), backend=histogram(at4=requests)
    )


class Watch:
    """Stats over a fake meter, and a clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        for module in (readings, stats):
            monkeypatch.setattr(module.time, "monotonic", lambda: self.now_s)
        self.meter = FakeMeter()
        self.seconds: list[tuple[Reading, Reading]] = []
        self.stats = Stats(
            meter=self.meter,
            pools=SimpleNamespace(dials=0, failed_dials=0),
            watcher=SimpleNamespace(refreshes=0),
            slow=lambda: 0,
            lost=lambda: 0,
            on_second=lambda now, before: self.seconds.append((now, before)),
        )

    def pass_seconds(self, count: int, requests_each: int) -> None:
        for _ in range(count):
            self.now_s += 1.0
            self.meter.totals["requests"] += requests_each
            self.stats.take()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Return stats that have just begun."""
    return Watch(monkeypatch)


def test_a_rate_is_over_the_time_that_it_says(watch: Watch) -> None:
    watch.pass_seconds(60, 10)
    watch.pass_seconds(10, 100)
    watch.pass_seconds(1, 1000)

    rates = {seconds: watch.stats.since(seconds)[0].requests for seconds in (1, 10, 60)}

    assert rates == {1: 1000.0, 10: (9 * 100 + 1000) / 10, 60: (49 * 10 + 1000 + 1000) / 60}


def test_a_young_proxys_rate_is_over_its_life(watch: Watch) -> None:
    watch.pass_seconds(3, 30)

    assert watch.stats.since(60)[0].requests == 30.0


def test_a_late_reading_makes_no_error(watch: Watch) -> None:
    watch.pass_seconds(1, 0)
    watch.now_s += 4.0
    watch.meter.totals["requests"] += 50
    watch.stats.take()

    assert watch.stats.since(1)[0].requests == 50 / 4
    assert watch.stats.history[-1].requests == 50 / 4


def test_the_memory_is_bounded(watch: Watch) -> None:
    watch.pass_seconds(500, 1)

    assert len(watch.stats.history) == stats.HISTORY_S
    assert watch.stats.since(10_000)[1].at_s == watch.now_s - stats.KEPT_S + 1


def test_latencies_are_of_the_last_minute(watch: Watch) -> None:
    watch.meter.latency = histogram(at30=1000)
    watch.meter.families = {"string": family(5), "hash": family(7)}
    watch.pass_seconds(70, 0)
    watch.meter.latency = histogram(at30=1000, at2=4)
    watch.meter.families = {"string": family(9), "hash": family(7)}

    latency = watch.stats.latency()

    assert latency.count == 4
    assert latency.p999_ms is not None
    assert latency.p999_ms <= 1000 * LATENCY_BOUNDS_S[2]
    assert [(each.family, each.whole.count) for each in watch.stats.families()] == [("string", 4)]


def test_no_requests_have_no_latency(watch: Watch) -> None:
    assert watch.stats.latency().count == 0
    assert watch.stats.latency().p50_ms is None
    assert watch.stats.loop_lag_ms() is None


def test_a_nodes_number_that_was_given_to_another_begins_anew(watch: Watch) -> None:
    watch.meter.nodes = {0: node(50)}
    watch.pass_seconds(20, 0)
    watch.meter.nodes = {0: node(3), 1: node(8)}

    told = watch.stats.nodes(lambda number: f"node {number}")

    assert [(each.node, each.whole.count) for each in told] == [("node 0", 3), ("node 1", 8)]
    assert watch.stats.node_figures()[0][1].count == 3


def test_only_what_has_counted_is_told_by_name(watch: Watch) -> None:
    watch.pass_seconds(20, 0)
    watch.meter.errors = {"ERR": 40, "other": 0}

    (told,) = watch.stats.named(watch.stats.read(), lambda reading: reading.errors)

    assert (told.name, told.total, told.per_s) == ("ERR", 40, 4.0)


def test_the_longest_wait_of_late_is_the_lag(watch: Watch) -> None:
    watch.meter.tick_s = histogram(at20=1)
    watch.pass_seconds(30, 0)
    watch.meter.tick_s = histogram(at20=1, at3=5)
    watch.meter.turn_s = histogram(at5=5)
    watch.pass_seconds(1, 0)

    lag_ms = watch.stats.loop_lag_ms()

    assert lag_ms is not None
    assert 1000 * LATENCY_BOUNDS_S[4] < lag_ms <= 1000 * LATENCY_BOUNDS_S[5]


# ---- events of a second ------------------------------------------------------------------


def test_a_second_with_trouble_is_one_event_for_each_kind(watch: Watch) -> None:
    log = EventLog()
    silences: list[int] = []
    chronicle = SimpleNamespace(look_at_silence=lambda: silences.append(1))
    watch.pass_seconds(1, 0)
    watch.meter.refusals = {"moved": 3, "ask": 2, "tryagain": 1}
    watch.meter.limits = {"lane_limit": 4}
    watch.meter.totals["expired"] = 2
    watch.pass_seconds(1, 0)

    Seconds(log, chronicle).tell(*watch.seconds[-1])

    assert [(event.kind, event.text, event.count) for event in log.after(0).events] == [
        (EventKind.REDIRECTS, "5 redirects by nodes: 3 moved, 2 ask", 5),
        (EventKind.RETRIES, "1 refusal by nodes: 1 tryagain", 1),
        (EventKind.ERRORS, "2 requests given up at their deadline (cluster.request_timeout_s)", 2),
        (EventKind.LIMIT, "lane_limit was reached 4 times", 4),
    ]
    assert silences == [1]


def test_a_quiet_second_is_no_event(watch: Watch) -> None:
    log = EventLog()
    watch.pass_seconds(2, 1000)

    Seconds(log, SimpleNamespace(look_at_silence=lambda: None)).tell(*watch.seconds[-1])

    assert log.after(0).events == ()
