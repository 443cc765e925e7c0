"""A client that pipelines: counters, logs, registers and echoes, all on their way at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator, Sequence

from proxy.cluster.topology import Address
from workload.base import Ask, Client
from workload.values import keys_in, value_of

RECORD_BYTES = 8
LOG_NUMBERS = 5000  # then a new key, or the last look at it would be long


class Pipeliner(Client):
    """Asks for so many things at once, and has every key to itself."""

    def __init__(
        self, address: Address, name: str, slots: Container[int], *, depth: int = 1, resp: int = 2
    ) -> None:
        super().__init__(address, name, slots)
        self.resp = resp
        self._depth = depth
        keys = keys_in(slots, name)
        self.counters = [next(keys) for _ in range(3)]
        self.registers = [next(keys) for _ in range(3)]
        self._log_keys = keys
        self._logs: list[bytes] = []

    def batches(self) -> Iterator[Sequence[Ask]]:
        kinds = self._kinds()
        while True:
            first = self.next_number
            yield [next(kinds)(first + place) for place in range(self._depth)]

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        yield [Ask(("GET", key), (key,)) for key in (*self.counters, *self.registers)]
        for key in self._logs:
            yield [Ask(("GET", key), (key,))]

    def _kinds(self) -> Iterator[Callable[[int], Ask]]:
        kinds: list[Callable[[int], Ask]] = [
            self._count,
            self._append,
            self._set,
            self._get,
            self._echo,
        ]
        return itertools.cycle(kinds)

    def _count(self, number: int) -> Ask:
        key = self.counters[number % 3]
        return Ask(("INCR", key), (key,))

    def _append(self, number: int) -> Ask:
        while len(self._logs) <= number // LOG_NUMBERS:
            self._logs.append(next(self._log_keys))
        record = b"%0*d" % (RECORD_BYTES, number)
        return Ask(("APPEND", self._logs[-1], record), (self._logs[-1],), record)

    def _set(self, number: int) -> Ask:
        key, value = self.registers[number % 3], value_of(self.name, number)
        return Ask(("SET", key, value), (key,), value)

    def _get(self, number: int) -> Ask:
        key = self.registers[number % 3]
        return Ask(("GET", key), (key,))

    def _echo(self, number: int) -> Ask:
        value = value_of(self.name, number)
        return Ask(("ECHO", value), (), value)
