"""The promise of SCAN, whatever the cluster does meanwhile: nothing that stays is missed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_cluster import FakeCluster, FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cluster.slots import key_slot
from proxy.control.scan import scan
from proxy.resp.decode import decode

KINDS = {"one dictionary a slot": True, "one dictionary a node": False}
TAGS = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"]
SLOTS = sorted(key_slot(tag) for tag in TAGS)
# One slot has far more keys than a page, some have few, one has none.
STAYING = [b"{%b}:%d" % (tag, n) for tag, size in zip(TAGS, [70, 9, 1, 0, 12, 5, 30, 3])
           for n in range(size)]
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
            slot = SLOTS[which % len(SLOTS)]
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
        if server is not owner and slot not in owner.migrating and not is_busy:
            self._cluster.open_slot(slot, server)

    def move_some(self, slot: int, _server: FakeServer, much: int) -> None:
        if slot in self._cluster.owner(slot).migrating:
            self._cluster.move_keys(slot, much)

    def hand_over(self, slot: int, _server: FakeServer, _much: int) -> None:
        if slot in self._cluster.owner(slot).migrating:
            self._lagging[slot] = self._cluster.hand_over(slot)

    def let_go(self, slot: int, _server: FakeServer, _much: int) -> None:
        if slot in self._lagging:
            self._cluster.let_go(slot, self._lagging.pop(slot))

    def move_back(self, slot: int, _server: FakeServer, _much: int) -> None:
        if slot in self._cluster.owner(slot).migrating:
            self._cluster.move_keys_back(slot)
            # Back and forth again within the three calls that read one slot is not survived.
            self._resting[slot] = self._cluster.calls + 4

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
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 99), st.integers(0, 40)), max_size=80
)


def scan_all(
    cluster: FakeCluster, *options: bytes, between: Callable[[], None] = lambda: None
) -> list[bytes]:
    """Scan as a client does, and return all keys in the order they came."""
    found: list[bytes] = []
    cursor = b"0"
    for _ in range(MAX_STEPS):
        value = decode(cluster.run(scan, [b"SCAN", cursor, *options]))
        cursor, keys = value
        assert int(cursor) < 2**63
        found += keys
        if cursor == b"0":
            return found
        between()
    raise AssertionError("the scan does not end")


@pytest.mark.parametrize("has_slot_dicts", KINDS.values(), ids=KINDS.keys())
@settings(max_examples=60, deadline=None)
@given(actions=ACTION_LISTS, page=st.sampled_from([b"1", b"5", b"40"]))
def test_a_key_that_stays_is_found_whatever_happens(
    has_slot_dicts: bool, actions: list[tuple[str, int, int]], page: bytes
) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    cluster.put(*STAYING)
    cluster.before_each_call = Troubles(cluster, actions)

    found = scan_all(cluster, b"COUNT", page)

    assert set(STAYING) <= set(found)


@pytest.mark.parametrize("has_slot_dicts", KINDS.values(), ids=KINDS.keys())
def test_in_a_quiet_cluster_each_key_comes_once(has_slot_dicts: bool) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    cluster.put(*STAYING)

    found = scan_all(cluster, b"COUNT", b"7")

    assert sorted(found) == sorted(STAYING)
