"""The promise of SCAN, whatever the cluster does meanwhile: nothing that stays is missed."""

from __future__ import annotations

from itertools import count

import pytest
from fake_cluster import FakeCluster, FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.control.scan import scan
from proxy.resp.decode import decode

KINDS = {"one dictionary a slot": True, "one dictionary a node": False}
TAGS = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"]
SLOTS = sorted(key_slot(tag) for tag in TAGS)
# One slot has far more keys than a page, some have few, one has none.
STAYING = [
    b"{%b}:%d" % (tag, n)
    for tag, size in zip(TAGS, [70, 9, 1, 0, 12, 5, 30, 3], strict=True)
    for n in range(size)
]
MAX_STEPS = 2000


class Troubles:
    """What befalls a cluster: one action before each call, then peace."""

    def __init__(self, cluster: FakeCluster, actions: list[tuple[str, int, int]]) -> None:
        self._cluster = cluster
        self._actions = iter(actions)
        self._lagging: dict[int, FakeServer] = {}  # slot handed over, source does not know
        self._resting: dict[int, int] = {}  # slot moved back, not opened again before this call
        self._dead: FakeServer | None = None
        self._fleeting = 0

    def __call__(self) -> None:
        for name, which, much in self._actions:
            slot = SLOTS[which]
            primaries = self._cluster.primaries
            getattr(self, name)(slot, primaries[much % len(primaries)], much)
            return
        self._heal()

    def nothing(self, *_args: object) -> None:
        pass

    def _heal(self) -> None:
        """End what cannot stay as it is: the dead come back, sources learn what they lost."""
        if self._dead is not None:
            self._dead.is_up = True
            self._cluster.fail_over(self._dead)
            self._dead = None
        for slot, source in self._lagging.items():
            self._cluster.let_go(slot, source)
        self._lagging.clear()

    def open(self, slot: int, server: FakeServer, _much: int) -> None:
        owner = self._cluster.owner(slot)
        is_busy = slot in self._lagging or self._cluster.calls < self._resting.get(slot, 0)
        is_alive = owner is not self._dead and server is not self._dead
        if server is not owner and slot not in owner.migrating and is_alive and not is_busy:
            self._cluster.open_slot(slot, server)

    def move_some(self, slot: int, _server: FakeServer, much: int) -> None:
        if slot in self._cluster.owner(slot).migrating:
            self._cluster.move_keys(slot, much)

    def hand_over(self, slot: int, _server: FakeServer, _much: int) -> None:
        # One at a time: another handover would give the source the higher epoch again.
        if slot in self._cluster.owner(slot).migrating and not self._lagging:
            self._lagging[slot] = self._cluster.hand_over(slot)

    def let_go(self, slot: int, _server: FakeServer, _much: int) -> None:
        if slot in self._lagging:
            self._cluster.let_go(slot, self._lagging.pop(slot))

    def move_back(self, slot: int, _server: FakeServer, _much: int) -> None:
        if slot in self._cluster.owner(slot).migrating:
            self._cluster.move_keys_back(slot)
            # Back and forth again within the three calls that read one slot is not survived.
            self._resting[slot] = self._cluster.calls + 4

    def move(self, slot: int, server: FakeServer, much: int) -> None:
        self.open(slot, server, much)
        self.hand_over(slot, server, much)
        self.let_go(slot, server, much)

    def fail_over(self, _slot: int, server: FakeServer, _much: int) -> None:
        # A new primary does not know what was open (Redis 7.0); the keys at the target are lost.
        if not self._is_concerned(server):
            self._cluster.fail_over(server)

    def die(self, _slot: int, server: FakeServer, _much: int) -> None:
        if self._dead is None and not self._is_concerned(server):
            self._dead, server.is_up = server, False

    def restart(self, _slot: int, server: FakeServer, _much: int) -> None:
        server.restart()

    def upgrade(self, _slot: int, server: FakeServer, _much: int) -> None:
        server.restart(has_slot_dicts=not server.has_slot_dicts)

    def add_keys(self, slot: int, _server: FakeServer, much: int) -> None:
        owner = self._cluster.owner(slot)
        if slot not in owner.migrating:
            tag = next(tag for tag in TAGS if key_slot(tag) == slot)
            for _ in range(much):
                self._fleeting += 1
                owner.types[b"{%b}:fleeting:%d" % (tag, self._fleeting)] = b"string"

    def delete_keys(self, slot: int, _server: FakeServer, _much: int) -> None:
        owner = self._cluster.owner(slot)
        for key in owner.slot_keys(slot):
            if b"fleeting" in key:
                del owner.types[key]

    def _is_concerned(self, server: FakeServer) -> bool:
        return bool(server.migrating or server.importing or server is self._dead) or (
            server in self._lagging.values()
        )


ACTIONS = [name for name in vars(Troubles) if not name.startswith("_")]
ACTION_LISTS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, len(SLOTS) - 1), st.integers(0, 40)),
    max_size=80,
)


def keys_of_slot(slot: int, size: int) -> list[bytes]:
    """Return some keys of one slot."""
    tag = next(b"%d" % n for n in count() if key_slot(b"%d" % n) == slot)
    return [b"{%b}:%d" % (tag, n) for n in range(size)]


async def scan_all(*options: bytes, nodes: FakeCluster) -> list[bytes]:
    """Scan as a client does, and return all keys in the order they came."""
    found: list[bytes] = []
    cursor = b"0"
    for _ in range(MAX_STEPS):
        cursor, keys = decode(await scan([b"SCAN", cursor, *options], nodes=nodes))
        assert int(cursor) < 2**63
        found += keys
        if cursor == b"0":
            return found
    raise AssertionError("the scan does not end")


@pytest.mark.parametrize("has_slot_dicts", KINDS.values(), ids=KINDS.keys())
@settings(max_examples=100, deadline=None)
@given(actions=ACTION_LISTS, page=st.sampled_from([b"1", b"5", b"40"]))
def test_a_key_that_stays_is_found_whatever_happens(
    has_slot_dicts: bool, actions: list[tuple[str, int, int]], page: bytes
) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    cluster.put(*STAYING)
    cluster.before_each_call = Troubles(cluster, actions)

    found = cluster.run(scan_all, b"COUNT", page)

    assert set(STAYING) <= set(found)


@pytest.mark.parametrize("has_slot_dicts", KINDS.values(), ids=KINDS.keys())
def test_keys_on_both_sides_of_open_slots_are_found(has_slot_dicts: bool) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    cluster.put(*STAYING)
    for slot in SLOTS:
        source = cluster.owner(slot)
        cluster.open_slot(slot, cluster.servers[cluster.servers.index(source) - 1])
        cluster.move_keys(slot, 3)

    found = cluster.run(scan_all, b"COUNT", b"5")

    assert sorted(found) == sorted(STAYING)


def test_a_range_that_was_begun_does_not_grow() -> None:
    """A slot that joins a node in the middle of a pass may have come behind the cursor."""
    cluster = FakeCluster(shards=2, has_slot_dicts=False)
    first, _ = cluster.servers
    early = [key for key in STAYING if key_slot(key) < SLOT_COUNT // 2]
    joining = SLOT_COUNT // 2
    late = keys_of_slot(joining, 20)
    cluster.put(*early, *late)

    def join_after_some_pages() -> None:
        if cluster.calls == 8:
            cluster.move_slot(joining, first)

    cluster.before_each_call = join_after_some_pages

    found = cluster.run(scan_all, b"COUNT", b"5")

    assert first.owned >= set(range(joining + 1))
    assert set(early + late) <= set(found)


def test_a_pass_by_slot_does_not_jump_over_a_slot_that_left() -> None:
    cluster = FakeCluster(shards=2)
    cluster.put(*STAYING)
    _, second = cluster.servers
    inside = [slot for slot in SLOTS if slot < SLOT_COUNT // 2]
    cluster.move_slot(inside[1], second)
    cluster.move_slot(inside[2], second)

    found = cluster.run(scan_all, b"COUNT", b"200")

    assert sorted(found) == sorted(STAYING)


@pytest.mark.parametrize("has_slot_dicts", KINDS.values(), ids=KINDS.keys())
def test_in_a_quiet_cluster_each_key_comes_once(has_slot_dicts: bool) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    cluster.put(*STAYING)

    found = cluster.run(scan_all, b"COUNT", b"7")

    assert sorted(found) == sorted(STAYING)
