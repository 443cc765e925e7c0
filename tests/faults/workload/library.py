"""A client that is a library as applications use it: redis-py with its own settings."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence

import redis
from history import Closed, Record, Refusal
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy.cluster.topology import Address
from workload.base import ANSWER_DEADLINE_S, Ask, Client
from workload.values import keys_in, value_of


class LibraryClient(Client):
    """Sets and gets with redis-py, which speaks RESP3 here and never sends anything twice."""

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        super().__init__(address, name, slots)
        keys = keys_in(slots, name)
        self._keys = [next(keys) for _ in range(3)]
        self._redis = redis.Redis(
            host=address.host,
            port=address.port,
            protocol=3,
            socket_timeout=ANSWER_DEADLINE_S,
            retry=Retry(NoBackoff(), 0),
        )

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            number = self.next_number
            key, value = self._keys[number // 2 % 3], value_of(self.name, number)
            yield [Ask(("SET", key, value), (key,), value), Ask(("GET", key), (key,))]

    def last_looks(self) -> Iterator[Sequence[Ask]]:
        yield [Ask(("GET", key), (key,)) for key in self._keys]

    def exchange(self, batch: Sequence[Ask]) -> list[Record]:
        records = [self._call(ask) for ask in batch]
        self.turns += all(record.reply is not Closed.CLOSED for record in records)
        return records

    def _call(self, ask: Ask) -> Record:
        record = self.log.ask(ask.command, ask.keys, ask.value, time.monotonic(), ends=self._ends)
        try:
            reply = self._redis.execute_command(*ask.words)
            record.reply = b"OK" if reply is True else reply
        except redis.exceptions.ResponseError as problem:
            record.reply = Refusal(_whole_text(problem))
        except redis.exceptions.ConnectionError:
            record.reply = Closed.CLOSED
            self.log.closed_at.append(time.monotonic())
        record.answered_at = time.monotonic()
        return record

    def _disconnect(self) -> None:
        self._redis.close()


def _whole_text(problem: redis.exceptions.ResponseError) -> str:
    """Return the server's text; redis-py takes the code off those for which it has a class."""
    code = getattr(problem, "status_code", None) or ""
    return f"{code} {problem}".strip()
