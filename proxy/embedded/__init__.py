"""Real servers, clusters and proxies started from Python: for demo, tests and compare.py.

They are formed, moved and judged by a little code of this room's own and not by ``proxy.manage``:
what the tests of that room stand on must not be what they test.
"""

from proxy.embedded.cluster import EmbeddedCluster
from proxy.embedded.engines import (
    ENGINES,
    engine_label,
    engine_version,
    find_engine,
    find_engines,
    speaks_tls,
)
from proxy.embedded.errors import EmbeddedError, EngineMissing, NotInTime, ServerRefused
from proxy.embedded.node import RedisNode
from proxy.embedded.ports import PortLease, first_free_port, lease_ports
from proxy.embedded.proxy_process import ProxyProcess
from proxy.embedded.standalone import StandaloneServer
from proxy.embedded.tls import TlsFiles
from proxy.embedded.waiting import wait_for
from proxy.embedded.wire import NodeConnection

__all__ = [
    "ENGINES",
    "EmbeddedCluster",
    "EmbeddedError",
    "EngineMissing",
    "NodeConnection",
    "NotInTime",
    "PortLease",
    "ProxyProcess",
    "RedisNode",
    "ServerRefused",
    "StandaloneServer",
    "TlsFiles",
    "engine_label",
    "engine_version",
    "find_engine",
    "find_engines",
    "first_free_port",
    "lease_ports",
    "speaks_tls",
    "wait_for",
]
