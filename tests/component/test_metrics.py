"""The scrape: every metric of the table, in both formats, with the figures of real traffic."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import trio
from broker import Broker
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import CollectorRegistry
from prometheus_client.samples import Sample
from scripted_cluster import FakeCluster
from served import Served

from proxy.admin.metrics import METRICS, Metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def metrics(served: Served) -> Metrics:
    readiness = served.proxy.observatory.insight.readiness
    return Metrics(served.proxy, readiness=readiness, version="1.2.3")


@pytest.fixture
async def used(served: Served, cluster: FakeCluster, broker: Broker) -> Served:
    """Return a proxy that has served something of most kinds; ``broker`` lets clients subscribe."""
    client = await served.connect()
    key, other = cluster.key_of(cluster.nodes[0]), cluster.key_of(cluster.nodes[1])
    assert await client.call("SET", key, 1) == b"+OK\r\n"
    assert await client.call("GET", key) == b"$1\r\n1\r\n"
    assert await client.call("MGET", key, other) == b"*2\r\n$1\r\n1\r\n$-1\r\n"
    assert (await client.call("NOSUCHCOMMAND")).startswith(b"-ERR")
    assert (await client.call("SUBSCRIBE", "news")).endswith(b":1\r\n")
    return served


async def scrape(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    text, _ = await metrics.render("")
    return {(s.name, tuple(sorted(s.labels.values()))): s.value for s in samples(text)}


def samples(text: bytes) -> Iterator[Sample]:
    for family in parse_text(text.decode()):
        yield from family.samples


# ---- the table ----------------------------------------------------------------------------------


def test_no_two_metrics_have_one_name() -> None:
    names = [row.full_name for row in METRICS]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("row", METRICS, ids=lambda row: row.name)
def test_a_metric_is_named_as_prometheus_wants_it(row: object) -> None:
    name, text = row.name, row.text

    assert name.startswith("slotway_")
    assert not name.endswith("_total")
    assert not any(part in name for part in ("_ms", "_kb", "_mb", "_minutes", "_percent"))
    assert text.endswith((".", "client alone."))


# ---- the text -----------------------------------------------------------------------------------


async def test_every_metric_of_the_table_is_in_the_text(metrics: Metrics, used: Served) -> None:
    text, kind = await metrics.render("text/plain")
    told = {family.name: family.type for family in parse_text(text.decode())}

    assert kind.startswith("text/plain; version=0.0.4")
    shown = {"info": "gauge"}
    for row in METRICS:
        name = row.full_name if row.kind == "info" else row.name
        assert told[name] == shown.get(row.kind, row.kind)
    assert "process_resident_memory_bytes" in told


async def test_the_same_comes_as_openmetrics(metrics: Metrics, used: Served) -> None:
    text, kind = await metrics.render(OPENMETRICS)
    told = {family.name: family.type for family in parse_openmetrics(text.decode())}

    assert kind.startswith("application/openmetrics-text")
    assert text.count(b"# EOF") == 1
    assert {row.name: row.kind for row in METRICS}.items() <= told.items()


async def test_promtool_finds_nothing_to_complain_of(metrics: Metrics, used: Served) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    text, _ = await metrics.render("")

    checked = await trio.run_process(
        [promtool, "check", "metrics"],
        stdin=text,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_a_registry_takes_it(metrics: Metrics, used: Served) -> None:
    registry = CollectorRegistry()

    registry.register(metrics)

    assert registry.get_sample_value("slotway_ready") == 1


# ---- the figures --------------------------------------------------------------------------------


async def test_the_figures_are_those_of_the_traffic(
    metrics: Metrics, used: Served, cluster: FakeCluster
) -> None:
    figures = await scrape(metrics)

    node = str(cluster.nodes[0].address)
    assert figures["slotway_requests_total", ("read", "string")] == 2
    assert figures["slotway_requests_total", ("string", "write")] == 1
    assert figures["slotway_request_duration_seconds_count", ("string",)] == 3
    assert figures["slotway_request_duration_seconds_bucket", ("+Inf", "string")] == 3
    assert figures["slotway_split_width_sum", ()] == 2
    assert figures["slotway_error_replies_total", ("ERR",)] == 1
    assert figures["slotway_node_backend_duration_seconds_count", (node,)] == 3
    assert figures["slotway_clients", ()] == 1
    assert figures["slotway_pubsub_clients", ()] == 1
    assert figures["slotway_pubsub_topics", ("channel",)] == 1
    assert figures["slotway_slots_covered", ()] == 16384
    assert figures["slotway_nodes", ("primary",)] == 3
    assert figures["slotway_lanes", ("own",)] >= 1
    assert figures["slotway_lane_requests_total", ("own",)] >= 4
    assert figures["slotway_tick_duration_seconds_count", ()] > 0


async def test_no_label_tells_of_keys_users_or_clients(
    metrics: Metrics, served: Served, cluster: FakeCluster
) -> None:
    client = await served.connect()
    await client.call("CLIENT", "SETNAME", "marker-name")
    await client.call("SET", "marker-key", "marker-value")
    await client.call("SUBSCRIBE", "marker-channel")
    await client.call("MARKERCOMMAND", "marker-argument")

    text, _ = await metrics.render("")

    assert b"marker" not in text.lower()


async def test_what_a_lane_has_sent_is_counted_beyond_its_end(
    metrics: Metrics, served: Served, cluster: FakeCluster
) -> None:
    client = await served.connect_resp3()
    await client.call("CLIENT", "TRACKING", "ON")
    await client.call("GET", cluster.key_of(cluster.nodes[0]))
    before = await scrape(metrics)
    client.vanish()
    await served.wait_until_empty()

    after = await scrape(metrics)

    name = ("slotway_lane_requests_total", ("client",))
    assert before["slotway_lanes", ("client",)] > after["slotway_lanes", ("client",)]
    assert after[name] == before[name] > 0
