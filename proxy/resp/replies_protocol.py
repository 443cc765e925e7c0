"""What the proxy says to bytes that are not RESP, or too many; the connection is closed after it.

Strategy: as in ``replies.py``, one function a text; the docstring says what to do about it.
With Redis's own limits the texts are Redis's own, and name no setting.
"""

from __future__ import annotations

from proxy.resp.encode import error

REDIS_ARGUMENT_LIMIT_BYTES = 512 * 1024 * 1024
REDIS_INLINE_LIMIT_BYTES = 64 * 1024


def protocol_error(text: bytes) -> bytes:
    """Any break of the protocol that has no function of its own below."""
    return error(b"ERR Protocol error: %b" % text)


def invalid_multibulk_length() -> bytes:
    """The count after ``*`` is not a number: the client is broken, or not a Redis client."""
    return protocol_error(b"invalid multibulk length")


def invalid_bulk_length() -> bytes:
    """The length after ``$`` is not a number: the client is broken, or not a Redis client."""
    return protocol_error(b"invalid bulk length")


def expected_bulk(got: bytes) -> bytes:
    """An argument begins with ``got`` and not with ``$``: the client is broken."""
    return protocol_error(b"expected '$', got '%b'" % got)


def invalid_line_end() -> bytes:
    """No CR LF after an argument: the client gave a wrong length (text of Valkey 9.1)."""
    return protocol_error(b"invalid CRLF in request")


def multibulk_count_too_long() -> bytes:
    """The line that begins with ``*`` does not end: the client is broken."""
    return protocol_error(b"too big mbulk count string")


def bulk_count_too_long() -> bytes:
    """The line that begins with ``$`` does not end: the client is broken."""
    return protocol_error(b"too big bulk count string")


def unbalanced_quotes() -> bytes:
    """An inline command has a quote that is not closed, or closed in the middle of a word."""
    return protocol_error(b"unbalanced quotes in request")


def unauthenticated_multibulk_length() -> bytes:
    """More than 10 arguments from a client that must authenticate first."""
    return protocol_error(b"unauthenticated multibulk length")


def unauthenticated_bulk_length() -> bytes:
    """An argument over 16384 bytes from a client that must authenticate first."""
    return protocol_error(b"unauthenticated bulk length")


def tls_without() -> bytes:
    """A client speaks TLS on a port without (``tls.mode``); it will report a wrong version."""
    return protocol_error(b"this port speaks no TLS (the setting tls.mode)")


def no_tls() -> bytes:
    """A client speaks without TLS on a TLS port: use ``--tls``, ``ssl=True`` or ``rediss://``."""
    return protocol_error(b"this port speaks TLS only (the setting tls.mode)")


# ---- limits ---------------------------------------------------------------------------


def too_many_arguments(limit: int) -> bytes:
    """A request with more arguments than ``limits.argument_limit``: send it in pieces."""
    return protocol_error(
        b"invalid multibulk length (the setting limits.argument_limit is %d)" % limit
    )


def argument_too_big(limit_bytes: int) -> bytes:
    """An argument longer than ``limits.argument_limit_bytes``: store the value in pieces."""
    if limit_bytes == REDIS_ARGUMENT_LIMIT_BYTES:
        return invalid_bulk_length()
    return protocol_error(
        b"invalid bulk length (the setting limits.argument_limit_bytes is %d)" % limit_bytes
    )


def inline_too_big(limit_bytes: int) -> bytes:
    """An inline command longer than ``limits.inline_limit_bytes``: send it as a RESP array."""
    if limit_bytes == REDIS_INLINE_LIMIT_BYTES:
        return protocol_error(b"too big inline request")
    return protocol_error(
        b"too big inline request (the setting limits.inline_limit_bytes is %d)" % limit_bytes
    )


def request_too_big(limit_bytes: int) -> bytes:
    """A whole request longer than ``limits.request_limit_bytes``: send it in pieces."""
    return protocol_error(
        b"too big request (the setting limits.request_limit_bytes is %d)" % limit_bytes
    )
