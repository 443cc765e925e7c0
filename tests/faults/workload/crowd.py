"""All kinds of client at once, some with their keys where the fault is, some elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Container, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from history import ClientLog

from proxy.cluster.topology import Address
from proxy.embedded import wait_for
from workload.base import Client
from workload.broadcasts import Publisher, Subscriber
from workload.library import LibraryClient
from workload.pipeliner import Pipeliner
from workload.queues import Consumer, Producer
from workload.registers import Confirmer, OthersReader, Splitter, Transactor
from workload.values import ALL_SLOTS

PROGRESS_DEADLINE_S = 90.0


class Crowd:
    """The clients; a context manager: at its end all have stopped and looked at everything.

    Attributes:
        hurt: Clients that need the shard that is about to break; some need all shards.
        calm: Clients that need only the others.
        single: One of those hurt, which asks one thing at a time.
    """

    def __init__(self, address: Address, hurt: Container[int], calm: Container[int]) -> None:
        """Make them.

        Args:
            address: Of the proxy.
            hurt: The slots of the shard that is about to break.
            calm: All other slots; none if every shard breaks.
        """
        deep = Pipeliner(address, "deep", hurt, depth=25)
        deep.pause_s = 0.002  # so that something is on its way whenever the fault comes
        self.single = Pipeliner(address, "single", hurt)
        producer = Producer(address, "make", hurt)
        publisher = Publisher(address, "say", hurt)
        self.hurt: list[Client] = [
            deep,
            self.single,
            Pipeliner(address, "modern", hurt, depth=5, resp=3),
            OthersReader(address, "look", hurt, deep.registers),
            Transactor(address, "trade", hurt),
            Confirmer(address, "sure", hurt),
            producer,
            Consumer(address, "take", hurt, producer.queue),
            publisher,
            Subscriber(address, "hear", hurt, publisher.channel),
            Splitter(address, "split", ALL_SLOTS),
            LibraryClient(address, "library", ALL_SLOTS),
        ]
        self.calm: list[Client] = []
        if calm:
            self.calm = [
                Pipeliner(address, "calm-deep", calm, depth=25),
                Pipeliner(address, "calm-single", calm),
            ]
        self._stopping = threading.Event()
        self._futures: list[Future[None]] = []

    @property
    def clients(self) -> list[Client]:
        """All of them."""
        return self.hurt + self.calm

    @property
    def logs(self) -> list[ClientLog]:
        """What all of them did."""
        return [client.log for client in self.clients]

    def __enter__(self) -> Self:
        self._threads = ThreadPoolExecutor(len(self.clients))
        rest = threading.Barrier(len(self.clients))
        self._futures = [
            self._threads.submit(client.run, self._stopping, rest) for client in self.clients
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._threads.shutdown()
        if kind is None:
            for future in self._futures:
                future.result()

    def wait_for_progress(self, turns: int, who: Sequence[Client] | None = None) -> None:
        """Wait until each of these clients (default: all) has had so many more batches answered.

        Raises:
            NotInTime: One has not. What a client's thread raised passes through.
        """
        clients = self.clients if who is None else who
        goals = [client.turns + turns for client in clients]

        def is_reached() -> bool:
            for future in self._futures:
                if future.done():
                    future.result()
            return all(client.turns >= goal for client, goal in zip(clients, goals, strict=True))

        wait_for(is_reached, PROGRESS_DEADLINE_S, lambda: f"progress of all: {self}")

    def __repr__(self) -> str:
        return ", ".join(f"{client.name} {client.turns}" for client in self.clients)
