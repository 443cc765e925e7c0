"""The connections to all nodes: one each, made when it is needed, used by one thread at a time.

Strategy: questions to several nodes are asked at the same time, by a few threads: the
work of one command is waiting.

Cost: a connection a node; asking all nodes costs one round trip of the slowest, because
up to ``ASKERS`` threads ask at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from proxy.cluster.addresses import Address
from proxy.manage.errors import ManageError, NodeUnreachable
from proxy.tls.sides import NodeContext

if TYPE_CHECKING:
    from proxy.manage.link import Link

CONNECT_TIMEOUT_S = 3.0  # chosen: a host that is down answers no SYN at all
ANSWER_TIMEOUT_S = 10.0  # chosen: more than a busy node takes to save its map
ASKERS = 16

Word = bytes | str | int
Command = Sequence[Word]
Reply = Any
"""A decoded RESP2 reply: bytes, int, None, or a list of replies."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the nodes; without a password nobody logs in."""

    username: str = ""
    password: str = field(default="", repr=False)
    tls: NodeContext | None = None
    """How TLS is spoken to them; None: it is not."""


class Links:
    """The connections to all nodes of a cluster; a context manager that closes them."""

    def __init__(self, login: Login | None = None, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Describe them; each is made when it is needed.

        Args:
            login: Who we are to the nodes; None: nobody logs in.
            timeout_s: How long an answer may take, if a call does not say otherwise.
        """
        self.login = login or Login()
        self._timeout_s = timeout_s
        self._links: dict[tuple[Address, int], Link] = {}
        self._lock = threading.Lock()

    def __getitem__(self, address: Address) -> Link:
        """Return the link to a node; it connects when it is used."""
        return self.lane(address, 0)

    def lane(self, address: Address, number: int) -> Link:
        """Return one of several links to the same node, for commands that wait side by side."""
        # Late: the command line knows these commands without ever needing redis-py.
        from proxy.manage.link import Link

        with self._lock:
            link = self._links.get((address, number))
            if link is None:
                link = self._links[address, number] = Link(address, self.login, self._timeout_s)
            return link

    def call_side_by_side(
        self, address: Address, commands: Sequence[Command], lanes: int
    ) -> list[Reply]:
        """Send commands to one node over several connections, then read all replies.

        For commands that wait for something else: on one connection they would wait for
        each other. All are sent before the first reply is read, so that the server reads
        many of them in one turn.

        Returns:
            The replies by lane, errors as ``NodeRefused``.

        Raises:
            NodeUnreachable: Not all replies came.
        """
        shares = [commands[start::lanes] for start in range(min(lanes, len(commands)))]
        reads: list[Callable[[], list[Reply]]] = []
        problem: NodeUnreachable | None = None
        replies: list[Reply] = []
        with ExitStack() as begun:
            for number, share in enumerate(shares):
                try:
                    reads.append(begun.enter_context(self.lane(address, number).begun(share)))
                except NodeUnreachable as found:
                    problem = found
                    break
            for read in reads:
                try:
                    replies += read()
                except NodeUnreachable as found:
                    problem = found
        if problem is not None:
            raise problem
        return replies

    def ask_all(
        self, addresses: Iterable[Address], commands: Sequence[Command]
    ) -> dict[Address, list[Reply] | NodeUnreachable]:
        """Ask several nodes the same at the same time.

        Returns:
            By address the replies, errors as ``NodeRefused``; or why there are none.
        """
        asked = list(dict.fromkeys(addresses))

        def ask(address: Address) -> list[Reply] | NodeUnreachable:
            try:
                return self[address].call_each(commands)
            except NodeUnreachable as problem:
                return problem

        with ThreadPoolExecutor(min(ASKERS, len(asked) or 1)) as askers:
            return dict(zip(asked, askers.map(ask, asked), strict=True))

    def tell_all(self, commands: Mapping[Address, Sequence[Command]]) -> None:
        """Send each node its commands, all nodes at the same time.

        Raises:
            ManageError: A node did not answer or refused; the others have been told.
        """

        def tell(entry: tuple[Address, Sequence[Command]]) -> ManageError | None:
            try:
                self[entry[0]].call_many(entry[1])
            except ManageError as problem:
                return problem
            return None

        with ThreadPoolExecutor(min(ASKERS, len(commands) or 1)) as tellers:
            problems = [problem for problem in tellers.map(tell, commands.items()) if problem]
        if problems:
            raise problems[0]

    def close(self) -> None:
        """Close all connections."""
        for link in self._links.values():
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
