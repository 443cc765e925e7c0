"""What can go wrong when a cluster is managed: no answer, a refusal, a plan that cannot be.

Strategy: redis-py's and the operating system's exceptions become these once, in
``link.py``; whoever uses ``proxy.manage`` catches ``ManageError``.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.cluster.addresses import Address
from proxy.errors import ProxyError


class ManageError(ProxyError):
    """Base of what managing a cluster raises on purpose; the message is for people."""


class NodeUnreachable(ManageError):
    """A node does not answer, or lets nobody in. What it was last told may have been done."""

    def __init__(self, address: Address, reason: str) -> None:
        super().__init__(f"{address} cannot be asked: {reason}")
        self.address = address
        self.reason = reason


class NodeRefused(ManageError):
    """A node answered with an error.

    Attributes:
        code: The first word of what it said, in capitals: ``ERR``, ``NOPERM``, ``MOVED``.
        words: The whole of it.
    """

    def __init__(self, address: Address, command: str, words: str) -> None:
        super().__init__(f"{address} refused {command}: {words}")
        self.address = address
        self.words = words
        self.code = words.partition(" ")[0]


class CannotPlan(ManageError):
    """What was asked for cannot be done with this cluster as it is.

    Attributes:
        problems: Each reason, a sentence.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class NotInTime(ManageError):
    """The nodes did not come to what was waited for; the message says to what."""


class Interrupted(ManageError):
    """Somebody asked to stop: what was begun is finished, the rest is not begun."""
