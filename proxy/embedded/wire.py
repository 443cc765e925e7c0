"""A plain blocking connection to one server, for administrative commands.

Strategy: a socket and our reader of replies. redis-py would retry, pool and
convert; whoever forms a cluster or breaks one wants to see what the server said.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import hiredis

from proxy.cluster.topology import Address
from proxy.embedded.errors import EmbeddedError, ServerRefused
from proxy.errors import BackendProtocolError
from proxy.resp.decode import ReplyReader, Value
from proxy.resp.encode import encode_command

TIMEOUT_S = 10.0  # chosen: more than MIGRATE and the longest SETSLOT of a busy machine take
READ_BYTES = 65536


class NodeConnection:
    """One connection; commands go out in order and their replies come back in order."""

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect.

        Raises:
            EmbeddedError: Nobody listens there, or it does not answer in time.
        """
        self._address = address
        self._reader = ReplyReader()
        try:
            self._socket = socket.create_connection((address.host, address.port), timeout_s)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=address.host)
        except OSError as problem:
            raise EmbeddedError(f"cannot connect to {address}: {problem}") from None

    def call(self, *args: bytes | str | int) -> Value:
        """Send one command and return its decoded reply.

        Raises:
            ServerRefused: The reply is an error.
            EmbeddedError: No reply came.
        """
        return self.call_many([args])[0]

    def call_many(self, commands: Sequence[Sequence[bytes | str | int]]) -> list[Value]:
        """Send all commands at once and return their replies in order.

        Raises:
            ServerRefused: One of the replies is an error. All were read, so the
                connection can be used further.
            EmbeddedError: Not all replies came.
        """
        self.send(commands)
        return self.receive(commands)

    def send(self, commands: Sequence[Sequence[bytes | str | int]]) -> None:
        """Send commands whose replies ``receive`` will read.

        Raises:
            EmbeddedError: The connection is gone.
        """
        try:
            self._socket.sendall(b"".join(encode_command(*command) for command in commands))
        except OSError as problem:
            raise EmbeddedError(f"cannot send to {self._address}: {problem}") from None

    def receive(self, commands: Sequence[Sequence[bytes | str | int]]) -> list[Value]:
        """Read the replies of commands just sent; ``call_many`` names the errors."""
        replies: list[Value] = []
        try:
            while len(replies) < len(commands):
                data = self._socket.recv(READ_BYTES)
                if not data:
                    raise EmbeddedError(f"{self._address} closed the connection")
                replies += self._reader.feed(data)
        except (OSError, BackendProtocolError) as problem:
            raise EmbeddedError(f"{self._address} did not answer: {problem}") from None
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                words = " ".join(str(word) for word in command[:3])
                raise ServerRefused(f"{self._address} refused {words}: {reply}")
        return replies

    def close(self) -> None:
        """Close the socket. May be called again."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
