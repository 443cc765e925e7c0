"""What a contender is asked before it is measured, and who sits idle while it is.

Strategy: ``NodeConnection`` says nothing that is not written here, where a
client library would greet with HELLO and CLIENT SETINFO, which not every
proxy knows.
"""

from collections.abc import Sequence

from workloads import BIG_KEYSPACE, BIG_VALUE, SMALL_KEYSPACE, SMALL_VALUE

from proxy.cluster.topology import Address
from proxy.embedded.ports import LOOPBACK
from proxy.embedded.wire import NodeConnection

_BATCH = 200  # commands sent before their replies are read: 10 kB, less than any socket buffer


class WrongAnswer(Exception):
    """A contender answered, but not what a Redis server would."""


def check_answers(port: int) -> None:
    """Make sure that a contender works before it is measured.

    Strings with every byte in key and value, a big value, a pipeline, and
    MSET/MGET over many slots with a missing key in the middle.

    Raises:
        WrongAnswer: Says the command and both answers.
        EmbeddedError: An error reply, or no reply.
    """
    every_byte = bytes(range(256))
    keys = [b"check:%d" % number for number in range(32)]
    values: list[bytes | None] = [b"of " + key for key in keys]
    pairs = [part for key in keys for part in (key, b"of " + key)]
    with _connect(port) as connection:
        for key, value in (
            (every_byte, every_byte),
            (b"check:empty", b""),
            (b"check:big", BIG_VALUE),
        ):
            _expect(connection, (b"SET", key, value), b"OK")
            _expect(connection, (b"GET", key), value)
        _expect(connection, (b"MSET", *pairs), b"OK")
        _expect(
            connection,
            (b"MGET", *keys[:16], b"check:none", *keys[16:]),
            [*values[:16], None, *values[16:]],
        )
        _expect(connection, (b"MGET", keys[3], keys[3]), [values[3], values[3]])
        replies = connection.call_many([(b"GET", key) for key in keys])
        if replies != values:
            raise WrongAnswer(f"32 GET in one pipeline: {replies!r}, not {values!r}")


def fill_keyspace(port: int) -> None:
    """Write every key that a workload may read.

    Raises:
        EmbeddedError: A SET was refused or not answered.
    """
    with _connect(port) as connection:
        for prefix, count, value, batch in (
            (b"key", SMALL_KEYSPACE, SMALL_VALUE, _BATCH),
            (b"big", BIG_KEYSPACE, BIG_VALUE, 1),
        ):
            for first in range(0, count, batch):
                numbers = range(first, min(count, first + batch))
                connection.call_many([(b"SET", _key(prefix, n), value) for n in numbers])


class IdleCrowd:
    """Connections that each did one GET and then keep silent.

    One request each, because a proxy that allocates a client's buffers at
    its first request would otherwise look lighter than it is.
    """

    def __init__(self) -> None:
        """Nobody is connected yet."""
        self._connections: list[NodeConnection] = []

    def gather(self, port: int, count: int) -> None:
        """Connect ``count`` clients, one after the other: no listen queue overflows.

        Raises:
            WrongAnswer: A GET did not give the value.
            EmbeddedError: An error reply, or no reply; also when this
                process or the contender runs out of file descriptors.
        """
        for number in range(count):
            connection = _connect(port)
            self._connections.append(connection)
            _expect(connection, (b"GET", _key(b"key", number % SMALL_KEYSPACE)), SMALL_VALUE)

    def disperse(self) -> None:
        """Close them all."""
        while self._connections:
            self._connections.pop().close()


def _connect(port: int) -> NodeConnection:
    return NodeConnection(Address(LOOPBACK, port))


def _key(prefix: bytes, number: int) -> bytes:
    """Return the key as redis-benchmark writes it: ``__rand_int__`` has 12 digits."""
    return b"%s:%012d" % (prefix, number)


def _expect(connection: NodeConnection, command: Sequence[bytes], expected: object) -> None:
    reply = connection.call(*command)
    if reply != expected:
        shown = b" ".join(command)[:60]
        raise WrongAnswer(f"{shown!r}: {str(reply)[:200]}, not {str(expected)[:200]}")
