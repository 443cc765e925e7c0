"""What a client is told about its subscriptions and its MONITOR, in a server's own words.

Strategy: word for word what Redis 7.0 and Valkey 9.1 say, compared with them in
tests/live/test_pubsub.py. Confirmations are replies in RESP2 and pushes in RESP3.

Cost: one format each.
"""

from __future__ import annotations

from proxy.resp.encode import bulk, error, integer, null


def confirmation(word: bytes, name: bytes | None, count: int, resp: int) -> bytes:
    """Return the confirmation of one name of SUBSCRIBE, UNSUBSCRIBE and their kin.

    Args:
        word: ``subscribe``, ``punsubscribe``, ...
        name: None for an UNSUBSCRIBE of everything that found nothing.
        count: How many subscriptions the client has now.
        resp: The client's protocol version.
    """
    text = null(resp) if name is None else bulk(name)
    return (b"*3\r\n" if resp == 2 else b">3\r\n") + bulk(word) + text + integer(count)


def subscriber_pong(message: bytes) -> bytes:
    """Return the answer to PING of a subscriber in RESP2, where only arrays are expected."""
    return b"*2\r\n" + bulk(b"pong") + bulk(message)


def only_for_subscribers(command: bytes) -> bytes:
    """A RESP2 client that subscribes to something may do nothing else: use another connection."""
    text = (
        b"Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        b"are allowed in this context" % command
    )
    if command == b"exec":
        return error(b"EXECABORT Transaction discarded because of: %b" % text)
    return error(b"ERR %b" % text)


def monitor_reads_nothing() -> bytes:
    """A client that monitors may not touch keys: use another connection, or RESET."""
    return error(b"ERR Replica can't interact with the keyspace")


def no_monitor_in_transaction() -> bytes:
    """MONITOR between MULTI and EXEC."""
    return error(b"ERR MONITOR isn't allowed for DENY BLOCKING client")


def no_transaction_while_monitoring() -> bytes:
    """MULTI from a client that monitors, which may touch no key anyway: RESET it first."""
    return error(b"ERR MULTI is not available to a client that monitors")
