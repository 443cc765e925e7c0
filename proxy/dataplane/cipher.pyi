"""TLS on one socket: sealed bytes on the kernel's side, plain ones on ours."""

import ssl

class Cipher:
    """The TLS side of one connection.

    Args:
        tls: An ``ssl.SSLObject``.
        incoming: The memory it reads from.
        outgoing: The memory it writes to.
        is_open: Its handshake is complete.
    """

    def __init__(
        self,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        is_open: bool = False,
    ) -> None: ...
    @property
    def is_open(self) -> bool:
        """Whether the handshake is complete."""

    @property
    def has_ended(self) -> bool:
        """Whether the other side has said that nothing more comes."""

    @property
    def failure(self) -> ssl.SSLError | None:
        """What ended it; None: nothing has."""

    @property
    def is_foreign(self) -> bool:
        """Whether what came first was no TLS at all."""

    @property
    def waiting_bytes(self) -> int:
        """Sealed bytes that the kernel has not taken yet."""

    @property
    def version(self) -> str:
        """The protocol in use, such as ``TLSv1.3``; empty before the handshake."""

    @property
    def peer_certificate(self) -> bytes | None:
        """The other side's certificate as DER; None if it has shown none."""
