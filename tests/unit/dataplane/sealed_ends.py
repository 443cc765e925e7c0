"""The other ends of TLS connections, for a ``Switchboard``; they move when a test says so.

Nothing here waits: what OpenSSL wants to write goes to a socket when it is pushed, whole or a
few bytes at a time, and what has come is taken when it is pulled.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

import trustme

RECEIVE_BYTES = 1 << 20


class Authority:
    """A CA, and the contexts of both sides that trust it."""

    def __init__(self) -> None:
        self.ca = trustme.CA(key_type=trustme.KeyType.ECDSA)

    def server(self, *, wants_certificate: bool = False) -> ssl.SSLContext:
        """Return the context of a server called ``node.test``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_NO_RENEGOTIATION
        self.ca.issue_cert("node.test", key_type=trustme.KeyType.ECDSA).configure_cert(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Return the context of a client that trusts this CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context


class SealedEnd:
    """One end of a connection."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, *, is_server: bool) -> None:
        plain.setblocking(False)
        self.socket = plain
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=is_server,
            server_hostname=None if is_server else "node.test",
        )

    def advance(self) -> bool:
        """Go on with the handshake; return whether it is complete."""
        self.pull()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.push()
        return True

    def pull(self) -> bool:
        """Take what has come; return whether the connection still stands."""
        with suppress(BlockingIOError):
            while data := self.socket.recv(RECEIVE_BYTES):
                self.incoming.write(data)
            return False
        return True

    def push(self, *, at_once: int = RECEIVE_BYTES) -> int:
        """Send what is sealed, at most so many bytes of it; return how many are left."""
        data = self.outgoing.read(at_once)
        if data:
            assert self.socket.send(data) == len(data)
        return self.outgoing.pending

    def send(self, data: bytes) -> None:
        """Seal bytes and send them."""
        self.seal(data)
        self.push()

    def seal(self, data: bytes) -> None:
        """Seal bytes, which ``push`` will send."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.tls.write(rest) :]

    def read(self) -> bytes:
        """Return what has come so far, opened."""
        self.pull()
        opened = b""
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data := self.tls.read(RECEIVE_BYTES):
                opened += data
        return opened
