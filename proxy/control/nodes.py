"""What commands that concern many nodes need of the rest of the proxy: one narrow face.

Strategy: fan-outs, SCAN and the merged INFO are written against this protocol
and hold no connection, so a test plays a whole cluster in memory behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import trio

from proxy.cluster.topology import Node, Topology
from proxy.control.retry import backoff_s
from proxy.dataplane.lane import Lane
from proxy.errors import BackendGivenUp, BackendRefused, BackendUnavailable
from proxy.resp import replies, replies_nodes


class Own(tuple[bytes, ...]):
    """A command that the proxy asks for its own sake beside a client's: which slots are here?

    Where clients have the rights of users of the servers, it is asked with the proxy's
    rights: who may SCAN need not be allowed INFO.
    """


# Names the process among other things.
ASK_SERVER = Own((b"INFO", b"server"))


class Nodes(Protocol):
    """The nodes of the cluster, as one client's lane reaches them."""

    @property
    def topology(self) -> Topology:
        """The map in use; another value whenever it is asked for again.

        Raises:
            BackendUnavailable: No map has been read yet.
        """

    @property
    def timeout_s(self) -> float:
        """How long one request of a client may take: its kind's, or any."""

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        """Return one node's raw reply frame; an error reply is a reply.

        Raises:
            BackendUnavailable: No reply will come. Raised as soon as that is
                clear, also because the node serves no slot any more in the
                map in use: the caller then asks who does.
        """

    async def call_many(
        self,
        node: Node,
        commands: list[tuple[bytes, ...]],
        resp: int = 2,
        *,
        aside: bool = False,
    ) -> list[bytes]:
        """Send several commands to one node and return their raw reply frames.

        On one connection, in order, with nothing of anybody else's in between
        (ASKING holds for the command after it).

        Args:
            aside: Not behind the requests of clients, of which one may run for ever.

        Raises:
            BackendUnavailable: As ``call``; ``sent`` if any of them was.
            BackendGivenUp: Nobody hopes for the node, and it is not asked aside: a script may
                be all that keeps it from answering.
        """

    async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
        """Return the raw reply frame to a request that goes the clients' hot road.

        So it is routed by slot, follows redirects, waits out a failover, and is sent
        again only if that is safe. What goes wrong is an error frame, as a client gets.

        Args:
            slot: -1: any primary.
        """

    async def ask_block(
        self, lane: Lane, slot: int, commands: Sequence[tuple[bytes, ...]], is_write: bool = True
    ) -> list[bytes]:
        """Return the raw reply frames to MULTI ... EXEC, of which all runs or nothing.

        Args:
            commands: The first is MULTI, the last EXEC.

        Returns:
            One frame a command; or a single error frame: nothing has run, or the
            outcome is unknown, as it says.
        """

    def suspect(self) -> None:
        """Have the map refreshed soon: something said that it is old."""

    def given_up(self, node: Node) -> bytes | None:
        """Return the error for whoever wants something of a node that nobody hopes for; or None."""

    def own_info(self) -> Mapping[bytes, bytes]:
        """Return the fields of INFO that are the proxy's own, such as ``tcp_port``."""


class AllNodes(Nodes, Protocol):
    """The nodes, as the proxy itself reaches them."""

    def like(self, lane: Lane, timeout_s: float | None = None) -> Nodes:
        """Return the nodes as the clients of this lane reach them: with their rights and database.

        Connections are shared with these clients, whatever protocol version is asked for.

        Args:
            timeout_s: How long one request may take; None: as any.
        """

    def over(self, lane: Lane) -> Nodes:
        """Return the nodes as the connections of this very lane reach them."""


def refuse_if_given_up(nodes: Nodes, node: Node) -> None:
    """Do nothing if a node is hoped for.

    Raises:
        BackendGivenUp: Its breaker is open.
    """
    error = nodes.given_up(node)
    if error is not None:
        raise BackendGivenUp(error)


class Patience:
    """How long one request may still wait for the cluster to heal (law 6)."""

    def __init__(self, nodes: Nodes) -> None:
        """Start the clock of one request."""
        self._nodes = nodes
        self._attempts = 0
        self._is_hopeless = False
        self.timeout_s = nodes.timeout_s
        self.deadline = trio.current_time() + nodes.timeout_s
        """By ``trio.current_time``."""

    @property
    def is_over(self) -> bool:
        """Whether the request has to be answered now, if only with an error."""
        return self._is_hopeless or trio.current_time() >= self.deadline

    async def wait(self) -> None:
        """Have the map refreshed and wait a little, longer each time."""
        self._nodes.suspect()
        await trio.sleep(backoff_s(self._attempts))
        self._attempts += 1

    def failure(self, problem: BackendUnavailable, node: Node, *, is_write: bool = False) -> bytes:
        """Return the error for a request that gets no reply from ``node`` and cannot try again.

        If nobody hopes for that node, the request's time is over.
        """
        if isinstance(problem, BackendGivenUp):
            self._is_hopeless = True
            return problem.error
        if isinstance(problem, BackendRefused):
            return replies_nodes.not_let_in(None, problem.node, problem.words, self.timeout_s)
        if not problem.sent:
            return replies.never_sent(None, self.timeout_s)
        if not is_write:
            return replies.no_reply_to_read(str(node.address), self.timeout_s)
        if self.is_over:
            return replies.no_reply_to_write(str(node.address), self.timeout_s)
        return replies.lost_write(str(node.address))
