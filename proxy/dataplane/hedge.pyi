"""Hedged reads: one that is late is asked of another node too, and the first reply counts."""

from proxy.dataplane.readers import ReadTable
from proxy.dataplane.request import Request
from proxy.dataplane.router import Router
from proxy.errors import BackendUnavailable

class Hedger(Router):
    """The part of an engine that asks another node when a read is late."""

    def hedge_reads(self, after_s: float, share: float, hedgers: ReadTable) -> None:
        """Ask another node too when a read has no reply after so long.

        Args:
            after_s: 0: never.
            share: Of all requests, at most so many.
            hedgers: By a slot's primary, all nodes that may answer its reads.
        """

    def take_hedge(self, request: Request, answer: bytes | BackendUnavailable) -> None:
        """Answer a late read with what another node has said, if it may count."""

    @property
    def hedges(self) -> int:
        """Late reads that another node was asked too."""

    @property
    def hedges_won(self) -> int:
        """Of those, how many the other node has answered."""
