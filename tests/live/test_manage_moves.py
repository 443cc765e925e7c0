"""Slots move under traffic, are stopped and killed, and nothing is lost or answered wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis
from stored_types import StoredTypes
from traffic import Plan, Traffic

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, engine_version, wait_for
from proxy.manage import (
    CannotPlan,
    ClusterManager,
    Interrupted,
    Move,
    MoveOptions,
    Progress,
    Stop,
    load_moves,
    migrate_classic,
    save_moves,
)

pytestmark = [pytest.mark.live, pytest.mark.takes(50)]

CLASSIC = MoveOptions(method="classic")


class Killed(BaseException):
    """What a test throws into the work, as a kill would end it."""


@dataclass
class Scene:
    """A cluster with keys of all types, a proxy before it, and who manages it."""

    cluster: EmbeddedCluster
    proxy: ProxyProcess
    manager: ClusterManager
    stored: StoredTypes

    @property
    def names(self) -> list[str]:
        return [str(shard.primary) for shard in self.manager.distribution().shards]

    def assert_whole(self) -> None:
        assert self.stored.differences() == []
        assert self.manager.open_slots() == ()
        assert self.manager.info().disagreement is None


@pytest.fixture(scope="module")
def shared_scene(engine: str) -> Iterator[Scene]:
    with (
        EmbeddedCluster(engine) as cluster,
        ProxyProcess(cluster.addresses) as proxy,
        ClusterManager(cluster.addresses[:1]) as manager,
    ):
        yield Scene(cluster, proxy, manager, StoredTypes(redis.Redis(port=proxy.port)))
        assert proxy.tracebacks() == ""


@pytest.fixture
def scene(shared_scene: Scene) -> Iterator[Scene]:
    """The shared scene, whole before and after each test."""
    shared_scene.assert_whole()
    yield shared_scene
    shared_scene.assert_whole()


def test_the_plan_says_what_the_move_then_does(scene: Scene) -> None:
    first, second, _ = scene.names
    plan = scene.manager.plan_reshard([first], second, 400)

    outcome = scene.manager.move(plan, CLASSIC)

    assert plan.keys == outcome.keys > 0
    assert plan.bytes > plan.keys * 10
    after = {str(shard.primary): shard for shard in scene.manager.distribution().shards}
    for shard in plan.shards:
        assert after[str(shard.primary)].slots == shard.slots_after
        assert after[str(shard.primary)].keys == shard.keys_after
    scene.manager.move(scene.manager.plan_rebalance())


@pytest.mark.parametrize(
    ("step", "end"),
    [
        *(("open", "fix"), ("mark", "same plan"), ("keys", "fix"), ("keys", "same plan")),
        *(("close", "fix"), ("close", "same plan"), ("tell", "fix"), ("agree", "same plan")),
    ],
)
def test_a_kill_at_any_step_is_survived(scene: Scene, step: str, end: str) -> None:
    first, second, _ = scene.names
    plan = scene.manager.plan_reshard([first], second, 30)
    seen = 0

    def kill(stand: Progress) -> None:
        nonlocal seen
        seen += stand.step == step
        # The second look at "keys" is after some of them have moved.
        if seen == (2 if step == "keys" else 1):
            raise Killed

    with Traffic(scene.proxy.port, [Plan(8)], name=f"{step}{end[0]}") as traffic:
        traffic.wait_for_progress(20)
        with pytest.raises(Killed):
            scene.manager.move(plan, CLASSIC, kill)
        traffic.wait_for_progress(20)
        if end == "fix":
            scene.manager.repair()
        else:
            scene.manager.move(plan)
        traffic.wait_for_progress(20)

    assert traffic.wrong == []
    assert traffic.errors == {}
    scene.assert_whole()
    scene.manager.move(scene.manager.plan_rebalance())


def test_no_slot_is_claimed_while_two_primaries_have_one_epoch(scene: Scene) -> None:
    """The source could take a higher one after the claim, and be believed again."""
    first, second, third = nodes = scene.cluster.primaries()
    seen: list[set[bytes]] = []

    def epochs(which: bytes) -> set[bytes]:
        infos = [node.call_text("CLUSTER", "INFO") for node in nodes]
        return {info.partition(b"cluster_%b_epoch:" % which)[2].split()[0] for info in infos}

    def look(stand: Progress) -> None:
        if stand.step == "close":
            seen.append(epochs(b"my"))

    for source, target in ((first, second), (second, first)):
        plan = scene.manager.plan_reshard([str(source.address)], str(target.address), 10)
        target.call("CLUSTER", "BUMPEPOCH")  # who has the highest already would stay
        wait_for(lambda: len(epochs(b"current")) == 1, 10.0, "all to know it")
        # Each takes the highest that it knows of plus one; they hear of each other later.
        third.call("CLUSTER", "BUMPEPOCH")
        source.call("CLUSTER", "BUMPEPOCH")
        scene.manager.move(plan, CLASSIC, look)

    assert [len(each) for each in seen] == [3, 3]


def test_a_target_that_is_told_otherwise_claims_its_slots_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_classic, "CLAIM_S", 0.3)
    first, second, _ = scene.cluster.primaries()
    mine = scene.cluster.slots_of(first)
    # Of one with keys the servers themselves would refuse to be told so.
    slots = tuple(slot for slot in mine if not first.call("CLUSTER", "COUNTKEYSINSLOT", slot))[:10]
    ids = [node.call_text("CLUSTER", "MYID").decode() for node in (first, second)]
    steps: list[str] = []

    def contradict(stand: Progress) -> None:
        steps.append(stand.step)
        if stand.step == "agree":
            second.call("CLUSTER", "SETSLOT", slots[0], "NODE", ids[0])

    scene.manager.move([Move(ids[0], ids[1], slots)], CLASSIC, contradict)

    assert "claim anew" in steps
    assert set(slots) <= set(scene.cluster.slots_of(second))
    scene.manager.move([Move(ids[1], ids[0], slots)], CLASSIC)


def test_a_stop_leaves_no_slot_open_and_the_plan_goes_on(scene: Scene, tmp_path) -> None:
    first, second, _ = scene.names
    plan = scene.manager.plan_reshard([first], second, 300)
    save_moves(tmp_path / "plan.json", plan.moves)
    stop = Stop()

    def stop_early(stand: Progress) -> None:
        if stand.done >= 100:
            stop.set()

    with pytest.raises(Interrupted, match="of 300 slots"):
        scene.manager.move(plan, CLASSIC, stop_early, stop)

    assert scene.manager.open_slots() == ()
    left = scene.manager.figure_out(load_moves(tmp_path / "plan.json"))
    assert 0 < left.slots <= 200
    assert scene.manager.move(left, CLASSIC).slots == left.slots
    assert scene.manager.figure_out(plan.moves).moves == ()
    scene.manager.move(scene.manager.plan_rebalance())


def test_a_migration_that_goes_on_after_a_kill_is_waited_for(scene: Scene, engine: str) -> None:
    if engine == "redis" or engine_version(engine) < (9, 0):
        pytest.skip("only Valkey from 9.0 has atomic slot migration")
    first, second, _ = scene.names
    plan = scene.manager.plan_reshard([first], second, 300)
    source = scene.cluster.primaries()[0]
    slots = plan.moves[0].slots

    bounds = (slots[0], slots[149])
    source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *bounds, "NODE", plan.moves[0].target)
    outcome = scene.manager.move(plan)

    assert outcome.slots == 150
    assert scene.manager.figure_out(plan.moves).moves == ()
    scene.manager.move(scene.manager.plan_rebalance())


def test_a_throttle_is_kept(scene: Scene) -> None:
    first, second, _ = scene.names
    plan = scene.manager.plan_reshard([first], second, 300)

    outcome = scene.manager.move(plan, MoveOptions(method="classic", keys_per_s=plan.keys))

    assert outcome.seconds > 0.8
    scene.manager.move(scene.manager.plan_rebalance())


def test_a_big_key_moves_and_is_named(scene: Scene) -> None:
    client = redis.Redis(port=scene.proxy.port)
    client.delete("{big}")
    for start in range(0, 100_000, 10_000):
        client.hset("{big}", mapping={str(n): "x" * 50 for n in range(start, start + 10_000)})
    source = scene.cluster.primary_for(b"{big}")
    target = next(node for node in scene.cluster.primaries() if node is not source)
    ids = [node.call_text("CLUSTER", "MYID").decode() for node in (source, target)]

    outcome = scene.manager.move([Move(*ids, (key_slot(b"{big}"),))], CLASSIC)

    assert [big.key for big in outcome.big_keys] == [b"{big}"]
    assert outcome.big_keys[0].bytes > 5_000_000
    assert client.hlen("{big}") == 100_000
    client.delete("{big}")
    scene.manager.move(scene.manager.plan_rebalance())


@pytest.mark.parametrize("by", ["keys", "memory", "traffic"])
def test_a_rebalance_by_load_levels_it(scene: Scene, by: str) -> None:
    client = redis.Redis(port=scene.proxy.port)
    first = scene.cluster.primaries()[0]
    slots = set(scene.cluster.slots_of(first))
    heavy = (f"heavy:{number}" for number in range(3000))
    mine = [key for key in heavy if key_slot(key.encode()) in slots][:600]
    pipe = client.pipeline(transaction=False)
    for key in mine:
        pipe.set(key, "x" * 500)
    pipe.execute()

    plan = scene.manager.plan_rebalance(by=by)

    if by == "keys":
        keys = [shard.keys_after for shard in plan.shards]
        assert max(keys) - min(keys) < 0.1 * max(keys)
    if by != "traffic":
        assert first.address in {line.source for line in plan.lines}
    client.delete(*mine)


def test_what_cannot_be_moved_is_refused_before_anything_moves(scene: Scene) -> None:
    first, second, _ = scene.names
    replica = next(str(node.address) for node in scene.manager.nodes() if node.role == "replica")

    with pytest.raises(CannotPlan, match="is a replica"):
        scene.manager.plan_reshard([first], replica, 1)
    with pytest.raises(CannotPlan, match="no node of this cluster"):
        scene.manager.plan_reshard(["10.9.9.9:1"], second, 1)


def test_two_roads_at_once(scene: Scene, make_manager: Callable[[], ClusterManager]) -> None:
    first, second, third = scene.names
    moves = (
        *scene.manager.plan_reshard([first], second, 200).moves,
        *scene.manager.plan_reshard([third], second, 200).moves,
    )

    outcome = make_manager().move(moves, CLASSIC)

    assert outcome.slots == 400
    scene.manager.move(scene.manager.plan_rebalance())


@pytest.fixture
def make_manager(shared_scene: Scene) -> Iterator[Callable[[], ClusterManager]]:
    with ClusterManager(shared_scene.cluster.addresses[1:2]) as manager:
        yield lambda: manager
