"""A cluster of scripted nodes in the test's own process: who owns what, and one store.

Strategy: the nodes share one dict, so data need not be moved when a slot is;
who may serve a key is decided from ``owners`` and ``migrating`` by the rules of
Redis Cluster (MOVED, ASK, TRYAGAIN). A dozen commands are enough for the tests.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import trio
from fake_node import FakeNode, Fate, Seen

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.embedded.ports import lease_ports
from proxy.resp.encode import array, bulk, error, integer, map_frame, null, simple

COMMAND_REPLY = Path(__file__).parents[1] / "unit/commands/replies/valkey-9.1.2.resp2.gz"
OK = simple(b"OK")
INFO = b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\n"

SINGLE_KEY = frozenset({b"GET", b"SET", b"APPEND", b"INCR", b"STRLEN", b"GETDEL"})
READS = frozenset({b"GET", b"STRLEN", b"MGET", b"EXISTS", b"TOUCH"})
MANY_KEYS = frozenset({b"DEL", b"UNLINK", b"EXISTS", b"TOUCH", b"MGET"})


@cache
def command_reply() -> bytes:
    """Return what Valkey 9.1 answers to COMMAND."""
    return gzip.decompress(COMMAND_REPLY.read_bytes())


class FakeCluster:
    """A few primaries that share the slots evenly, until a test says otherwise.

    Attributes:
        owners: For each slot the node that serves it.
        migrating: Slot to (source, target) while it is moved.
        password: What a connection must give with AUTH; empty for none.
        announced_host: Where the nodes say they are, in maps and redirects.
    """

    def __init__(self, size: int = 3) -> None:
        self.nodes = [FakeNode(self, index, f"{index:040x}") for index in range(size)]
        self.owners = [self.nodes[slot * size // SLOT_COUNT] for slot in range(SLOT_COUNT)]
        self.migrating: dict[int, tuple[FakeNode, FakeNode]] = {}
        self.store: dict[bytes, bytes] = {}
        self.password = b""
        self.announced_host = b"127.0.0.1"
        self._at_target: set[bytes] = set()
        self.primary_of: dict[FakeNode, FakeNode] = {}
        self.offset = 1000

    def add_replica(self, primary: FakeNode) -> FakeNode:
        """Return one more node, which copies a primary; before the cluster runs."""
        replica = FakeNode(self, len(self.nodes), f"{len(self.nodes):040x}")
        self.nodes.append(replica)
        self.primary_of[replica] = primary
        return replica

    @asynccontextmanager
    async def running(self, *, receive_buffer_bytes: int = 0) -> AsyncIterator[FakeCluster]:
        """Have all nodes listen while the block lasts.

        Their ports are leased: nobody else's node gets that of a crashed one, whose proxy
        goes on knocking there.
        """
        with lease_ports(len(self.nodes)) as lease:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for node, port in zip(self.nodes, lease.ports, strict=True):
                    node.port = port
                    await node.start(nursery, receive_buffer_bytes=receive_buffer_bytes)
                yield self
                nursery.cancel_scope.cancel()

    async def restart(self, node: FakeNode) -> None:
        """Have a crashed node listen again, at the same address."""
        await node.start(self._nursery)

    # ---- keys and slots -------------------------------------------------------------

    def keys_of(self, node: FakeNode, count: int, *, prefix: bytes = b"key") -> list[bytes]:
        """Return so many keys of a node, each of another slot."""
        found: dict[int, bytes] = {}
        number = 0
        while len(found) < count:
            key = b"%b:%d" % (prefix, number)
            if self.owners[key_slot(key)] is node:
                found.setdefault(key_slot(key), key)
            number += 1
        return list(found.values())

    def key_of(self, node: FakeNode, *, prefix: bytes = b"key") -> bytes:
        """Return a key of a node."""
        return self.keys_of(node, 1, prefix=prefix)[0]

    def give(self, slot: int, node: FakeNode) -> None:
        """Make a node the owner of a slot, as the end of a migration does."""
        self.owners[slot] = node
        self.migrating.pop(slot, None)
        self._at_target = {key for key in self._at_target if key_slot(key) != slot}
        node.config_epoch = max(each.config_epoch for each in self.nodes) + 1

    def give_all(self, source: FakeNode, target: FakeNode) -> None:
        """Let one node take over from another, as a failover does."""
        self.owners = [target if owner is source else owner for owner in self.owners]
        target.config_epoch = max(each.config_epoch for each in self.nodes) + 1

    def begin_migration(self, slot: int, target: FakeNode) -> None:
        """Open a slot: its keys go to ``target`` one by one."""
        self.migrating[slot] = (self.owners[slot], target)

    def migrate_key(self, key: bytes) -> None:
        """Move one key of an open slot."""
        self._at_target.add(key)

    # ---- what a server says ------------------------------------------------------------

    def answer(self, seen: Seen) -> bytes | Fate:
        """Answer as a server does."""
        args = [seen.args[0].upper(), *seen.args[1:]]
        connection = seen.connection
        match args:
            case [b"CLUSTER", word, *_]:
                return self._describe(word.upper(), seen.node)
            case [b"COMMAND"]:
                return command_reply()
            case [b"COMMAND", sub, *_]:
                return array([null(connection.resp)]) if sub.upper() == b"INFO" else array([])
            case [b"INFO", b"replication"]:
                return bulk(self.replication_text(seen.node))
            case [b"READONLY"]:
                connection.is_readonly = True
                return OK
            case [b"INFO", *_]:
                return bulk(INFO)
            case [b"HELLO", b"3", b"AUTH", _, word] if self.password not in (b"", word):
                return error(b"WRONGPASS invalid username-password pair")
            case [b"HELLO", b"3", *_]:
                connection.resp = 3
                return map_frame([(bulk(b"server"), bulk(b"valkey"))], 3)
            case [b"HELLO"]:
                return map_frame([(bulk(b"server"), bulk(b"valkey"))], connection.resp)
            case [b"CLIENT", word] if word.upper() == b"ID":
                return integer(seen.node.connections.index(connection) + 1)
            case [b"CLIENT", *_] | [b"SELECT", _]:
                return OK
            case [b"AUTH", *_, password]:
                ok = password == self.password
                return OK if ok else error(b"WRONGPASS invalid username-password pair")
            case [b"ASKING"]:
                return OK
            case [b"PING"]:
                return simple(b"PONG")
            case [b"DBSIZE"]:
                return integer(sum(self.owners[key_slot(key)] is seen.node for key in self.store))
        return self._refusal(args, seen) or self._serve(args, connection.resp)

    def _keys(self, args: list[bytes]) -> list[bytes]:
        if args[0] in SINGLE_KEY:
            return args[1:2]
        if args[0] in MANY_KEYS:
            return args[1:]
        return args[1::2] if args[0] == b"MSET" else []

    def _refusal(self, args: list[bytes], seen: Seen) -> bytes | None:
        keys = self._keys(args)
        if not keys:
            return None
        slot = key_slot(keys[0])
        if any(key_slot(key) != slot for key in keys):
            return error(b"CROSSSLOT Keys in request don't hash to the same slot")
        source, target = self.migrating.get(slot, (None, None))
        if target is seen.node and seen.is_asking:
            absent = [key for key in keys if key not in self._at_target or key not in self.store]
            if len(keys) > 1 and absent:
                return error(b"TRYAGAIN Multiple keys request during rehashing of slot")
            self._at_target.update(keys)
            return None
        if source is seen.node:
            gone = [key for key in keys if key in self._at_target or key not in self.store]
            if not gone:
                return None
            if len(gone) < len(keys):
                return error(b"TRYAGAIN Multiple keys request during rehashing of slot")
            assert target is not None
            return target.ask(slot)
        owner = self.owners[slot]
        if self.primary_of.get(seen.node) is owner and seen.connection.is_readonly:
            return None if args[0] in READS else owner.moved(slot)
        return None if owner is seen.node else owner.moved(slot)

    def replication_text(self, node: FakeNode, *, link: bytes = b"up", behind: int = 0) -> bytes:
        """Return INFO replication of a node, ``behind`` so many bytes."""
        if node not in self.primary_of:
            return b"# Replication\r\nrole:master\r\nmaster_repl_offset:%d\r\n" % self.offset
        return (
            b"# Replication\r\nrole:slave\r\nmaster_link_status:%b\r\n"
            b"master_sync_in_progress:0\r\nslave_repl_offset:%d\r\n"
        ) % (link, self.offset - behind)

    def _serve(self, args: list[bytes], resp: int) -> bytes:
        store = self.store
        match args:
            case [b"GET", key]:
                return bulk(store[key]) if key in store else null(resp)
            case [b"SET", key, value, *_]:
                store[key] = value
                return OK
            case [b"APPEND", key, value]:
                store[key] = store.get(key, b"") + value
                return integer(len(store[key]))
            case [b"INCR", key]:
                store[key] = b"%d" % (int(store.get(key, b"0")) + 1)
                return integer(int(store[key]))
            case [b"STRLEN", key]:
                return integer(len(store.get(key, b"")))
            case [b"MGET", *keys]:
                return array([bulk(store[k]) if k in store else null(resp) for k in keys])
            case [b"MSET", *pairs]:
                store.update(zip(pairs[::2], pairs[1::2], strict=True))
                return OK
            case [b"EXISTS" | b"TOUCH", *keys]:
                return integer(sum(key in store for key in keys))
            case [b"DEL" | b"UNLINK", *keys]:
                return integer(sum(store.pop(key, None) is not None for key in keys))
        return error(b"ERR unknown command '%b', with args beginning with: " % args[0])

    # ---- the map ----------------------------------------------------------------------

    def _describe(self, word: bytes, node: FakeNode) -> bytes:
        match word:
            case b"NODES":
                return bulk(node.view or self.nodes_text(node))
            case b"SLOTS":
                return self._slots()
            case b"INFO":
                return bulk(b"cluster_enabled:1\r\ncluster_state:ok\r\n")
        return error(b"ERR unknown subcommand '%b'. Try CLUSTER HELP." % word)

    def ranges(self) -> list[tuple[int, int, FakeNode]]:
        """Return (first, last, owner) of all slots."""
        found = []
        first = 0
        for slot in range(1, SLOT_COUNT + 1):
            if slot == SLOT_COUNT or self.owners[slot] is not self.owners[first]:
                found.append((first, slot - 1, self.owners[first]))
                first = slot
        return found

    def nodes_text(self, asked: FakeNode) -> bytes:
        """Return CLUSTER NODES as the asked node sees it: rightly."""
        ranges = self.ranges()
        host = self.announced_host.decode()
        lines = []
        for node in self.nodes:
            primary = self.primary_of.get(node)
            flags = ("myself," if node is asked else "") + ("slave" if primary else "master")
            slots = " ".join(f"{a}-{b}" for a, b, owner in ranges if owner is node)
            for slot, (source, target) in self.migrating.items() if node is asked else ():
                slots += f" [{slot}->-{target.id}]" if source is node else ""
                slots += f" [{slot}-<-{source.id}]" if target is node else ""
            lines.append(
                f"{node.id} {host}:{node.port}@{node.port} {flags} "
                f"{primary.id if primary else '-'} 0 0 "
                f"{(primary or node).config_epoch} connected {slots}".rstrip()
            )
        return ("\n".join(lines) + "\n").encode()

    def _slots(self) -> bytes:
        return array(
            [
                array(
                    [
                        integer(first),
                        integer(last),
                        array(
                            [
                                bulk(self.announced_host),
                                integer(node.port),
                                bulk(node.id.encode()),
                                array([]),
                            ]
                        ),
                    ]
                )
                for first, last, node in self.ranges()
            ]
        )
