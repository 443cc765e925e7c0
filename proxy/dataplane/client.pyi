"""One client: its requests in order, its bytes in and out, why it is stopped."""

# For the type checker only: the compiled class keeps any object as ``state`` and imports nothing.
from proxy.dataplane.allowance import Allowance
from proxy.dataplane.cipher import Cipher
from proxy.dataplane.lane import Lane
from proxy.sessions.state import ClientState

class Client:
    """One client's connection; the engine makes it, and closes it."""

    is_gated: bool
    """It must log in first: every request goes to the control plane, and few are taken."""
    is_off_road: bool
    """Every request goes to the control plane: a session has the client to itself."""
    insists: bool
    """It reads at the primary, whatever its lane allows: it watches keys."""
    may_idle: bool
    """It is never closed for being idle: it listens."""
    reply_mode: int
    """CLIENT REPLY: 0 on, 1 off, 2 skip the next reply."""

    # The control room fills it in without knowing what it is, as the rooms' order wants it.
    @property
    def state(self) -> ClientState:
        """What the sessions room keeps of it."""

    @state.setter
    def state(self, new: object) -> None: ...
    @property
    def id(self) -> int:
        """Number of the connection; never given twice by one engine."""

    @property
    def cipher(self) -> Cipher | None:
        """Its TLS; None: it speaks without, or is gone."""

    @property
    def lane(self) -> Lane:
        """How its requests reach the cluster."""

    @property
    def in_flight(self) -> int:
        """Pieces sent or to be sent, not answered yet."""

    @property
    def created_s(self) -> float:
        """When it connected; monotonic seconds."""

    @property
    def last_active_s(self) -> float:
        """When it last sent something; monotonic seconds."""

    @property
    def commands(self) -> int:
        """Requests so far."""

    @property
    def bytes_in(self) -> int:
        """Bytes received so far."""

    @property
    def bytes_out(self) -> int:
        """Bytes written so far."""

    @property
    def resp(self) -> int:
        """Protocol version the client speaks: 2 or 3."""

    @property
    def query_buffer_bytes(self) -> int:
        """Bytes read and not yet routed."""

    @property
    def output_bytes(self) -> int:
        """Bytes that wait to be written."""

    @property
    def allowance(self) -> Allowance | None:
        """What it may send a second; None: anything."""

    @property
    def stopped_by(self) -> tuple[str, ...]:
        """Why its next request may not be routed yet; empty: it may."""

    @property
    def last_command(self) -> bytes:
        """Name of the last command, lower case; empty before the first."""

    @property
    def leaves_at_end(self) -> bool:
        """Whether it waits for something that may never come: see ``Engine.watch_end``."""

    @property
    def is_closed(self) -> bool:
        """Whether its connection is gone."""

    @property
    def fd_number(self) -> int:
        """Number of its socket, -1 once closed."""

    @property
    def is_extra(self) -> bool:
        """Whether it is over ``max_clients``, and stays only if it is an administrator."""

    @property
    def is_unix(self) -> bool:
        """Whether it came by a Unix socket."""

    @property
    def told_address(self) -> str | None:
        """Its address as whoever passed it on has told; None: nobody has."""

    @property
    def told_local_address(self) -> str | None:
        """Where it connected to, as whoever passed it on has told."""

    @property
    def address(self) -> str:
        """The client's address and port as text."""

    @property
    def local_address(self) -> str:
        """The address and port it connected to, as text."""

    def close_after_reply(self) -> None:
        """Take no more requests, and close when all replies are written."""

    def close(self) -> None:
        """Close its connection now; replies it has not read are lost."""
