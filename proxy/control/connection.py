"""Connect to a node: for the control plane's own questions, and for the data plane.

Strategy: a connection begins here, with the handshake (AUTH, HELLO) in plain
trio, where errors can be told apart and said; the handshake of TLS comes before it. A
pipeline's connection is then handed to the engine, as a bare socket and its TLS; the
control plane's own ones are asked a few questions and closed. Names are resolved anew at
every connect, so nodes may change their addresses.

Cost: one connection per refresh of the map, and one per node and lane.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import hiredis
import trio

from proxy.cluster.addresses import Address
from proxy.control.secure_stream import SecureStream
from proxy.dataplane.cipher import Cipher
from proxy.dataplane.frames import ReplyStream
from proxy.errors import BackendProtocolError, BackendRefused, BackendUnavailable
from proxy.resp.decode import Value, decode, error_text
from proxy.resp.encode import encode_command
from proxy.tls.failures import Cause, words_about_node
from proxy.tls.sides import NodeTls

RECEIVE_BYTES = 64 * 1024
# Of all answers to what is asked at once. COMMAND takes 0.3 MB, the map of 1,000 nodes 0.4 MB.
ANSWERS_LIMIT_BYTES = 64 * 1024 * 1024

# A node whose kernel acknowledges nothing is not busy but unreachable: the host died or a
# firewall forgot the connection. Without this, the kernel tries for a quarter of an hour.
DEAD_PATH_MS = 5_000  # chosen: below every sensible request_timeout_s
KEEPALIVE_S = 15  # chosen: below the idle times of common firewalls


# What a node says to a connection that will never be what it is to be. Anything else that it
# answers to a handshake (too many clients, loading) passes, and the connection is tried again.
_REFUSALS = frozenset({b"WRONGPASS", b"NOAUTH", b"NOPERM"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a connection is to the nodes: the arguments of AUTH, without its name.

    None of them: whoever a server takes a connection for that does not log in. One:
    the default user's password. Two: a user and the password, as bytes that a
    client may have chosen.
    """

    words: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, username: str, password: str) -> Self:
        """Return those of the settings; no password means no AUTH."""
        if not password:
            return cls()
        return cls((username.encode(), password.encode()) if username else (password.encode(),))


async def ask_node(
    address: Address,
    credentials: Credentials,
    tls: NodeTls,
    commands: list[tuple[bytes | str | int, ...]],
    *,
    timeout_s: float,
) -> list[Value]:
    """Return a node's answers to a few questions, over a connection for these alone.

    Raises:
        BackendRefused: The node will not have us.
        BackendUnavailable: It did not answer within ``timeout_s`` in all.
        BackendProtocolError: It does not speak RESP.
    """
    deadline = trio.current_time() + timeout_s
    connection = await NodeConnection.open(address, credentials, tls, connect_timeout_s=timeout_s)
    with trio.move_on_at(deadline):
        async with connection:
            return await connection.ask_all(commands)
    raise BackendUnavailable(f"{address} did not answer within {timeout_s:g} s", sent=True)


class NodeConnection:
    """One connection to one node, used by one task at a time.

    Attributes:
        address: Where it leads to.
    """

    def __init__(
        self, stream: trio.SocketStream | SecureStream, address: Address, tls: NodeTls
    ) -> None:
        self.address = address
        self._stream = stream
        self._tls = tls
        self._is_released = False
        # Not a decoder that reads along: one allocates what a reply announces.
        self._replies = ReplyStream()

    @classmethod
    async def open(
        cls,
        address: Address,
        credentials: Credentials,
        tls: NodeTls,
        *,
        resp: int = 2,
        database: int = 0,
        setup: tuple[tuple[bytes, ...], ...] = (),
        connect_timeout_s: float,
    ) -> Self:
        """Connect and shake hands.

        Args:
            setup: Commands to run before anything else; each must succeed.

        Raises:
            BackendRefused: The node knows no such user or database, or its rights
                do not suffice; it will say so again.
            BackendUnavailable: No connection within the time, or the node
                has no room for one now.
        """
        missing = "connection to"
        with trio.move_on_after(connect_timeout_s):
            try:
                stream = await trio.open_tcp_stream(address.host, address.port)
            except OSError as problem:
                raise BackendUnavailable(
                    f"cannot connect to {address}: {_reason(problem)}", sent=False
                ) from None
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PATH_MS)
            wrapped = tls.wrap(address.host)
            secured = stream if wrapped is None else SecureStream(stream, wrapped)
            connection = cls(secured, address, tls)
            try:
                missing = "TLS handshake with" if wrapped is not None else missing
                await connection._secure()
                missing = "connection to"
                await connection._shake_hands(credentials, resp)
                for command in (*(((b"SELECT", b"%d" % database),) if database else ()), *setup):
                    await connection._insist(*command, is_final=True)
            except BaseException:
                stream.socket.close()
                raise
            return connection
        raise BackendUnavailable(
            f"no {missing} {address} within {connect_timeout_s:g} s (connect_timeout_s)",
            sent=False,
        )

    async def _secure(self) -> None:
        """Complete the handshake of TLS, if it is spoken."""
        if not isinstance(self._stream, SecureStream):
            return
        try:
            await self._stream.shake_hands()
        except ssl.SSLError as problem:
            raise self._without_tls(problem, sent=False) from None
        except trio.BrokenResourceError as problem:
            raise self._without_tls(self._alert() or problem, sent=False) from None
        except trio.Cancelled:
            self._tls.handshakes.note(Cause.TIMEOUT)
            raise
        self._tls.handshakes.note(None)

    def _alert(self) -> ssl.SSLError | None:
        return self._stream.last_words() if isinstance(self._stream, SecureStream) else None

    def _without_tls(self, problem: Exception, *, sent: bool) -> BackendUnavailable:
        """Count that TLS failed, and return it in words."""
        cause = Cause.of(problem)
        self._tls.handshakes.note(cause)
        kernels = problem.__cause__
        words = words_about_node(cause, kernels if isinstance(kernels, OSError) else problem)
        return BackendUnavailable(f"{self.address}: {words}", sent=sent)

    async def _shake_hands(self, credentials: Credentials, resp: int) -> None:
        words = credentials.words
        if resp == 3:
            login = words if len(words) != 1 else (b"default", *words)
            await self._insist(b"HELLO", b"3", *((b"AUTH", *login) if login else ()))
        elif words:
            # The form with one argument is the only one before Redis 6.
            await self._insist(b"AUTH", *words)

    async def _insist(self, *command: bytes, is_final: bool = False) -> None:
        """Run a command that must succeed for the connection to be of use."""
        reply = await self.ask(*command)
        if not isinstance(reply, hiredis.ReplyError):
            return
        words = error_text(reply)
        code = words.partition(b" ")[0]
        if code in _REFUSALS or (is_final and code != b"LOADING"):
            raise BackendRefused(str(self.address), words)
        raise BackendUnavailable(
            f"{self.address} refused {command[0].decode()}: {reply}", sent=False
        )

    async def ask(self, *args: bytes | str | int) -> Value:
        """Return the decoded reply to one command; an error reply is a value.

        Raises:
            BackendUnavailable: The connection was lost.
            BackendProtocolError: The node does not speak RESP.
        """
        return (await self.ask_all([args]))[0]

    async def ask_all(self, commands: list[tuple[bytes | str | int, ...]]) -> list[Value]:
        """Send several commands at once and return their replies in order.

        Raises:
            BackendUnavailable: The connection was lost.
            BackendProtocolError: The node does not speak RESP, says more than it was asked,
                or goes on for longer than any answer to a question of the proxy's.
        """
        replies: list[Value] = []
        received = 0
        try:
            await self._stream.send_all(b"".join(encode_command(*args) for args in commands))
            while len(replies) < len(commands):
                data = await self._stream.receive_some(RECEIVE_BYTES)
                if not data:
                    raise BackendUnavailable(f"{self.address} closed the connection", sent=True)
                received += len(data)
                if received > ANSWERS_LIMIT_BYTES:
                    raise BackendProtocolError(f"{self.address} does not end its answer")
                replies += map(decode, self._cut(bytes(data)))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as problem:
            if alert := self._alert():
                raise self._without_tls(alert, sent=True) from None
            raise BackendUnavailable(
                f"lost the connection to {self.address}: {problem.__cause__ or problem}", sent=True
            ) from None
        except ssl.SSLError as problem:
            # In TLS 1.3 a node that does not like our certificate says so only now.
            raise self._without_tls(problem, sent=True) from None
        if len(replies) > len(commands):
            raise BackendProtocolError(f"{self.address} says more than it was asked")
        return replies

    def _cut(self, data: bytes) -> list[bytes]:
        """Return the whole replies that have come by now."""
        try:
            return self._replies.feed(data)
        except BackendProtocolError as problem:
            raise BackendProtocolError(
                f"{self.address} sent what is not a reply: {problem}"
            ) from None

    def detach(self) -> tuple[int, Cipher | None]:
        """Give up the socket and return its descriptor and its TLS; the caller closes it."""
        wrapped = self._stream.wrapped if isinstance(self._stream, SecureStream) else None
        cipher = None if wrapped is None else Cipher(*wrapped, is_open=True)
        return self._stream.socket.detach(), cipher

    def release(self) -> trio.SocketStream | SecureStream:
        """Give up the connection and return its stream; the caller closes it."""
        self._is_released = True
        return self._stream

    def close(self) -> None:
        """Close the connection at once, also while another task waits for it."""
        if not self._is_released:
            self._stream.socket.close()

    async def aclose(self) -> None:
        """Close the connection."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _reason(problem: OSError) -> str:
    """Return the kernel's word for a failed connect; trio tells only that all attempts failed."""
    causes = problem.__cause__
    while isinstance(causes, BaseExceptionGroup):
        causes = causes.exceptions[0]
    found = causes if isinstance(causes, OSError) else problem
    return os.strerror(found.errno) if found.errno and found.errno > 0 else str(found)


def expect_bytes(value: Value, asked: Address) -> bytes:
    """Return ``value`` if it is a string."""
    if isinstance(value, hiredis.ReplyError):
        raise BackendUnavailable(
            f"{asked} answered {error_text(value).decode(errors='replace')}", sent=True
        )
    if not isinstance(value, bytes):
        raise BackendProtocolError(f"{asked}: a string was expected, not {value!r}")
    return value
