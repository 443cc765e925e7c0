"""What subscribers and monitors are told, byte for byte as Redis 7.0.15 and Valkey 9.1 say it."""

from __future__ import annotations

import pytest

from proxy.resp import replies_pubsub as say


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (
            say.confirmation(b"subscribe", b"x", 1, 2),
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n",
        ),
        (
            say.confirmation(b"psubscribe", b"", 2, 3),
            b">3\r\n$10\r\npsubscribe\r\n$0\r\n\r\n:2\r\n",
        ),
        (
            say.confirmation(b"unsubscribe", None, 0, 2),
            b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
        ),
        (
            say.confirmation(b"sunsubscribe", None, 0, 3),
            b">3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n",
        ),
        (say.subscriber_pong(b"hi"), b"*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"),
        (
            say.only_for_subscribers(b"client|info"),
            (
                b"-ERR Can't execute 'client|info': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING"
                b" / QUIT / RESET are allowed in this context\r\n"
            ),
        ),
        (
            say.only_for_subscribers(b"exec"),
            (
                b"-EXECABORT Transaction discarded because of: Can't execute 'exec': only "
                b"(P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
                b"context\r\n"
            ),
        ),
        (say.monitor_reads_nothing(), b"-ERR Replica can't interact with the keyspace\r\n"),
        (
            say.no_monitor_in_transaction(),
            b"-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n",
        ),
        (
            say.no_transaction_while_monitoring(),
            b"-ERR MULTI is not available to a client that monitors\r\n",
        ),
    ],
)
def test_the_words_are_these(frame: bytes, wire: bytes) -> None:
    assert frame == wire
