"""A publisher and a subscriber: what is heard was said, once and in order."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence

from history import Message

from proxy.cluster.topology import Address
from proxy.resp.decode import Value
from workload.base import Ask, Client
from workload.values import keys_in, value_of


class Publisher(Client):
    """Says numbers on one channel."""

    def __init__(self, address: Address, name: str, slots: Container[int]) -> None:
        super().__init__(address, name, slots)
        self.channel = next(keys_in(slots, name))

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            value = value_of(self.name, self.next_number)
            yield [Ask(("PUBLISH", self.channel, value), (self.channel,), value)]


class Subscriber(Client):
    """Listens to the channel, and asks now and then whether anybody is there."""

    def __init__(self, address: Address, name: str, slots: Container[int], channel: bytes) -> None:
        super().__init__(address, name, slots)
        self._channel = channel

    def batches(self) -> Iterator[Sequence[Ask]]:
        while True:
            value = value_of(self.name, self.next_number)
            yield [Ask(("PING", value), (), value)]

    def on_connect(self) -> None:
        self._send([Ask(("SUBSCRIBE", self._channel))])
        _confirmation, *others = self.read()
        for value in others:
            self.take_unasked(value)

    def take_unasked(self, value: Value) -> bool:
        if not isinstance(value, list) or value[0] != b"message":
            return False
        _, channel, said = value
        assert isinstance(channel, bytes)
        assert isinstance(said, bytes)
        self.log.messages.append(Message(time.monotonic(), channel, said))
        return True
