"""What the data plane asks the control plane: the one face between the two.

The data plane calls these from inside a tick, in the trio task that drives it:
they answer at once and never wait. What takes longer is started as a task and
answered later with ``Engine.finish_punt``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.dataplane.client import Client
    from proxy.dataplane.lane import Lane, Pipeline
    from proxy.dataplane.tables import Command


class Punt(IntEnum):
    """Why a request leaves the hot road."""

    ROAD = 0
    """Its row says so: local, fan-out, session, denied, ask the server."""
    UNKNOWN = 1
    """No row has its name."""
    ARITY = 2
    """Too few or too many arguments."""
    CROSS_SLOT = 3
    """Keys in several slots, and it cannot be split."""
    GATED = 4
    """The client must authenticate first."""
    SESSION = 5
    """A session has the client to itself."""


class Action(IntEnum):
    """What to do with a piece that a server refused to run."""

    PASS = 0
    """Let the client have the server's error."""
    BY_MAP = 1
    """Send it again, by the slot map of that time."""
    ASK = 2
    """Send it again to one node, after ASKING."""
    SPARE = 3
    """Answer it at once: it would wait for a node that is given up."""


class Guard(IntEnum):
    """What the settings say of a user's command."""

    ALLOW = 0
    """It passes."""
    DENY = 1
    """It is refused."""
    CONFIRM = 2
    """It passes if the very same request has been confirmed."""


class Hooks(Protocol):
    """The control plane, as the data plane sees it."""

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Return the reply frame, or None if ``finish_punt`` will bring it."""

    def judge(
        self, node: int, line: bytes, redirects: int, attempts: int
    ) -> tuple[Action, int, float]:
        """Return (action, node index for ASK and SPARE or slot after MOVED, seconds to wait).

        Both numbers are -1 where there is none.
        """

    def reader_refused(self, node: int, line: bytes, attempts: int) -> float:
        """Note that a replica would not answer a read; return seconds to wait before the next."""

    def note_script(self, body: bytes) -> None:
        """Note a script that a client brings along (EVAL)."""

    def lacks_script(self, pipeline: Pipeline, request: bytes, attempts: int) -> float | None:
        """Bring a node the script or function that it says it lacks.

        Returns:
            Seconds until the request is to be sent again; None: it is not.
        """

    def need_connection(self, pipeline: Pipeline) -> None:
        """Note that a pipeline has requests to send and no connection."""

    def lost_connection(self, pipeline: Pipeline) -> None:
        """Note that a pipeline's connection is gone, and nobody has dropped it."""

    def silent(self, pipeline: Pipeline, seconds: float) -> None:
        """Note that a node has owed replies for so long without sending a byte."""

    def uncovered(self, slot: int) -> None:
        """Note that the map has no node for a slot that is needed."""

    def gave_up(
        self,
        slot: int,
        node: int,
        *,
        was_sent: bool,
        is_write: bool,
        patience: int,
    ) -> bytes:
        """Return the error for a request whose deadline has passed.

        Args:
            patience: Which of ``PATIENCES`` said how long it may wait.
        """

    def waited_in_vain(self, node: int, waited_s: float) -> None:
        """Note that a request for a node was given up after so long; -1: it had none."""

    def hopeless(self, slot: int, node: int) -> bytes:
        """Return the error for a request to a node that is given up."""

    def lost_reply(self, slot: int, node: int, *, is_write: bool) -> bytes:
        """Return the error for a request whose reply was lost with a connection."""

    def overtaken(self, node: int, *, was_lost: bool) -> bytes:
        """Return the error for a request that a later one on its key has overtaken.

        Args:
            was_lost: With its connection; else it was redirected.
        """

    def cut_off(self, node: int) -> bytes:
        """Return the error for a request during which the node always closes."""

    def parts_failed(self, command: Command, failed: int, parts: int, first_error: bytes) -> bytes:
        """Return the error for a split command of which some parts failed."""

    def replies_differ(self, command: Command) -> bytes:
        """Return the error for a split command whose parts' replies do not fit together."""

    def reply_too_big(self, node: int) -> bytes:
        """Return the error that stands for a reply over the limit."""

    def guard(self, client: Client, command: Command) -> Guard:
        """Return what to do with a request for a command of ``guard_commands``."""

    def is_confirmed(self, client: Client, args: list[bytes]) -> bool:
        """Return whether a request that has to be confirmed has been; if not, it is punted."""

    def out_of_memory(self) -> bytes:
        """Return the error for a request over ``memory_limit_bytes``."""

    def too_wide(self, command: Command, slots: int) -> bytes:
        """Return the error for a command whose keys lie in more slots than ``fan_out_limit``."""

    def over_rate(self, client: Client, is_bytes: bool) -> bytes:
        """Return the error for a request that the client's allowance has no room for.

        Args:
            is_bytes: Whether bytes are what it lacks, else commands.
        """

    def protocol_error(self, fault: str, got: bytes) -> bytes:
        """Return the error for a client that does not speak RESP; ``fault`` as in frames."""

    def inline_args(self, line: bytes) -> list[bytes] | None:
        """Return the arguments of an inline command; None if its quotes do not match."""

    def too_many_clients(self) -> bytes:
        """Return the error for a client over the limit."""

    def out_of_descriptors(self) -> None:
        """Note that connections wait because there are no descriptors for them."""

    def distrusts(self, host: str) -> bytes | None:
        """Return the error for whoever may not pass connections on; None: it may.

        Args:
            host: Its IP address; empty: it came by a Unix socket.
        """

    def no_header(self, host: str, problem: str) -> bytes:
        """Return the error for a connection that does not begin with a PROXY header."""

    def turn_away(self, host: str, told: str | None, has_tls: bool) -> bytes | None:
        """Return the error for a connection that may not come in; None: it may.

        Args:
            host: Its other end's IP address; empty: it came by a Unix socket.
            told: Where it really is from, if it was passed on: an IP address or a path.
            has_tls: A TLS handshake comes next.
        """

    def accepted(self, client: Client) -> None:
        """Note a new client."""

    def closed(self, client: Client, reason: str) -> None:
        """Note that a client is gone; ``reason`` is empty when it left by itself."""

    def lane_for(self, resp: int) -> Lane:
        """Return the lane of clients that speak this protocol version."""


class Shower(Protocol):
    """Turns what clients are told into their own names for keys, while there are pins."""

    def show_reply(self, client: Client, reply: bytes) -> bytes:
        """Return the reply to the client's open request as the client is to see it."""

    def show_push(self, frames: bytes) -> bytes:
        """Return what a client is told without having asked as it is to see it."""

    def forward(
        self, client: Client, frame: bytes, slot: int, is_write: bool, replies: int
    ) -> bool:
        """Take over a request of ``forward_punt``, if its reply has to be shown."""
