"""Look at a proxy while it is soaked: at its process, and at what it says of itself."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from measure import cpu_ns, resident_bytes

from proxy.cluster.topology import Address
from proxy.embedded import ProxyProcess, lease_ports
from soaking.sample import Sample

ADMIN_DEADLINE_S = 30.0
# glibc's own defaults. Once set they stay; else each big value moves them up to 32 MiB, and memory
# at rest goes up and down by several MiB, depending on what was freed last.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}

# What each figure is the sum of.
HELD = ("slotway_held_bytes",)
CLIENTS = ("slotway_clients",)
IN_FLIGHT = ("slotway_in_flight_requests",)
NODE_CONNECTIONS = ("slotway_lane_connections", "slotway_private_connections")
LANES = ("slotway_lanes",)
LEFTOVERS = (
    "slotway_clients_blocked",
    "slotway_pubsub_topics",
    'slotway_private_connections{state="in_use"}',
)


class Watcher:
    """One proxy, looked at from outside, over one connection to its admin port."""

    def __init__(self, proxy: ProxyProcess, admin_port: int) -> None:
        self._pid = proxy.pid
        self._admin = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=ADMIN_DEADLINE_S)
        self._begin_s = time.monotonic()

    def look(
        self, *, commands: int, visits: int, connections: int, is_quiet: bool, event: str = ""
    ) -> Sample:
        """Return what is there now.

        Raises:
            OSError: The proxy is gone, or its admin port does not answer.
        """
        accounts = self.accounts()
        process = Path(f"/proc/{self._pid}")
        return Sample(
            seconds=time.monotonic() - self._begin_s,
            commands=commands,
            visits=visits,
            is_quiet=is_quiet,
            event=event,
            connections=connections,
            resident_bytes=resident_bytes(self._pid),
            held_bytes=total(accounts, HELD),
            descriptors=sum(1 for _ in (process / "fd").iterdir()),
            threads=sum(1 for _ in (process / "task").iterdir()),
            cpu_s=cpu_ns(self._pid) / 1e9,
            clients=total(accounts, CLIENTS),
            node_connections=total(accounts, NODE_CONNECTIONS),
            in_flight=total(accounts, IN_FLIGHT),
            lanes=total(accounts, LANES),
            leftovers=total(accounts, LEFTOVERS),
        )

    def accounts(self) -> dict[str, float]:
        """Return the proxy's metrics by name and labels, as they are written."""
        self._admin.request("GET", "/metrics")
        return parse_metrics(self._admin.getresponse().read().decode())

    def close(self) -> None:
        """Close the connection to the admin port."""
        self._admin.close()


def parse_metrics(text: str) -> dict[str, float]:
    """Return each line's value of Prometheus' text format by its name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def total(accounts: Mapping[str, float], names: Sequence[str]) -> int:
    """Return the sum of all metrics with these names; a name without labels is that of all."""
    return int(
        sum(
            value
            for metric, value in accounts.items()
            if metric in names or metric.partition("{")[0] in names
        )
    )


@contextmanager
def watched_proxy(seeds: Sequence[Address]) -> Iterator[tuple[ProxyProcess, Watcher]]:
    """Run a proxy with default settings, an admin port, and glibc's thresholds fixed."""
    with lease_ports(1) as lease:
        (port,) = lease.ports
        settings = {"admin.enabled": "true", "admin.port": str(port)}
        with (
            ProxyProcess(seeds, settings=settings, environment=ALLOCATOR) as proxy,
            closing(Watcher(proxy, port)) as watcher,
        ):
            yield proxy, watcher
