"""Hold what ``slotway cluster simulate`` computes against what really happens.

    python loadtest/forecast.py --markdown docs/cluster.md

Strategy: for each engine a cluster of three shards with keys, and slotway before it under a steady
load. It grows to four shards, then a primary is killed. What the proxy has counted (ASK, MOVED,
readings of the map) and what a client has waited stands beside what was computed for the same
keys and the same rate of requests.

Cost: about half a minute for each engine.
"""

import argparse
import http.client
import random
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from comparison import tell_comparison
from machine import machine_facts

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, EmbeddedError, ProxyProcess, lease_ports
from proxy.embedded.engines import ENGINES, engine_label
from proxy.manage import (
    Assumptions,
    ClusterManager,
    Grow,
    LoseNode,
    LossForecast,
    Manner,
    MoveForecast,
    MoveOptions,
    manner_of,
    shape_of_flags,
    simulate,
)

BEGIN = "<!-- forecast: begin; written by loadtest/forecast.py -->"
END = "<!-- forecast: end -->"
METHODS = {"redis": ("classic",), "valkey": ("classic", "auto")}
CLIENTS = 4
AT_ONCE = 10  # requests of a client
VALUE = "x" * 100
NODE_TIMEOUT_S = 2.0
WARM_UP_S = 1.0
_COUNTED = {
    "asks": 'slotway_refusals_total{kind="ask"}',
    "moved": 'slotway_refusals_total{kind="moved"}',
    "refreshes": "slotway_map_refreshes_total",
}


@dataclass(frozen=True, slots=True)
class Growth:
    """From three to four shards: what was computed, and what was measured."""

    manner: Manner
    requests_per_s: float
    forecast: MoveForecast
    seconds: float
    asks: int
    moved: int
    refreshes: int


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a primary."""

    forecast: LossForecast
    seconds: float
    """How long a client waited that used its slots."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; return 0, or 2 if something could not be run."""
    options = parse_options(arguments)
    failures = (EmbeddedError, redis.RedisError, OSError, ValueError)
    return tell_comparison(lambda: measure(options), options.markdown, (BEGIN, END), failures)


def measure(options: argparse.Namespace) -> str:
    """Measure everything, and return it as Markdown."""
    facts = machine_facts()
    rows: list[str] = []
    for engine in options.engine or ENGINES:
        for method in METHODS[engine]:
            rows += growth_rows(engine, measure_growth(engine, method, options.keys))
        rows.append(loss_row(engine, measure_loss(engine)))
    return write_markdown(facts, options, rows)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line as values; ends the program if it is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000, help="in the cluster (100,000)")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="one of them; both")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the results between FILE's markers"
    )
    return parser.parse_args(arguments)


def measure_growth(engine: str, method: str, keys: int) -> Growth:
    """Let a cluster of three shards grow to four under a load."""
    with EmbeddedCluster(engine) as cluster, watched_proxy(cluster) as (proxy, ask):
        pipe = redis.Redis(port=proxy.port).pipeline(transaction=False)
        for number in range(keys):
            pipe.set(f"k{number}", VALUE)
            if number % 1000 == 999:
                pipe.execute()
        pipe.execute()
        cluster.add_node()
        options = MoveOptions(method=method)
        with ClusterManager(cluster.addresses) as manager, steady_load(proxy.port, keys) as sent:
            plan = manager.plan_rebalance(options=options)
            before, sent_before, started = counted(ask()), sum(sent), time.monotonic()
            outcome = manager.move(plan, options)
            rate = (sum(sent) - sent_before) / (time.monotonic() - started)
            after = counted(ask())
            servers = ((report.engine, report.version_pair) for report in manager.look().reports)
            manner = manner_of(servers, may_be_atomic=options.may_be_atomic)
    given = Assumptions(
        requests_per_s=rate, keys=keys, key_bytes=plan.bytes / (plan.keys or 1), manner=manner
    )
    forecast = simulate(shape_of_flags(3, 0), [Grow(4)], given).steps[0].moves
    assert forecast is not None
    found = {name: after[name] - before[name] for name in _COUNTED}
    return Growth(manner, rate, forecast, outcome.seconds, **found)


def measure_loss(engine: str) -> Loss:
    """Kill a primary, and let a client use its slots meanwhile."""
    timeout_ms = int(1000 * NODE_TIMEOUT_S)
    with (
        EmbeddedCluster(engine, node_timeout_ms=timeout_ms) as cluster,
        ProxyProcess(cluster.addresses) as proxy,
    ):
        lost = cluster.primaries()[0]
        slots = set(cluster.slots_of(lost))
        key = next(f"k{n}" for n in range(1000) if key_slot(f"k{n}".encode()) in slots)
        client = redis.Redis(port=proxy.port, socket_timeout=60)
        client.set(key, VALUE)
        lost.kill()
        started = time.monotonic()
        assert client.get(key) is not None
        seconds = time.monotonic() - started
        client.close()
    given = Assumptions(node_timeout_s=NODE_TIMEOUT_S)
    forecast = simulate(shape_of_flags(3, 1), [LoseNode("node-1")], given).steps[0].loss
    assert forecast is not None
    return Loss(forecast, seconds)


@contextmanager
def watched_proxy(cluster: EmbeddedCluster) -> Iterator[tuple[ProxyProcess, Callable[[], str]]]:
    """Run a proxy with an admin port; yield it, and a function that returns its metrics."""
    with lease_ports(1) as lease:
        port = lease.ports[0]
        settings = {"admin.enabled": "true", "admin.port": str(port)}

        def ask() -> str:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/metrics")
                return connection.getresponse().read().decode()
            finally:
                connection.close()

        with ProxyProcess(cluster.addresses, settings=settings) as proxy:
            yield proxy, ask


def counted(metrics: str) -> dict[str, int]:
    """Return what the proxy has counted of ``_COUNTED``."""
    lines = (line.rpartition(" ") for line in metrics.splitlines())
    found = {name: value for name, _, value in lines}
    return {name: int(float(found.get(metric, "0"))) for name, metric in _COUNTED.items()}


@contextmanager
def steady_load(port: int, keys: int) -> Iterator[list[int]]:
    """Read keys as long as the block lasts; yield how many requests each client has sent."""
    sent = [0] * CLIENTS
    ended = threading.Event()

    def work(number: int) -> None:
        chance = random.Random(number)
        with redis.Redis(port=port, socket_timeout=60) as client:
            while not ended.is_set():
                pipe = client.pipeline(transaction=False)
                for _ in range(AT_ONCE):
                    pipe.get(f"k{chance.randrange(keys)}")
                pipe.execute()
                sent[number] += AT_ONCE

    workers = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for worker in workers:
        worker.start()
    try:
        ended.wait(WARM_UP_S)
        yield sent
    finally:
        ended.set()
        for worker in workers:
            worker.join()


def growth_rows(engine: str, growth: Growth) -> list[str]:
    """Return the table's rows of one growth."""
    told = growth.forecast
    name = f"{engine_label(engine)}, {growth.manner.name}, {growth.requests_per_s:,.0f} requests/s"
    return [
        f"| {name}: seconds | {told.seconds:.1f} | {growth.seconds:.1f} |",
        f"| ASK | {told.asks:,} | {growth.asks:,} |",
        f"| MOVED | at most {told.moved_at_most:,} | {growth.moved:,} |",
        f"| readings of the map | at most {told.refreshes_at_most} | {growth.refreshes} |",
    ]


def loss_row(engine: str, loss: Loss) -> str:
    """Return the table's row of one loss."""
    told = f"{loss.forecast.least_s} to {loss.forecast.most_s}"
    return (
        f"| {engine_label(engine)}, a primary killed, node timeout {NODE_TIMEOUT_S:g} s: "
        f"seconds without service | {told} | {loss.seconds:.1f} |"
    )


def write_markdown(
    facts: Mapping[str, str], options: argparse.Namespace, rows: Sequence[str]
) -> str:
    """Return the section: what was done, and a row for each figure."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    clients = f"{CLIENTS} clients that read {AT_ONCE} keys at once"
    lines += [
        f"- load: growth from 3 to 4 shards with {options.keys:,} small keys, under {clients}",
        f"- command: `{shlex.join(['python', *sys.argv])}`",
        "",
        "| | computed | measured |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
