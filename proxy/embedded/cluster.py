"""A whole Redis or Valkey cluster on the loopback interface, formed by our own code.

Strategy: plain subprocesses and blocking sockets, so that it can live in a
pytest fixture of any scope, in a thread, or in the demo. Server defaults except
where they cost time: quick failover, full copies at once, nothing on disk.

Cost: about 3 s from nothing to a cluster of 3 primaries and 3 replicas that
agrees with itself (2 cores).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Address, Topology
from proxy.embedded import migration
from proxy.embedded.agreement import (
    find_disagreement,
    lagging_replica,
    newest_view,
    primary_offsets,
)
from proxy.embedded.engines import find_engine
from proxy.embedded.errors import EmbeddedError
from proxy.embedded.formation import form_cluster, introduce, replicate
from proxy.embedded.leash import Leash
from proxy.embedded.node import RedisNode
from proxy.embedded.ports import lease_ports
from proxy.embedded.tls import TlsFiles
from proxy.embedded.waiting import wait_for

AGREEMENT_DEADLINE_S = 30.0  # chosen: a failover takes about three node timeouts


class EmbeddedCluster:
    """A cluster that exists from ``start`` to ``stop``; also a context manager.

    Attributes:
        nodes: All nodes, dead ones included: first those started as primaries,
            in the order of their slots, then their replicas in the same order.
    """

    def __init__(
        self,
        engine: str = "valkey",
        *,
        primaries: int = 3,
        replicas: int = 1,
        node_timeout_ms: int = 1500,
        settings: Mapping[str, str] | None = None,
        tls: TlsFiles | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the cluster; nothing runs yet.

        Args:
            engine: One of ``ENGINES``.
            primaries: How many shards.
            replicas: How many replicas each primary gets.
            node_timeout_ms: A node silent for this long is failed over.
            settings: Server configuration, the same for every node.
            tls: The nodes speak TLS with these; None: they do not.
            environment: Variables that the servers have besides ours.

        Raises:
            EngineMissing: The engine is not on this machine.
        """
        self.nodes: tuple[RedisNode, ...] = ()
        self._binary = find_engine(engine)
        self._primaries = primaries
        self._replicas = replicas
        self._cleanup = ExitStack()
        self._leash: Leash | None = None
        self._tls = tls
        self._environment = environment
        self._settings = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(node_timeout_ms),
            # A primary that gives its last slot away stays one, as tests expect.
            "cluster-allow-replica-migration": "no",
            # Copy at once; the default waits 5 s for more replicas to join.
            "repl-diskless-sync-delay": "0",
            **(settings or {}),
        }

    def start(self, on_step: Callable[[str], None] | None = None) -> Self:
        """Start the nodes, form the cluster, wait until it is ready for clients.

        Args:
            on_step: Called with a few words whenever something new begins.

        Raises:
            EmbeddedError: It could not be formed; what was started is ended.
        """
        tell = on_step or (lambda _words: None)
        try:
            self._leash = self._cleanup.enter_context(Leash())
            tell("start the servers")
            self._start_nodes(self._primaries * (1 + self._replicas))
            tell("introduce them to each other")
            form_cluster(self.nodes[: self._primaries], self.nodes[self._primaries :])
            tell("wait until all agree")
            self.wait_until_agreed()
            self.wait_until_in_sync()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill every node and remove their files. May be called again."""
        for node in self.nodes:
            node.kill()
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where the nodes listen, in the order of ``nodes``: seeds for a proxy."""
        return tuple(node.address for node in self.nodes)

    def view(self) -> Topology:
        """Return the cluster as its best informed running node sees it now."""
        return newest_view(self.nodes)

    def primaries(self) -> tuple[RedisNode, ...]:
        """Return the primaries that own slots now, in the order of ``nodes``."""
        owning = {node.address for node in self.view().primaries}
        return tuple(node for node in self.nodes if node.address in owning)

    def primary_for(self, slot_or_key: int | bytes) -> RedisNode:
        """Return the primary that serves a slot, or the slot of a key, now.

        Raises:
            EmbeddedError: Nobody does.
        """
        slot = slot_or_key if isinstance(slot_or_key, int) else key_slot(slot_or_key)
        owner = self.view().owner(slot)
        if owner is None:
            raise EmbeddedError(f"slot {slot} has no owner")
        return self._node_at(owner.address)

    def replicas_of(self, primary: RedisNode) -> tuple[RedisNode, ...]:
        """Return the replicas of a primary, dead ones included."""
        view = self.view()
        known = view.node_at(primary.address)
        if known is None:
            return ()
        return tuple(self._node_at(node.address) for node in view.replicas_of(known.id))

    def slots_of(self, primary: RedisNode) -> tuple[int, ...]:
        """Return the slots a primary owns now, in order."""
        ranges = self.view().ranges()
        return tuple(
            slot
            for first, last, owner in ranges
            if owner.address == primary.address
            for slot in range(first, last + 1)
        )

    def wait_until_agreed(self, deadline_s: float = AGREEMENT_DEADLINE_S) -> None:
        """Wait until all running nodes agree and every slot has a running owner.

        Also what to call after a kill: the cluster agrees again once a replica
        has taken over.

        Raises:
            NotInTime: They do not; the message says on what.
        """
        disagreement: str | None = None

        def agree() -> bool:
            nonlocal disagreement
            disagreement = find_disagreement(self.nodes)
            return disagreement is None

        wait_for(agree, deadline_s, lambda: f"an agreement: {disagreement}")

    def wait_until_in_sync(self, deadline_s: float = AGREEMENT_DEADLINE_S) -> None:
        """Wait until every running replica has all that its primary had when this was called.

        Raises:
            NotInTime: One has not.
        """
        goals = primary_offsets(self.nodes)
        wait_for(
            lambda: lagging_replica(self.nodes, goals) is None,
            deadline_s,
            "replicas in sync",
        )

    def move_slots(
        self,
        slots: Sequence[int],
        source: RedisNode,
        target: RedisNode,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Move slots with their keys while clients go on, and return how many keys moved.

        Args:
            slots: Owned by ``source``.
            source: A primary.
            target: A primary.
            on_progress: Called with the slots and the keys moved so far.

        Raises:
            EmbeddedError: A node refused or did not answer.
        """
        primaries = self.primaries()
        bystanders = [
            node for node in primaries if node.is_running and node not in (source, target)
        ]
        replicas = [node for node in self.nodes if node.is_running and node not in primaries]
        return migration.move_slots(slots, source, target, bystanders, replicas, on_progress)

    def flush(self) -> None:
        """Delete every key."""
        for node in self.primaries():
            node.call("FLUSHALL")

    def add_node(self, replica_of: RedisNode | None = None) -> RedisNode:
        """Start one more node: a replica, or a primary without slots. Waits until all know it."""
        node = self._start_nodes(1)[0]
        introduce([other for other in self.nodes if other.is_running])
        if replica_of is not None:
            replicate(node, replica_of)
        self.wait_until_agreed()
        return node

    def remove_node(self, node: RedisNode) -> None:
        """Kill a node and make all others forget it.

        Raises:
            ServerRefused: Another node still copies it.
        """
        node_id = node.call_text("CLUSTER", "MYID")
        node.kill()
        self.nodes = tuple(other for other in self.nodes if other is not node)
        for other in self.nodes:
            if other.is_running:
                other.call("CLUSTER", "FORGET", node_id)

    def _start_nodes(self, count: int) -> list[RedisNode]:
        """Start nodes, add them to ``nodes``, and wait until they answer."""
        assert self._leash is not None, "start() comes first"
        lease = self._cleanup.enter_context(lease_ports(count))
        fresh = []
        for port in lease.ports:
            directory = self._leash.directory / str(port)
            directory.mkdir()
            node = RedisNode(
                binary=self._binary,
                port=port,
                directory=directory,
                leash=self._leash,
                settings=self._settings,
                tls=self._tls,
                environment=self._environment,
            )
            fresh.append(node)
            self.nodes = (*self.nodes, node)
            node.start_nowait()
        for node in fresh:
            node.wait_until_answering()
        return fresh

    def _node_at(self, address: Address) -> RedisNode:
        for node in self.nodes:
            if node.address == address:
                return node
        raise EmbeddedError(f"{address} is no node of this cluster")
