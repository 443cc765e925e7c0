"""Many commands, and nothing left of them: memory, descriptors, requests (law 8).

``make soak`` is the same with a hundred times as many, and keeps the figures.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer, find_engines

sys.path.insert(0, str(Path(__file__).parents[2] / "loadtest"))

from soaking.course import Plan, learn_scripts, soak
from soaking.verdict import Limits, judge
from soaking.watcher import Watcher, watched_proxy

pytestmark = pytest.mark.live

PLAN = Plan(
    commands=200_000,
    rounds=12,
    visitors=100,
    stay_commands=3000,
    depths={100: 6, 10: 2, 1: 2},
    script_commands=1000,
    is_troubled=False,
)
LIMITS = Limits(growth_bytes=3 << 19)  # 10 bytes a command, or 0.3 KiB a visit
# Less than listen.drain_s: a request that nobody answers would keep the proxy that long.
END_DEADLINE_S = 5.0


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[EmbeddedCluster, ProxyProcess, Watcher]]:
    """A proxy before three shards of one engine: the engine hardly matters here."""
    engine = next(iter(find_engines()))
    with (
        EmbeddedCluster(engine, replicas=0) as cluster,
        watched_proxy(cluster.addresses) as (proxy, watcher),
    ):
        yield cluster, proxy, watcher
        assert proxy.tracebacks() == ""


def test_many_commands_leave_nothing_behind(
    watched: tuple[EmbeddedCluster, ProxyProcess, Watcher],
) -> None:
    with StandaloneServer(next(iter(find_engines()))) as server:
        scripts = learn_scripts(PLAN, server.address)

    samples = soak(PLAN, scripts, *watched, print)
    verdict = judge(samples, LIMITS)

    assert verdict.problems == ()
    assert samples[-1].commands >= PLAN.commands
    assert samples[-1].clients == 0


def test_nothing_is_in_flight_at_the_end(
    watched: tuple[EmbeddedCluster, ProxyProcess, Watcher],
) -> None:
    _, running, _ = watched
    with socket.create_connection(("127.0.0.1", running.port), END_DEADLINE_S) as idle:
        idle.sendall(b"PING\r\n")
        assert idle.recv(100) == b"+PONG\r\n"

        ended = threading.Thread(target=running.stop)
        ended.start()
        ended.join(END_DEADLINE_S)

        assert not ended.is_alive(), "a request without an owner keeps the proxy from ending"
        assert running.wait() == 0
