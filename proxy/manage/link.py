"""The connection to one node: redis-py's, and its errors turned into ours.

Strategy: redis-py's ``Connection`` (handshake, sockets, RESP) without its clients, which
would retry, convert and follow redirects: whoever repairs a cluster wants to hear what
each node itself says. Commands go out together and their replies come back in order.

Cost: redis-py takes 0.15 s to import, so that ``links.py`` imports this file late.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from proxy.cluster.addresses import Address
from proxy.manage.errors import NodeRefused, NodeUnreachable
from proxy.manage.links import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Command, Login, Reply, Word
from proxy.tls.failures import Cause, words_about_node
from proxy.tls.sides import NodeContext

# redis-py takes NOAUTH and LOADING for broken connections; they are answers like others.
_REFUSALS = (ResponseError, AuthenticationError, BusyLoadingError)


class _TlsConnection(redis.Connection):
    """redis-py's connection with our TLS: its own makes a context of files for every one."""

    def __init__(self, *, tls: NodeContext, host: str, **given: Any) -> None:  # noqa: ANN401
        self._tls = tls
        self._name = tls.server_name or host
        super().__init__(host=host, **given)  # type: ignore[no-untyped-call]

    def _connect(self) -> ssl.SSLSocket:
        plain = super()._connect()  # type: ignore[no-untyped-call]
        try:
            return self._tls.context.wrap_socket(plain, server_hostname=self._name)
        except ssl.SSLError as problem:
            plain.close()
            raise redis.ConnectionError(words_about_node(Cause.of(problem), problem)) from None


class Link:
    """The connection to one node."""

    def __init__(self, address: Address, login: Login, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        kind = redis.Connection if login.tls is None else _TlsConnection
        self._connection: Any = kind(
            **({} if login.tls is None else {"tls": login.tls}),
            host=address.host,
            port=address.port,
            username=login.username or None,
            password=login.password or None,
            protocol=2,
            socket_connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
            socket_timeout=timeout_s,
        )

    def call(self, *args: Word, timeout_s: float | None = None) -> Reply:
        """Send one command and return its reply.

        Raises:
            NodeUnreachable: No reply came.
            NodeRefused: The reply is an error.
        """
        reply = self.call_each([args], timeout_s=timeout_s)[0]
        if isinstance(reply, NodeRefused):
            raise reply
        return reply

    def call_many(
        self, commands: Sequence[Command], *, timeout_s: float | None = None
    ) -> list[Reply]:
        """Send all commands at once and return their replies in order; ``call`` names the errors.

        All replies have been read when one of them is raised.
        """
        replies = self.call_each(commands, timeout_s=timeout_s)
        for reply in replies:
            if isinstance(reply, NodeRefused):
                raise reply
        return replies

    def call_each(
        self, commands: Sequence[Command], *, timeout_s: float | None = None
    ) -> list[Reply]:
        """Like ``call_many``, but an error is a ``NodeRefused`` among the replies.

        Raises:
            NodeUnreachable: Not all replies came.
        """
        with self.begun(commands, timeout_s=timeout_s) as read:
            return read()

    @contextmanager
    def begun(
        self, commands: Sequence[Command], *, timeout_s: float | None = None
    ) -> Iterator[Callable[[], list[Reply]]]:
        """Send commands, and give what reads their replies; the link is nobody else's meanwhile.

        Whoever leaves without all replies, as by Ctrl-C, leaves the link without a connection.
        Errors as ``call_each``, of both parts.
        """
        with self._lock:
            is_read = False

            def read() -> list[Reply]:
                nonlocal is_read
                with self._translated():
                    replies = [
                        self._read(command, timeout_s or self._timeout_s) for command in commands
                    ]
                is_read = True
                return replies

            try:
                with self._translated():
                    self._connect()
                    self._connection.send_packed_command(self._connection.pack_commands(commands))
                yield read
            finally:
                if not is_read:
                    # Replies may be on their way that nobody will read.
                    self._connection.disconnect()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as problem:
            raise NodeUnreachable(self.address, _reason(problem)) from None

    def peer_host(self) -> str:
        """Return the IP address that the node is reached at, its name resolved.

        Raises:
            NodeUnreachable: It cannot be connected to.
        """
        self.call("PING")
        with self._lock:
            host: str = self._connection._sock.getpeername()[0]
        return host

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        with self._lock:
            self._connection.disconnect()

    def _connect(self) -> None:
        """Connect, anew if the server has closed the connection since it was last used."""
        # Asked without a connection, can_read makes one, and a node that hangs is waited for twice.
        if self._connection._sock is not None and self._is_stale():
            self._connection.disconnect()
        self._connection.connect()

    def _is_stale(self) -> bool:
        try:
            return bool(self._connection.can_read(0))
        except (RedisError, OSError):
            return True

    def _read(self, command: Command, timeout_s: float) -> Reply:
        try:
            return self._connection.read_response(
                disable_decoding=True, timeout=timeout_s, disconnect_on_error=False
            )
        except _REFUSALS as refusal:
            words = " ".join(_text(word) for word in command[:3])
            return NodeRefused(self.address, words, _words_of(refusal))


def _reason(problem: Exception) -> str:
    # redis-py says "Error 111 connecting to 10.0.0.1:7000. Connection refused.": the address is
    # told by whoever tells the reason.
    cause = problem.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(problem).split()) or type(problem).__name__


def _words_of(refusal: RedisError) -> str:
    """Return what the server said: redis-py takes the code off the errors that it knows."""
    code = getattr(refusal, "status_code", None)
    words = str(refusal)
    return f"{code} {words}" if code and not words.startswith(code) else words


def _text(word: Word) -> str:
    return word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else str(word)
