"""The half of the library face that changes nothing: one object for a cluster to look at.

Strategy: each question asks all nodes anew and returns a frozen value; nothing is printed,
nothing remembered but the connections.

Cost: that of ``look``: 10 ms for six nodes on the loopback interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from proxy.cluster.addresses import Address, AddressMap
from proxy.manage import inspect
from proxy.manage.backup import SETTINGS, Backup, Difference, differences, reachable, take_backup
from proxy.manage.distribution import Distribution, distribution
from proxy.manage.errors import ManageError, NodeRefused, NodeUnreachable
from proxy.manage.health import Health, health, unreachable
from proxy.manage.links import ANSWER_TIMEOUT_S, Links, Login
from proxy.manage.look import look
from proxy.manage.metrics import Metrics, metrics
from proxy.manage.view import View
from proxy.tls.sides import NodeContext


class ClusterObserver:
    """A cluster, known by some of its nodes; a context manager that closes its connections.

    Not for several threads at once.
    """

    def __init__(
        self,
        seeds: Sequence[str | Address],
        *,
        username: str = "",
        password: str = "",
        tls: NodeContext | None = None,
        address_map: AddressMap | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """Describe the cluster; nothing is connected yet.

        Args:
            seeds: Nodes to ask first, as ``host:port``.
            username: ACL user at the nodes; empty means their default user.
            password: Empty for none.
            tls: How TLS is spoken to the nodes; None: it is not.
            address_map: From the addresses that nodes announce to those reached from here.
            timeout_s: A node that takes longer for an ordinary answer counts as silent.

        Raises:
            ValueError: A seed is no address.
        """
        self._seeds = [seed if isinstance(seed, Address) else Address.parse(seed) for seed in seeds]
        self._address_map = address_map or AddressMap()
        self._links = Links(Login(username, password, tls), timeout_s=timeout_s)

    def at(self, *seeds: Address) -> Self:
        """Let this manager ask these nodes first from now on, and return it."""
        self._seeds = list(seeds)
        return self

    @property
    def seeds(self) -> tuple[Address, ...]:
        """The nodes that are asked first."""
        return tuple(self._seeds)

    def look(self) -> View:
        """Ask every node, and return all that they say.

        Raises:
            ManageError: No seed answers as a cluster's node.
        """
        return look(self._links, self._seeds, self._address_map)

    def info(self) -> inspect.ClusterInfo:
        """Return the state of the whole. Errors as ``look``."""
        return inspect.cluster_info(self.look())

    def nodes(self) -> tuple[inspect.NodeState, ...]:
        """Return every node, shard by shard, primary first. Errors as ``look``."""
        return inspect.node_states(self.look())

    def slots(self) -> tuple[inspect.SlotRange, ...]:
        """Return all slots in ranges of one owner. Errors as ``look``."""
        return inspect.slot_ranges(self.look())

    def open_slots(self) -> tuple[inspect.OpenSlot, ...]:
        """Return the slots that are on their way. Errors as ``look``."""
        return inspect.open_slots(self.look())

    def locate(self, keys: Iterable[bytes]) -> tuple[inspect.KeyPlace, ...]:
        """Return keys grouped by slot, with the nodes that hold them. Errors as ``look``."""
        return inspect.key_places(keys, self.look())

    def distribution(self) -> Distribution:
        """Return slots, keys and memory of each shard. Errors as ``look``."""
        return distribution(self.look())

    def metrics(self) -> Metrics:
        """Return what each node does, and all together. Errors as ``look``."""
        return metrics(self.look())

    def health(self) -> Health:
        """Return everything that is wrong; also if no node answers at all."""
        try:
            return health(self.look())
        except ManageError as problem:
            return unreachable(str(problem))

    def backup(self) -> Backup:
        """Return the shape of the cluster, without any data. Errors as ``look``.

        Of a node that shows no settings (no right to CONFIG), none are in it.
        """
        view = self.look()
        commands = [("CONFIG", "GET", name) for name in SETTINGS]
        asked = self._links.ask_all([report.address for report in view.reports], commands)
        settings: dict[Address, Mapping[str, str]] = {
            address: {
                bytes(pair[0]).decode(): bytes(pair[1]).decode("utf-8", "replace")
                for pair in replies
                if not isinstance(pair, NodeRefused) and pair
            }
            for address, replies in asked.items()
            if not isinstance(replies, NodeUnreachable)
        }
        return take_backup(view, settings, datetime.now(UTC).isoformat(timespec="seconds"))

    def compare(self, backup: Backup) -> tuple[Difference, ...]:
        """Return how the running cluster differs from a backup; its nodes are asked first.

        Raises:
            ManageError: None of them answers, and no seed either.
        """
        places = reachable(backup, self._address_map)
        self._seeds = list(dict.fromkeys((*places, *self._seeds)))
        return differences(backup, self.backup())

    def close(self) -> None:
        """Close all connections; the next call makes new ones."""
        self._links.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
