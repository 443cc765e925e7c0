"""``slotway cluster create`` makes a cluster that works, from wherever it was stopped before."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
import redis
from bare_nodes import bare_nodes
from slotway_command import begin_slotway, slotway

from proxy.embedded import ProxyProcess, RedisNode, StandaloneServer
from proxy.manage import CannotPlan, ClusterManager, Progress

pytestmark = pytest.mark.live


class Killed(BaseException):
    """What a test throws into the work: not even ``except Exception`` stops it."""


@pytest.fixture
def nodes(engine: str) -> Iterator[list[RedisNode]]:
    with bare_nodes(engine, 6) as started:
        yield started


def test_a_cluster_is_created_and_serves_through_the_proxy(nodes: list[RedisNode]) -> None:
    # Names are resolved for the nodes, which take only IP addresses.
    places = [f"localhost:{node.port}" for node in nodes]

    plan = json.loads(slotway("create", *places, "--replicas", 1, "--dry-run", "--json"))
    slotway("create", *places, "--replicas", 1, "--yes")

    assert [len(plan["primaries"]), len(plan["replicas"])] == [3, 3]
    seed = ("--seed", places[0])
    info = json.loads(slotway("info", *seed, "--json"))
    assert (info["state"], info["slots_ok"], info["disagreement"]) == ("ok", 16384, None)
    states = json.loads(slotway("nodes", *seed, "--json"))
    assert [node["role"] for node in states] == ["primary", "replica"] * 3
    primaries = [node for node in states if node["role"] == "primary"]
    assert len({node["config_epoch"] for node in primaries}) == 3
    with ProxyProcess([nodes[0].address]) as proxy:
        client = redis.Redis(port=proxy.port)
        assert client.mset({f"key:{number}": number for number in range(100)})
        assert client.dbsize() == 100


def test_keys_are_told_their_place_as_the_servers_tell_it(nodes: list[RedisNode]) -> None:
    places = [str(node.address) for node in nodes]
    slotway("create", *places, "--yes")

    answers = json.loads(
        slotway("slot", "user:12345", "{user:12345}:a", "x", "--seed", places[0], "--json")
    )

    assert [answer["keys"] for answer in answers] == [["user:12345", "{user:12345}:a"], ["x"]]
    for answer in answers:
        assert nodes[0].call("CLUSTER", "KEYSLOT", answer["keys"][0]) == answer["slot"]
        owner = next(node for node in nodes if str(node.address) == answer["primary"])
        assert owner.call("SET", answer["keys"][0], "1") == b"OK"
    assert "5461" in slotway("slots", "--seed", places[0])


def test_a_creation_that_is_killed_at_every_step_is_gone_on_with(nodes: list[RedisNode]) -> None:
    addresses = [node.address for node in nodes]
    seen: list[str] = []

    def one_step_further(stand: Progress) -> None:
        seen.append(stand.words)
        steps.append(stand)
        if len(steps) == 2:
            raise Killed

    while True:
        steps: list[Progress] = []
        with ClusterManager(addresses) as manager:
            plan = manager.plan_create(addresses, replicas=1)
            try:
                manager.create(plan, one_step_further)
            except Killed:
                continue
            break

    with ClusterManager(addresses[:1]) as manager:
        info = manager.info()
        assert (info.state, info.disagreement, info.shards) == ("ok", None, 3)
        roles = {state.address: state.role for state in manager.nodes()}
    assert [roles[address] for address in addresses] == ["primary"] * 3 + ["replica"] * 3
    for words in ("slots", "epoch", "introduce", "copy", "agrees"):
        assert any(words in each for each in seen), seen


def test_what_is_in_the_way_is_said_node_by_node(nodes: list[RedisNode], engine: str) -> None:
    nodes[0].call("CLUSTER", "ADDSLOTS", 12182)
    nodes[1].kill()
    with StandaloneServer(engine) as alone:
        addresses = [*(node.address for node in nodes), alone.address]

        with ClusterManager(addresses) as manager, pytest.raises(CannotPlan) as raised:
            manager.plan_create(addresses, replicas=1)

        found = raised.value.problems
        assert any(str(nodes[1].address) in line for line in found)
        assert any(str(alone.address) in line and "cluster mode" in line for line in found)
    alive = [str(node.address) for node in nodes if node is not nodes[1]]
    with ClusterManager(addresses) as manager:
        with pytest.raises(CannotPlan, match="owns other slots already"):
            manager.plan_create([*alive], replicas=0)
        with pytest.raises(CannotPlan, match="same node"):
            manager.plan_create([*alive, f"localhost:{nodes[0].port}"], replicas=0)
        with pytest.raises(CannotPlan, match="named more than once"):
            manager.plan_create([*alive, alive[0]], replicas=0)
        with pytest.raises(CannotPlan, match="5 nodes make 2 shards of a primary and 1 replica;"):
            manager.plan_create(alive, replicas=1)


def test_nothing_is_made_without_a_yes(nodes: list[RedisNode]) -> None:
    places = [str(node.address) for node in nodes]

    slotway("create", *places, code=2)

    assert nodes[0].call_text("CLUSTER", "INFO").count(b"cluster_slots_assigned:0") == 1


def test_ctrl_c_at_the_question_changes_nothing(nodes: list[RedisNode]) -> None:
    with begin_slotway("create", *(node.address for node in nodes)) as asking:
        told = b""
        while b"[y/N]" not in told:
            told += asking.stderr.read(1)
            assert asking.poll() is None, told

        asking.send_signal(signal.SIGINT)

        # Read to its end before standard input is closed: that would be another answer.
        assert b"stopped; nothing was changed" in asking.stderr.read()
    assert asking.returncode == 1


def test_no_node_at_all_is_a_failure_and_not_a_traceback(nodes: list[RedisNode]) -> None:
    nodes[0].kill()

    slotway("info", "--seed", nodes[0].address, code=1)
    slotway("info", "--seed", "nonsense", code=2)
