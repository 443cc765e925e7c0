"""The servers behind the contenders: a cluster of three primaries, and one server alone.

The embedded servers keep nothing on disk; a benchmark that waits for a disk
compares disks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from contenders import Backends

from proxy.embedded.cluster import EmbeddedCluster
from proxy.embedded.standalone import StandaloneServer

PRIMARIES = 3


@contextmanager
def running_backends(engine: str) -> Iterator[Backends]:
    """Start the cluster and the standalone server; stop both at the end.

    Raises:
        EmbeddedError: A server did not start, or the cluster did not form.
    """
    cluster = EmbeddedCluster(engine, primaries=PRIMARIES, replicas=0)
    with cluster, StandaloneServer(engine) as standalone:
        yield Backends(
            cluster_ports=[node.port for node in cluster.nodes],
            standalone_port=standalone.port,
            standalone_pid=standalone.node.pid,
        )
