"""Tell those who wait for keys when there may be something in them, and whose turn it is.

Strategy: one RESP3 connection to each primary has CLIENT TRACKING on. To count a key's
elements (LLEN, ZCARD) makes the server watch it for us: it sends one invalidation when
the key changes, and the key is counted again, which watches it again. So what is known
of a key is never older than a push on its way, and nobody asks while nothing changes.

Of those who wait for a key, as many are called as it has elements, the longest waiting
first, less those who are already trying; nobody else runs to take what is not there.
Whoever was called says ``done`` when it found nothing, or leaves; then the key is
counted again. Nobody can be stuck, for every way from "there is something" to "nobody
is trying" ends in a count.

Every key is counted now and then without a reason (``POLL_S``): a slot that moved
without the proxy's knowledge sends no push.

Cost: a connection to each primary, for each database; per change of a key with somebody
waiting one push and one count. A change is known after half a round trip, and what is
there after one more. 300 clients that wait for one key cost nothing while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.control.key_watch import UNKNOWN, WRONG_TYPE, Watch, WatchedKey
from proxy.control.lane_key import LaneKey
from proxy.control.pools import Pools
from proxy.control.routes import Routes
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import split_array
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp.decode import decode, error_code
from proxy.resp.encode import encode_command

POLL_S = 1.0  # chosen: what a waiting client may lose if a push never comes
POLLED_AT_ONCE = 1000  # keys counted without a reason, each ``POLL_S``; chosen
MAP_PAUSE_S = 0.02
RETRY_S = 0.1  # chosen: as long as an open slot or a missing node is left alone
# A node that says this will say something else in a while, or another one will.
_REFUSALS = frozenset(
    {b"CLUSTERDOWN", b"LOADING", b"MASTERDOWN", b"MOVED", b"READONLY", b"TRYAGAIN"}
)
_PING = encode_command(b"PING")
_SETUP = ((b"CLIENT", b"SETNAME", b"slotway-key-news"), (b"CLIENT", b"TRACKING", b"ON"))


class KeyNews:
    """All keys that clients of this proxy wait for in several slots at once.

    Args:
        find_topology: Returns the map in use, or None before the first.
        suspect: Has the map refreshed soon.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        routes: Routes,
        find_topology: Callable[[], Topology | None],
        suspect: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._find_topology = find_topology
        self._suspect = suspect
        self._lanes: dict[int, Lane] = {}
        self._keys: dict[tuple[int, bytes, bytes], WatchedKey] = {}
        self._refused: set[WatchedKey] = set()
        self._silent: set[Pipeline] = set()
        self._map_change = trio.Event()
        self._somebody_waits = trio.Event()
        self._somebody_refused = trio.Event()

    @property
    def watched(self) -> int:
        """How many keys somebody waits for."""
        return len(self._keys)

    async def run(self) -> None:
        """Count again what was refused, and everything now and then, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_map)
            nursery.start_soon(self._retry_refused)
            nursery.start_soon(self._poll)

    def watch(self, database: int, names: Iterable[bytes], command: bytes) -> Watch:
        """Begin to wait for keys.

        Args:
            names: No name twice.
            command: ``LLEN`` or ``ZCARD``: what counts the elements.
        """
        keys = []
        for name in names:
            home = (database, name, command)
            keys.append(self._keys.get(home) or self._new_key(home))
        watch = Watch(self, keys)
        for index, key in enumerate(keys):
            key.waiting[watch] = index
            if key.is_watched:
                self._call_waiting(key)
            else:
                self._look(key)
        self._somebody_waits.set()
        return watch

    def _new_key(self, home: tuple[int, bytes, bytes]) -> WatchedKey:
        key = self._keys[home] = WatchedKey(home)
        return key

    def is_awaited(self, database: int, name: bytes, command: bytes) -> bool:
        """Return whether somebody waits for a key already: a newcomer must not pass by."""
        return (database, name, command) in self._keys

    def map_changed(self) -> None:
        """Ask the new owners of slots that have moved."""
        self._map_change.set()

    async def _follow_map(self) -> None:
        while True:
            await self._map_change.wait()
            self._map_change = trio.Event()
            for key in self._keys.values():
                if key.pipeline is not self._pipeline_of(key):
                    self._forget_answer(key)
                    self._look(key)
            self._silent.intersection_update(key.pipeline for key in self._keys.values())
            # A resharding changes the map hundreds of times a second.
            await trio.sleep(MAP_PAUSE_S)

    def is_silent(self, key: WatchedKey) -> bool:
        """Return whether the key's node has not answered for a while."""
        return key.pipeline is None or key.pipeline in self._silent

    def note_silence(self, key: WatchedKey) -> None:
        """Note that the key's node does not answer; until it does, nobody waits for it."""
        pipeline = key.pipeline
        if pipeline is not None and pipeline not in self._silent:
            self._silent.add(pipeline)
            # Nobody may wait for any of its keys by the time that it wakes up.
            self._engine.submit(pipeline, _PING, partial(self._woken, pipeline))

    def _woken(self, pipeline: Pipeline, reply: bytes | BackendUnavailable) -> None:
        if isinstance(reply, bytes):
            self._silent.discard(pipeline)

    # ---- what Watch asks ---------------------------------------------------------------

    def stop_trying(self, watch: Watch, key: WatchedKey) -> None:
        """Note that a client has tried a key; whoever waits for it may have a turn."""
        key.trying.discard(watch)
        if key.waiting:
            self._look(key)

    def leave(self, watch: Watch, key: WatchedKey) -> None:
        """Note that a client waits for a key no more."""
        key.waiting.pop(watch, None)
        if key.waiting:
            if watch in key.trying:
                self.stop_trying(watch, key)
        elif self._keys.get(key.home) is key:
            del self._keys[key.home]
            self._refused.discard(key)
            self._forget_answer(key)

    # ---- counting ------------------------------------------------------------------------

    def _look(self, key: WatchedKey) -> None:
        """Count a key's elements, and have the server watch it."""
        if key.asked is not None:
            key.again = True
            return
        pipeline = self._pipeline_of(key)
        if pipeline is None:
            self._refuse(key)
            return
        key.pipeline = pipeline
        key.asked = self._engine.submit(
            pipeline, encode_command(key.command, key.name), partial(self._counted, key)
        )

    def _forget_answer(self, key: WatchedKey) -> None:
        if key.asked is not None:
            self._engine.abandon(key.asked)
            key.asked = None
        key.is_watched = key.again = False
        key.count = UNKNOWN

    def _counted(self, key: WatchedKey, reply: bytes | BackendUnavailable) -> None:
        """Take an answer, inside a tick of the engine."""
        if self._keys.get(key.home) is not key:
            return
        key.asked = None
        code = None if isinstance(reply, BackendUnavailable) else error_code(reply)
        if isinstance(reply, BackendUnavailable) or code not in (None, b"WRONGTYPE"):
            key.is_watched = key.again = False
            key.count = UNKNOWN
            if code == b"ASK":
                # The slot is moving and the key may be at either side: let the first in
                # line try, by the road that follows redirects, and ask again in a while.
                key.count = 1
                self._call_waiting(key)
            elif code in _REFUSALS:
                self._suspect()
            elif isinstance(reply, bytes):
                key.problem = reply
                for watch in key.waiting:
                    watch.note()
            self._refuse(key)
            return
        if key.pipeline is not None:
            self._silent.discard(key.pipeline)
        key.problem = b""
        key.is_watched = not key.again
        key.count = WRONG_TYPE if code else self._number(reply)
        self._call_waiting(key)
        if key.again:
            key.again = False
            self._look(key)

    @staticmethod
    def _number(reply: bytes) -> int:
        try:
            value = decode(reply)
        except BackendProtocolError:
            return 0
        return value if isinstance(value, int) else 0

    def _call_waiting(self, key: WatchedKey) -> None:
        """Call as many as there are elements, the longest waiting first."""
        free = key.count - len(key.trying)
        for watch, index in key.waiting.items():
            if free > 0 and watch not in key.trying:
                key.trying.add(watch)
                free -= 1
                watch.call(index)
            elif watch.is_curious:
                watch.note()

    # ---- the connections --------------------------------------------------------------------

    def _pipeline_of(self, key: WatchedKey) -> Pipeline | None:
        address = self._owner(key.slot)
        if address is None:
            return None
        database = key.home[0]
        lane = self._lanes.get(database)
        if lane is None:
            lane = self._pools.open_lane(LaneKey(3, database=database, setup=_SETUP))
            self._lanes[database] = lane
        pipeline = lane.pipeline_to(self._routes.number(address))
        if pipeline.on_push is None:
            pipeline.on_push = partial(self._hear, database)
            pipeline.on_lost = partial(self._lost, pipeline)
        return pipeline

    def _owner(self, slot: int) -> Address | None:
        topology = self._find_topology()
        owner = topology.owner(slot) if topology is not None else None
        return None if owner is None else owner.address

    def _hear(self, database: int, push: bytes) -> None:
        """Take a push: ``invalidate`` and the names of keys, or null for all of them."""
        match split_array(push):
            case [_, names]:
                changed = split_array(names) if names[:1] == b"*" else None
            case _:
                return
        if changed is None:
            for key in list(self._keys.values()):
                self._changed(key)
            return
        for frame in changed:
            name = decode(frame)
            assert isinstance(name, bytes)
            for command in (b"LLEN", b"ZCARD"):
                key_found = self._keys.get((database, name, command))
                if key_found is not None:
                    self._changed(key_found)

    def _changed(self, key: WatchedKey) -> None:
        key.is_watched = False
        self._look(key)

    def _lost(self, pipeline: Pipeline) -> None:
        """Ask again, a little later, for everything that was watched there."""
        self._silent.add(pipeline)
        for key in self._keys.values():
            if key.asked is None and key.pipeline is pipeline:
                key.is_watched = False
                key.count = UNKNOWN
                self._refuse(key)

    # ---- now and then -------------------------------------------------------------------------

    def _refuse(self, key: WatchedKey) -> None:
        self._refused.add(key)
        self._somebody_refused.set()

    async def _retry_refused(self) -> None:
        while True:
            await self._somebody_refused.wait()
            await trio.sleep(RETRY_S)
            self._somebody_refused = trio.Event()
            refused, self._refused = self._refused, set()
            for key in refused:
                if self._keys.get(key.home) is key:
                    self._look(key)

    async def _poll(self) -> None:
        while True:
            if not self._keys:
                self._somebody_waits = trio.Event()
                await self._somebody_waits.wait()
            await trio.sleep(POLL_S)
            for home in list(self._keys)[:POLLED_AT_ONCE]:
                # Behind the others: the next time it is their turn.
                key = self._keys[home] = self._keys.pop(home)
                if key.asked is None:
                    self._look(key)
