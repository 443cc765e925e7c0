"""The servers behind the contenders: a cluster of three primaries, and one server alone.

The embedded servers keep nothing on disk; a benchmark that waits for a disk
compares disks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from contender import Backends

from proxy.embedded.cluster import EmbeddedCluster
from proxy.embedded.standalone import StandaloneServer

PRIMARIES = 3
_NODE_TIMEOUT_MS = 15_000  # Redis's default: a node that waits for a busy CPU has not failed


@contextmanager
def running_backends(engine: str) -> Iterator[Backends]:
    """Start the cluster and the standalone server; stop both at the end.

    Raises:
        EmbeddedError: A server did not start, or the cluster did not form.
    """
    cluster = EmbeddedCluster(
        engine, primaries=PRIMARIES, replicas=0, node_timeout_ms=_NODE_TIMEOUT_MS
    )
    with cluster, StandaloneServer(engine) as standalone:
        yield Backends(
            cluster=cluster.addresses,
            standalone=standalone.address,
            standalone_pid=standalone.node.pid,
        )
