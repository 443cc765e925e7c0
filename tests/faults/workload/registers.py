"""Clients that set and get: over many slots at once, as transactions, confirmed by replicas.

Each owns its keys and alone writes them; ``OthersReader`` looks at what somebody else writes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from proxy.cluster.topology import Address
from workload.base import Ask, Client
from workload.values import keys_in, value_of

SPREAD = 6
WAIT_MS = 100  # chosen: a replica on the same machine needs a thousandth


class Splitter(Client):
    """MSET and MGET over keys in several slots: the proxy splits and merges them."""

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        super().__init__(address, name, slots)
        keys = keys_in(slots, name)
        self._keys = tuple(next(keys) for _ in range(SPREAD))

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            value = value_of(self.name, self.next_number)
            words = [word for key in self._keys for word in (key, value)]
            yield [Ask(("MSET", *words), self._keys, value), self._read()]

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        yield [self._read()]

    def _read(self) -> Ask:
        return Ask(("MGET", *self._keys), self._keys)


class Transactor(Client):
    """MULTI to EXEC over two keys of one slot, which must never differ."""

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        super().__init__(address, name, slots)
        key = next(keys_in(slots, name))
        self._keys = (key + b"a", key + b"b")

    def batches(self) -> Iterator[Sequence[Ask]]:
        first, second = self._keys
        while True:
            value = value_of(self.name, self.next_number + 5)
            yield [
                Ask(("MULTI",), value=b"OK"),
                Ask(("SET", first, value), value=b"QUEUED"),
                Ask(("SET", second, value), value=b"QUEUED"),
                Ask(("GET", first), value=b"QUEUED"),
                Ask(("GET", second), value=b"QUEUED"),
                Ask(("EXEC",), self._keys, value),
            ]

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        yield [Ask(("GET", key), (key,)) for key in self._keys]


class Confirmer(Client):
    """SET, then WAIT for a replica: what that has counted must outlive every failover."""

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        super().__init__(address, name, slots)
        keys = keys_in(slots, name)
        self._keys = [next(keys) for _ in range(4)]

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            number = self.next_number
            key, value = self._keys[number // 2 % 4], value_of(self.name, number)
            yield [Ask(("SET", key, value), (key,), value), Ask(("WAIT", 1, WAIT_MS))]
            written, waited = self.log.records[-2:]
            counted = isinstance(waited.reply, int) and waited.reply >= 1
            written.is_confirmed = written.is_acknowledged and counted

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        yield [Ask(("GET", key), (key,)) for key in self._keys]


class OthersReader(Client):
    """Reads what somebody else writes, and must find it no older than its writer was told."""

    def __init__(
        self, address: Address, name: str, slots: Container[int], keys: Sequence[bytes]
    ) -> None:
        super().__init__(address, name, slots)
        self.log.only_reads = True
        self._keys = tuple(keys)

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            yield [Ask(("GET", key), (key,)) for key in self._keys]
