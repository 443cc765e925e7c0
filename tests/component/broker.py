"""Pub/sub of a ``FakeCluster``: what its nodes say to SUBSCRIBE, PUBLISH and their kin.

Strategy: as in a cluster, a message reaches all nodes, and each tells its own
subscribers; PUBLISH counts those of its own node. Shard channels and keyspace events
stay at their node.
"""

from __future__ import annotations

from collections.abc import Iterable

from fake_node import FakeConnection, FakeNode, Seen
from raw_client import RawClient
from scripted_cluster import FakeCluster

from proxy.cluster.slots import key_slot
from proxy.commands.glob import compile_glob
from proxy.resp.encode import bulk, integer

WORDS = (b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE")


def message(word: bytes, *words: bytes, resp: int = 3) -> bytes:
    """Return the frame of a message."""
    head = b">%d\r\n" if resp == 3 else b"*%d\r\n"
    return head % (len(words) + 1) + bulk(word) + b"".join(map(bulk, words))


def confirmation(word: bytes, name: bytes | None, count: int, resp: int = 2) -> bytes:
    """Return the frame that confirms a subscription."""
    null = b"$-1\r\n" if resp == 2 else b"_\r\n"
    text = null if name is None else bulk(name)
    return (b"*3\r\n" if resp == 2 else b">3\r\n") + bulk(word) + text + integer(count)


class Broker:
    """Answers all that has to do with pub/sub, for every node of a cluster.

    Attributes:
        others: Receivers that each PUBLISH counts above those it knows of.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.others = 0
        # Word of the message, name, and who gets it: as they subscribed.
        self.subscribed: list[tuple[bytes, bytes, FakeConnection]] = []
        for node in cluster.nodes:
            for word in WORDS:
                node.by(word, answerer=self._subscribe)
                node.by(word.replace(b"SUB", b"UNSUB"), answerer=self._unsubscribe)
            node.by(b"PUBLISH", answerer=self._publish)
            node.by(b"SPUBLISH", answerer=self._publish)

    def at(self, node: FakeNode) -> list[bytes]:
        """Return the names that are subscribed at a node, over connections that live."""
        return [name for _, name, place in self.subscribed if place.node is node and place.is_open]

    @property
    def count(self) -> int:
        """How many subscriptions there are at all nodes."""
        return sum(len(self.at(node)) for node in self.cluster.nodes)

    def nodes_with(self, name: bytes) -> list[FakeNode]:
        """Return where a name is subscribed."""
        return [node for node in self.cluster.nodes if name in self.at(node)]

    async def publish(self, channel: bytes, payload: bytes) -> None:
        """Have a message published by somebody else."""
        await self.send_from(self.cluster.nodes, channel, payload)

    async def send_from(self, nodes: Iterable[FakeNode], channel: bytes, payload: bytes) -> None:
        """Have only these nodes tell their subscribers, as for a keyspace event."""
        wanted = list(nodes)
        for word, name, connection in self.subscribed[:]:
            if connection.node not in wanted or not connection.is_open:
                continue
            if word == b"message" and name == channel:
                await connection.send(message(word, channel, payload))
            elif word == b"pmessage" and compile_glob(name)(channel):
                await connection.send(message(word, name, channel, payload))

    async def answer(self, seen: Seen) -> bytes:
        """Answer a request as the node would have."""
        word = seen.args[0].upper()
        if word.endswith(b"PUBLISH"):
            return await self._publish(seen)
        return await (self._unsubscribe(seen) if b"UNSUB" in word else self._subscribe(seen))

    # ---- what the nodes answer ------------------------------------------------------

    async def _subscribe(self, seen: Seen) -> bytes:
        word, name = seen.args[0].upper(), seen.args[1]
        owner = self.cluster.owners[key_slot(name)]
        if word == b"SSUBSCRIBE" and owner is not seen.node:
            return owner.moved(key_slot(name))
        kind = b"pmessage" if word[:1] == b"P" else b"smessage" if word[:2] == b"SS" else b"message"
        entry = (kind, name, seen.connection)
        if entry not in self.subscribed:
            self.subscribed.append(entry)
        return confirmation(word.lower(), name, 1, resp=3)

    async def _unsubscribe(self, seen: Seen) -> bytes:
        word, name = seen.args[0].upper(), seen.args[1]
        kind = b"pmessage" if word[:1] == b"P" else b"smessage" if word[:2] == b"SU" else b"message"
        entry = (kind, name, seen.connection)
        if entry in self.subscribed:
            self.subscribed.remove(entry)
        return confirmation(word.lower(), name, 0, resp=3)

    async def _publish(self, seen: Seen) -> bytes:
        word, channel, payload = seen.args[0].upper(), seen.args[1], seen.args[2]
        if word == b"SPUBLISH":
            owner = self.cluster.owners[key_slot(channel)]
            if owner is not seen.node:
                return owner.moved(key_slot(channel))
            found = [
                connection
                for kind, name, connection in self.subscribed
                if kind == b"smessage" and name == channel and connection.node is seen.node
            ]
            for connection in found:
                await connection.send(message(b"smessage", channel, payload))
            return integer(len(found) + self.others)
        await self.publish(channel, payload)
        own = [
            name
            for kind, name, connection in self.subscribed
            if connection.node is seen.node
            and (
                (kind == b"message" and name == channel)
                or (kind == b"pmessage" and compile_glob(name)(channel))
            )
        ]
        return integer(len(own) + self.others)


def owner_of(cluster: FakeCluster, name: bytes) -> FakeNode:
    return cluster.owners[key_slot(name)]


async def listen(client: RawClient, *names: bytes, word: bytes = b"SUBSCRIBE") -> None:
    """Subscribe, and read the confirmations."""
    await client.ask(word, *names)
    for reply in await client.read_replies(len(names)):
        assert word.lower() in reply
