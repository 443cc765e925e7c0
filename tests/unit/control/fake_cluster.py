"""A whole cluster in memory behind ``Nodes``: dictionaries, migrations, failovers.

Each server keeps its keys in hash tables with the cursors of the real ones:
buckets in reversed binary order, in an order that belongs to the process. What
the cluster does meanwhile happens between two calls, by ``before_each_call``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count
from typing import TypeVar
from zlib import crc32

import trio
from trio.testing import MockClock

from proxy.cluster import slots
from proxy.cluster.addresses import Address
from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import Node, Topology, parse_cluster_nodes
from proxy.commands.glob import compile_glob
from proxy.errors import BackendUnavailable
from proxy.resp.encode import array, bulk, error, integer, simple

T = TypeVar("T")
Command = tuple[bytes, ...]
Handler = Callable[["FakeServer", Command], bytes]

TIMEOUT_S = 10.0
PROCESSES = count()
key_slot = lru_cache(slots.key_slot)


@dataclass
class FakeServer:
    """One node: its process, its keys, and what it believes to serve."""

    cluster: FakeCluster
    id: str
    port: int
    has_slot_dicts: bool
    is_primary: bool = True
    is_up: bool = True
    epoch: int = 0
    owned: set[int] = field(default_factory=set)
    migrating: dict[int, str] = field(default_factory=dict)
    importing: dict[int, str] = field(default_factory=dict)
    types: dict[bytes, bytes] = field(default_factory=dict)
    """Key to type."""
    log: list[Command] = field(default_factory=list)
    process: int = field(default_factory=lambda: next(PROCESSES))
    asking: bool = False

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    @property
    def run_id(self) -> bytes:
        return b"run-%d" % self.process

    def restart(self, *, has_slot_dicts: bool | None = None) -> None:
        """Become a new process with the same data: the order of keys changes."""
        self.process = next(PROCESSES)
        if has_slot_dicts is not None:
            self.has_slot_dicts = has_slot_dicts

    def slot_keys(self, slot: int) -> list[bytes]:
        return [key for key in self.types if key_slot(key) == slot]

    def execute(self, command: Command) -> bytes:
        self.log.append(command)
        name = command[0].upper()
        handler = self.cluster.handlers.get(name) or getattr(
            self, f"_{name.decode().lower()}", None
        )
        if handler is None:
            return error(b"ERR unknown command '%b'" % name)
        asking, self.asking = self.asking, name == b"ASKING"
        if name == b"TYPE":
            return self._type(command[1], asking=asking)
        if name in self.cluster.handlers:
            return handler(self, command)
        return handler(*command[1:])

    def _asking(self) -> bytes:
        return simple(b"OK")

    def _type(self, key: bytes, *, asking: bool) -> bytes:
        slot = key_slot(key)
        served = slot in self.owned or (asking and slot in self.importing)
        if not served:
            return error(b"MOVED %d %b" % (slot, self.cluster.address_of_owner(slot)))
        if key in self.types:
            return simple(self.types[key])
        if slot in self.migrating:
            target = self.cluster.by_id(self.migrating[slot])
            return error(b"ASK %d %b" % (slot, str(target.address).encode()))
        return simple(b"none")

    def _info(self, *_sections: bytes) -> bytes:
        version = b"valkey_version:9.1.2\r\n" if self.has_slot_dicts else b""
        return bulk(b"# Server\r\nredis_version:7.0.15\r\n%brun_id:%b\r\n" % (version, self.run_id))

    def _dbsize(self) -> bytes:
        return integer(len(self.types))

    def _randomkey(self) -> bytes:
        return bulk(next(iter(self.types), None))

    def _keys(self, pattern: bytes) -> bytes:
        return array([bulk(key) for key in self.types if compile_glob(pattern)(key)])

    def _cluster(self, subcommand: bytes, *args: bytes) -> bytes:
        match subcommand.upper():
            case b"NODES":
                return bulk(self.cluster.nodes_text(myself=self))
            case b"GETKEYSINSLOT":
                return array([bulk(key) for key in self.slot_keys(int(args[0]))[: int(args[1])]])
            case b"COUNTKEYSINSLOT":
                return integer(len(self.slot_keys(int(args[0]))))
        raise AssertionError(subcommand)

    def _scan(self, cursor: bytes, *options: bytes) -> bytes:
        wanted = {
            name.upper(): value for name, value in zip(options[::2], options[1::2], strict=True)
        }
        limit = int(wanted.get(b"COUNT", b"10"))
        if limit < 1 or not cursor.isdigit():
            return error(b"ERR syntax error")
        place, found = int(cursor), []
        for _ in range(10 * limit):
            place, some = self._scan_bucket(place)
            found += some
            if not place or len(found) >= limit:
                break
        matches = compile_glob(wanted.get(b"MATCH", b"*"))
        found = [key for key in found if matches(key)]
        if b"TYPE" in wanted:
            found = [key for key in found if self.types[key] == wanted[b"TYPE"]]
        return array([bulk(b"%d" % place), array([bulk(key) for key in found])])

    def _scan_bucket(self, cursor: int) -> tuple[int, list[bytes]]:
        if not self.has_slot_dicts:
            return _scan_bucket(list(self.types), cursor, self.process)
        slot, place = cursor & (SLOT_COUNT - 1), cursor >> 14
        filled = sorted({key_slot(key) for key in self.types})
        place, found = _scan_bucket(self.slot_keys(slot), place, self.process)
        if place == 0:
            slot = next((other for other in filled if other > slot), -1)
        return (0 if slot < 0 else place << 14 | slot), found


def _scan_bucket(keys: list[bytes], cursor: int, seed: int) -> tuple[int, list[bytes]]:
    """Return the next cursor and the keys of one bucket, as ``dictScan`` does."""
    mask = (1 << max(2, (len(keys) - 1).bit_length())) - 1
    found = [key for key in keys if crc32(b"%d" % seed + key) & mask == cursor & mask]
    reversed_bits = int(f"{cursor | (~mask & (1 << 64) - 1):064b}"[::-1], 2) + 1
    return int(f"{reversed_bits & (1 << 64) - 1:064b}"[::-1], 2), found


class FakeCluster:
    """Servers, and the map that a proxy in front of them has (it may be old)."""

    def __init__(self, *, shards: int = 3, has_slot_dicts: bool = True) -> None:
        self.has_slot_dicts = has_slot_dicts
        self.servers: list[FakeServer] = []
        self.handlers: dict[bytes, Handler] = {}
        self.before_each_call: Callable[[], None] = lambda: None
        self.refreshes = 0
        self.calls = 0
        self._words: dict[str, bytes] = {}  # of CLUSTER NODES, by node id
        for number in range(shards):
            server = self.add_server(epoch=number + 1)
            first, end = (number * SLOT_COUNT // shards, (number + 1) * SLOT_COUNT // shards)
            server.owned = set(range(first, end))
        self._topology = self.true_topology()

    # ---- what Nodes offers

    timeout_s = TIMEOUT_S

    @property
    def topology(self) -> Topology:
        return self._topology

    def suspect(self) -> None:
        self.refreshes += 1
        self._topology = self.true_topology()

    def own_info(self) -> Mapping[bytes, bytes]:
        return {b"tcp_port": b"6379"}

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        return (await self.call_many(node, [args], resp))[0]

    async def call_many(
        self, node: Node, commands: list[Command], resp: int = 2, *, aside: bool = False
    ) -> list[bytes]:
        await trio.lowlevel.checkpoint()
        self.calls += 1
        self.before_each_call()
        server = self.by_id(node.id)
        if not server.is_up:
            raise BackendUnavailable(f"{node.address}: connection refused", sent=False)
        return [server.execute(command) for command in commands]

    # ---- what the test does with it

    def run(self, answer: Callable[..., Awaitable[T]], *args: object, **options: object) -> T:
        """Run one command of the proxy's against this cluster; waiting takes no time."""
        clock = MockClock(autojump_threshold=0)
        return trio.run(partial(answer, *args, nodes=self, **options), clock=clock)

    def add_server(self, *, epoch: int = 0) -> FakeServer:
        number = len(self.servers) + 1
        server = FakeServer(self, f"{number:040x}", 7000 + number, self.has_slot_dicts, epoch=epoch)
        self.servers.append(server)
        return server

    def put(self, *keys: bytes, type_name: bytes = b"string") -> None:
        """Store keys where their slots are."""
        for key in keys:
            self.owner(key_slot(key)).types[key] = type_name

    def owner(self, slot: int) -> FakeServer:
        return max(
            (server for server in self.servers if server.is_primary and slot in server.owned),
            key=lambda server: server.epoch,
        )

    def address_of_owner(self, slot: int) -> bytes:
        return str(self.owner(slot).address).encode()

    def by_id(self, node_id: str) -> FakeServer:
        return next(server for server in self.servers if server.id == node_id)

    @property
    def primaries(self) -> list[FakeServer]:
        return [server for server in self.servers if server.is_primary]

    def open_slot(self, slot: int, target: FakeServer) -> None:
        source = self.owner(slot)
        source.migrating[slot], target.importing[slot] = target.id, source.id

    def move_keys(self, slot: int, limit: int = 1 << 30) -> None:
        """Move some keys of an open slot, in no particular order."""
        source = self.owner(slot)
        target = self.by_id(source.migrating[slot])
        for key in sorted(source.slot_keys(slot), key=lambda key: crc32(key))[:limit]:
            target.types[key] = source.types.pop(key)

    def move_keys_back(self, slot: int) -> None:
        source = self.owner(slot)
        target = self.by_id(source.migrating.pop(slot))
        target.importing.pop(slot)
        for key in target.slot_keys(slot):
            source.types[key] = target.types.pop(key)

    def hand_over(self, slot: int) -> FakeServer:
        """Let the target of an open slot own it; return the source, which knows nothing yet."""
        source = self.owner(slot)
        self.move_keys(slot)
        target = self.by_id(source.migrating[slot])
        target.importing.pop(slot)
        target.owned.add(slot)
        self._words.clear()
        target.epoch = 1 + max(server.epoch for server in self.servers)
        return source

    def let_go(self, slot: int, source: FakeServer) -> None:
        source.owned.discard(slot)
        self._words.clear()
        source.migrating.pop(slot, None)

    def move_slot(self, slot: int, target: FakeServer) -> None:
        self.open_slot(slot, target)
        self.let_go(slot, self.hand_over(slot))

    def fail_over(self, old: FakeServer) -> FakeServer:
        """Put another process in the place of a primary, which becomes a replica without slots."""
        new = self.add_server(epoch=1 + max(server.epoch for server in self.servers))
        new.owned, old.owned = old.owned, set()
        self._words.clear()
        new.types = dict(old.types)
        old.is_primary = False
        return new

    def true_topology(self) -> Topology:
        highest = max(self.primaries, key=lambda server: server.epoch)
        return parse_cluster_nodes(self.nodes_text(myself=highest), highest.address)

    def nodes_text(self, *, myself: FakeServer) -> bytes:
        return b"".join(
            b"%b %b@%d %b%b - 0 0 %d connected%b\n"
            % (
                server.id.encode(),
                str(server.address).encode(),
                server.port + 10000,
                b"myself," if server is myself else b"",
                b"master" if server.is_primary else b"slave",
                server.epoch,
                self._slot_words(server, is_myself=server is myself),
            )
            # The one with the highest epoch last: the last line counts for a slot.
            for server in sorted(self.servers, key=lambda server: server.epoch)
        )

    def _slot_words(self, server: FakeServer, *, is_myself: bool) -> bytes:
        if server.id not in self._words:
            self._words[server.id] = _range_words(server.owned)
        words = self._words[server.id]
        if is_myself:
            for slot, target in server.migrating.items():
                words += b" [%d->-%b]" % (slot, target.encode())
            for slot, source in server.importing.items():
                words += b" [%d-<-%b]" % (slot, source.encode())
        return words


def _range_words(owned: set[int]) -> bytes:
    words = b""
    first = 0
    for slot in sorted(owned):
        if slot - 1 not in owned:
            first = slot
        if slot + 1 not in owned:
            words += b" %d-%d" % (first, slot)
    return words
