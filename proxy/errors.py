"""What this package raises on purpose: one family for each party at fault.

A Redis error *reply* is a value and never one of these. trio's and the
operating system's exceptions are translated into these once, where the socket
is; above that line nobody names them.
"""

from __future__ import annotations


class ProxyError(Exception):
    """Base of everything this package raises on purpose."""


class ClientProtocolError(ProxyError):
    """The client sent bytes that are not RESP. Answered once, then closed."""


class BackendProtocolError(ProxyError):
    """A server sent bytes that are not RESP, or an answer that is not in the documented form.

    Its connection is closed: nobody knows where the next reply begins.
    """


class LimitReached(ProxyError):
    """A client asked for one more than a limit allows."""

    def __init__(self, setting: str, limit: int) -> None:
        super().__init__(f"limit reached: {setting} = {limit}")
        self.setting = setting
        self.limit = limit


class BackendUnavailable(ProxyError):
    """No reply will come. ``sent`` says whether the server may have acted.

    Attributes:
        sent: True if at least one byte of the command was handed to the
            socket. A write may then have run and must not be resent in
            silence (law 4); with False it provably did not run.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class BackendGivenUp(BackendUnavailable):
    """A node's breaker is open: nobody hopes for it, and nothing was sent.

    Attributes:
        error: The error frame for whoever wanted something of it.
    """

    def __init__(self, error: bytes) -> None:
        super().__init__(error[1:-2].decode(errors="replace"), sent=False)
        self.error = error


class BackendRefused(BackendUnavailable):
    """A node will not have a connection: unknown user, no rights, no such database.

    Attributes:
        node: Which one.
        words: What it said, code first: ``b"WRONGPASS invalid ..."``.
    """

    def __init__(self, node: str, words: bytes) -> None:
        super().__init__(f"{node} refused us: {words.decode(errors='replace')}", sent=False)
        self.node = node
        self.words = words


class ConfigError(ProxyError):
    """The configuration cannot be used. Raised before anything is started.

    Attributes:
        key: What to change: ``table.key``, or the name of a file.
        given: What was found there, as the user wrote it; secrets are masked.
        allowed: What could stand there instead, in words.
    """

    def __init__(self, *, key: str, given: str, allowed: str) -> None:
        super().__init__(f"{key}: given {given}; allowed: {allowed}")
        self.key = key
        self.given = given
        self.allowed = allowed
