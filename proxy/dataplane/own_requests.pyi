"""Requests of the proxy's own on the hot road, and how any new piece is sent."""

from collections.abc import Callable, Sequence

from proxy.dataplane.breaker import Breaker
from proxy.dataplane.client import Client
from proxy.dataplane.lane import Lane, Pipeline
from proxy.dataplane.request import Request
from proxy.errors import BackendUnavailable

class OwnRequests(Breaker):
    """The part of an engine that asks on the proxy's own behalf."""

    request_timeout_s: float
    """A request is given up this long after it came, unless its kind has another time."""

    def set_patience(self, times_s: Sequence[float]) -> None:
        """Set how long requests of each of ``PATIENCES`` may take, in seconds."""

    def ask(
        self,
        lane: Lane,
        frame: bytes,
        on_done: Callable[[bytes], object],
        slot: int = -1,
        is_write: bool = True,
        replies: int = 1,
        timeout_s: float | None = None,
        number: int = 0,
    ) -> Client:
        """Send a request of the proxy's own as if a client had: routed, redirected, patient.

        Args:
            on_done: Called once, inside a tick, with the reply frame; of a block with all
                reply frames in a row, or with one error frame if it did not run or its
                outcome is unknown.
            slot: NO_SLOT (-1) for any primary.
            replies: As of ``forward_punt``.
            timeout_s: Other than ``request_timeout_s``.
            number: Picks connection and primary where there are several, as a client's id does.

        Returns:
            A token for ``forget``.
        """

    def submit(
        self,
        pipeline: Pipeline,
        frame: bytes,
        on_done: Callable[[bytes | BackendUnavailable], object],
        replies: int = 1,
    ) -> Request:
        """Send a request of the proxy's own to one node, whatever that says to it.

        Args:
            frame: One command or several in a row; nothing comes between them.
            on_done: Called once, inside a tick, with all reply frames in a row, or
                with ``BackendUnavailable``.
            replies: How many commands ``frame`` holds.

        Returns:
            A token for ``abandon``.
        """

    def abandon(self, request: Request) -> None:
        """Forget a request of the proxy's own; its reply will be dropped."""

    def forget(self, asker: Client) -> None:
        """Take no interest any more in a request of ``ask``; it may run nevertheless."""
