"""Servers in cluster mode that know nobody yet: what a cluster is created of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from proxy.embedded import RedisNode, find_engine, lease_ports
from proxy.embedded.leash import Leash


@contextmanager
def bare_nodes(engine: str, count: int) -> Iterator[list[RedisNode]]:
    """Start ``count`` nodes, and end them afterwards."""
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        lease = stack.enter_context(lease_ports(count))
        nodes = []
        for port in lease.ports:
            directory = leash.directory / str(port)
            directory.mkdir()
            node = RedisNode(
                binary=find_engine(engine),
                port=port,
                directory=directory,
                leash=leash,
                settings={
                    "cluster-enabled": "yes",
                    "cluster-config-file": "nodes.conf",
                    "cluster-node-timeout": "1500",
                    "repl-diskless-sync-delay": "0",
                },
            )
            stack.callback(node.kill)
            node.start_nowait()
            nodes.append(node)
        for node in nodes:
            node.wait_until_answering()
        yield nodes
