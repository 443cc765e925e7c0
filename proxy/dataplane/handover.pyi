"""Clients that leave for another process, or come from one, while connected."""

from proxy.dataplane.client import Client
from proxy.dataplane.client_side import ClientSide
from proxy.dataplane.lane import Lane

class Handover(ClientSide):
    """The part of an engine that gives its clients away and takes those of another."""

    next_client_id: int
    """An id that no client has had, nor will have who is at the door."""

    @property
    def at_the_door(self) -> int:
        """Connections that have not yet said whom they are from."""

    def hold(self, client: Client) -> None:
        """Route no more of the client's requests; those on their way are answered."""

    def release(self, client: Client) -> None:
        """Route the requests again of a client that was held."""

    def is_at_rest(self, client: Client) -> bool:
        """Return whether a held client has everything that it asked for.

        What CLIENT PAUSE holds back has not been routed, so it goes along with what is unread.
        """

    def take_request_back(self, client: Client, frame: bytes) -> None:
        """Have the request that ``punt`` left open come again, as ``frame``.

        Nothing of it may have taken effect. It is then the first that is unread; without
        effect if the client is gone.
        """

    def give_away(self, client: Client) -> tuple[int, bytes]:
        """Let go of a client at rest, and return its socket and what of its bytes is not routed.

        The socket stays connected; it is the caller's from now on.
        """

    def take_in(
        self,
        fd: int,
        *,
        number: int,
        lane: Lane,
        unread: bytes,
        reply_mode: int,
        last_command: bytes,
        is_unix: bool,
        told: tuple[str, str] | None,
        created_s: float,
        last_active_s: float,
        commands: int,
        bytes_in: int,
        bytes_out: int,
    ) -> Client:
        """Make a client of a socket that another process has given away; it is held.

        Args:
            fd: The socket; the engine's from now on.
            number: Its id.
            unread: What the other process had read of it and not routed.
            told: Both its addresses, if somebody has passed it on.

        The rest is as it was with the other process.
        """
