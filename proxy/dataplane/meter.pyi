"""What the data plane counts: one place to read it, as plain Python values."""

from collections.abc import Mapping

from proxy.dataplane.histogram import LATENCY_BOUNDS_S as LATENCY_BOUNDS_S
from proxy.dataplane.histogram import Histogram as Histogram
from proxy.dataplane.lane import Lane

FAMILIES: tuple[str, ...]
"""The closed set of command families; see ``proxy.commands.families``."""
ERROR_CODES: tuple[str, ...]
"""The closed set of error classes: first words of error replies (``"ERR"``), ``"other"`` last."""
REFUSALS: tuple[str, ...]
"""The closed set of refusals: ``"moved"``, ``"ask"``, ``"tryagain"``, ``"clusterdown"``,
``"loading"``, ``"readonly"``, ``"masterdown"``, ``"noscript"`` (also a missing function)."""
PUNTS: tuple[str, ...]
"""The closed set of reasons to leave the hot road: the names of ``hooks.Punt``, lower case."""
LIMITS: tuple[str, ...]
"""The closed set of limits: the settings' names (tables ``[limits]`` and ``[clients]``)."""

WIDTH_BOUNDS: tuple[float, ...]
"""Bounds of the histogram of parts: 2, 4, 8, ... 16384."""

class FamilyCounts:
    """What was answered to clients of one command family; an immutable snapshot."""

    @property
    def requests(self) -> int:
        """Requests answered; local answers, punts and errors of the proxy's own among them."""

    @property
    def reads(self) -> int:
        """Those that only read."""

    @property
    def writes(self) -> int:
        """Those that may write."""

    @property
    def errors(self) -> int:
        """Those whose reply was an error."""

    @property
    def latency(self) -> Histogram:
        """Seconds from when the request was routed until its reply was in the client's order."""

class NodeCounts:
    """What went to one node and came from it; an immutable snapshot.

    ``latency`` and ``backend`` have the pieces of clients (and of ``Engine.ask``) only; what the
    control plane sends to a node by itself, heartbeats and calls that block, is in ``requests``.
    """

    @property
    def requests(self) -> int:
        """Requests written whole to the node."""

    @property
    def errors(self) -> int:
        """Error replies, refusals among them."""

    @property
    def refusals(self) -> int:
        """Replies that said the piece was not run and where it might be (MOVED and its like)."""

    @property
    def bytes_in(self) -> int:
        """Bytes the node sent."""

    @property
    def bytes_out(self) -> int:
        """Bytes sent to the node."""

    @property
    def lost(self) -> int:
        """Connections that ended without the proxy's doing."""

    @property
    def latency(self) -> Histogram:
        """Seconds from when a client's request was routed until this node's reply was read."""

    @property
    def backend(self) -> Histogram:
        """Seconds from when a piece was written to the node's socket until its reply was read."""

    @property
    def connections(self) -> int:
        """Connections just now, of all lanes."""

    @property
    def sent(self) -> int:
        """Pieces without a reply just now: written whole."""

    @property
    def unsent(self) -> int:
        """Pieces that wait to be written just now."""

    @property
    def unsent_bytes(self) -> int:
        """Their bytes."""

class Meter:
    """Everything that an engine counts; ``Engine.meter``.

    All times are taken once a tick, when its sockets were found ready: no clock is asked for
    a request. So a latency leaves out what its own tick took before the request was
    routed, and what was left of the tick after its reply was: both at most one tick, whose
    length ``tick_s`` has. What the proxy answers at once, inside the tick, counts as 0.
    A request that waits at the client's side, because the client is stopped or its bytes are
    not read yet, is not routed and not counted.
    """

    @property
    def families(self) -> Mapping[str, FamilyCounts]:
        """By command family; every one of ``FAMILIES``, used or not."""

    @property
    def latency(self) -> Histogram:
        """Of all families together but ``"blocking"``."""

    @property
    def nodes(self) -> Mapping[int, NodeCounts]:
        """By node, numbered as ``Pipeline.node``; those that were sent something."""

    @property
    def errors(self) -> Mapping[str, int]:
        """Error replies handed to clients; every one of ``ERROR_CODES``."""

    @property
    def refusals(self) -> Mapping[str, int]:
        """Pieces that a node would not run, by what it said; every one of ``REFUSALS``."""

    @property
    def punts(self) -> Mapping[str, int]:
        """Requests that left the hot road; every one of ``PUNTS``."""

    @property
    def limits(self) -> Mapping[str, int]:
        """How often each limit was hit; every one of ``LIMITS``."""

    @property
    def widths(self) -> Histogram:
        """Parts of split requests."""

    @property
    def tick_s(self) -> Histogram:
        """Seconds a tick took: how long trio's tasks and other sockets may have waited for it."""

    @property
    def turn_s(self) -> Histogram:
        """Seconds that trio's other tasks took when it was their turn while there was traffic."""

    @property
    def totals(self) -> Mapping[str, int]:
        """Counters without a label, since the start.

        ``requests``, ``punts``, ``splits``, ``parts``: as of ``Router``.
        ``refusals``, ``resends``, ``expired``, ``outcome_unknown``: as of ``Recovery``.
        ``lost_pieces``: pieces in flight on connections that were lost.
        ``left_pieces``: pieces in flight whose client went away.
        ``late_replies``: came after their request was given up.
        ``pushes_dropped``: as of ``NodeSide``.
        ``accepted``, ``refused_clients``: as of ``ClientSide``.
        ``protocol_errors``: clients that did not speak RESP.
        ``client_bytes_in``, ``client_bytes_out``: from and to clients.
        ``samples``: requests looked at closely.
        ``ticks``: as of ``Engine``.
        """

    @property
    def levels(self) -> Mapping[str, int]:
        """What there is just now; looks at every client, so for a scrape, not for a loop.

        ``clients``: connected. ``in_flight``: pieces of all clients.
        ``stopped_clients``: clients whose next request may not be routed yet.
        ``client_input_bytes``: read and not routed. ``client_output_bytes``: not read by clients.
        ``client_kept_bytes``: replies that wait for earlier ones.
        ``node_unsent_bytes``: requests that wait to be written, ``node_input_bytes``: replies
        that are not whole yet; both of all lanes.
        """

    def note_limit(self, name: str) -> None:
        """Count a limit that was hit outside the data plane.

        Raises:
            ValueError: ``name`` is none of ``LIMITS``.
        """

    def forget_node(self, node: int) -> None:
        """Begin anew with a node's number: it has been given back."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes in use; see ``Lane.requests`` and ``Lane.connections``."""
