"""A producer and a consumer that blocks: every item once, in the order of its making."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from proxy.cluster.topology import Address
from workload.base import Ask, Client
from workload.values import keys_in, value_of

BLOCK_S = 0.2


class Producer(Client):
    """Pushes items onto one list, a few at a time."""

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        super().__init__(address, name, slots)
        self.queue = next(keys_in(slots, name))

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            first = self.next_number
            values = [value_of(self.name, first + place) for place in range(3)]
            yield [Ask(("RPUSH", self.queue, value), (self.queue,), value) for value in values]


class Consumer(Client):
    """Takes items from the list, waiting for them."""

    def __init__(self, address: Address, name: str, slots: Container[int], queue: bytes) -> None:
        super().__init__(address, name, slots)
        self._queue = queue

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            yield [Ask(("BLPOP", self._queue, str(BLOCK_S)), (self._queue,)) for _ in range(2)]

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        yield [Ask(("LRANGE", self._queue, 0, -1), (self._queue,))]
