"""The embedded servers are what the live tests stand on; here they are tested themselves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.embedded import (
    ENGINES,
    EmbeddedCluster,
    EmbeddedError,
    EngineMissing,
    NodeConnection,
    NotInTime,
    ProxyProcess,
    RedisNode,
    ServerRefused,
    StandaloneServer,
    find_engine,
    find_engines,
    lease_ports,
    wait_for,
)
from proxy.embedded.agreement import find_disagreement
from proxy.embedded.engines import SERVERS_VARIABLE
from proxy.embedded.migration import close_slots, move_keys, open_slots
from proxy.embedded.ports import BUS_OFFSET, is_port_free

pytestmark = pytest.mark.live

GONE_DEADLINE_S = 10


def write_keys(cluster: EmbeddedCluster, slots: range) -> dict[bytes, bytes]:
    """Write one key for each of ``slots`` and return them with their values."""
    wanted = set(slots)
    pairs: dict[bytes, bytes] = {}
    number = 0
    while wanted:
        key = b"key:%d" % number
        number += 1
        if key_slot(key) in wanted:
            wanted.remove(key_slot(key))
            pairs[key] = b"value:%d" % number
    view = cluster.view()
    for node in cluster.primaries():
        own = [key for key in pairs if view.owner(key_slot(key)).address == node.address]
        with node.connect() as connection:
            connection.call_many([("SET", key, pairs[key]) for key in own])
    return pairs


class TestClusters:
    def test_a_cluster_that_has_started_agrees_with_itself(self, cluster: EmbeddedCluster) -> None:
        assert find_disagreement(cluster.nodes) is None
        view = cluster.view()
        assert view.covered_slots == SLOT_COUNT
        assert cluster.primaries() == cluster.nodes[:3]
        assert [cluster.replicas_of(node) for node in cluster.nodes[:3]] == [
            (replica,) for replica in cluster.nodes[3:]
        ]

    def test_a_key_is_served_by_the_primary_named_for_it(self, cluster: EmbeddedCluster) -> None:
        for key in (b"a", b"b", b"{tag}c", b""):
            node = cluster.primary_for(key)

            assert node.call("SET", key, "x") == b"OK"
            assert cluster.primary_for(key_slot(key)) is node

    def test_moving_slots_takes_their_keys_along(self, cluster: EmbeddedCluster) -> None:
        source, target = cluster.primaries()[:2]
        slots = cluster.slots_of(source)[:120]
        pairs = write_keys(cluster, range(slots[0], slots[-1] + 1))
        seen = []

        moved = cluster.move_slots(slots, source, target, lambda *done: seen.append(done))

        cluster.wait_until_agreed()
        assert moved == len(pairs) == 120
        assert seen[-1] == (120, 120)
        assert {cluster.primary_for(slot) for slot in slots} == {target}
        assert {key: target.call("GET", key) for key in pairs} == pairs
        cluster.move_slots(slots, target, source)
        cluster.wait_until_agreed()

    def test_an_open_slot_asks_for_what_it_no_longer_has(self, cluster: EmbeddedCluster) -> None:
        source, target = cluster.primaries()[:2]
        slot = key_slot(b"here")
        source = cluster.primary_for(slot)
        target = next(node for node in cluster.primaries() if node is not source)
        source.call("SET", "{here}moves", "x")
        open_slots([slot], source, target)

        move_keys([slot], source, target)

        with pytest.raises(ServerRefused, match=f"ASK {slot} {target.address}"):
            source.call("GET", "{here}moves")
        bystanders = [node for node in cluster.primaries() if node not in (source, target)]
        close_slots([slot], source, target, bystanders)
        cluster.move_slots([slot], target, source)
        cluster.wait_until_agreed()

    def test_a_replica_takes_over_from_a_killed_primary_which_comes_back_as_its_replica(
        self, private_cluster: EmbeddedCluster
    ) -> None:
        victim = private_cluster.primary_for(b"survivor")
        (heir,) = private_cluster.replicas_of(victim)
        victim.call("SET", "survivor", "x")
        private_cluster.wait_until_in_sync()

        victim.kill()

        with pytest.raises(EmbeddedError, match="cannot connect"):
            victim.call("PING")
        private_cluster.wait_until_agreed()
        assert private_cluster.primary_for(b"survivor") is heir
        assert heir.call("GET", "survivor") == b"x"
        victim.restart()
        private_cluster.wait_until_agreed()
        assert private_cluster.replicas_of(heir) == (victim,)

    def test_nodes_can_be_added_and_removed(self, private_cluster: EmbeddedCluster) -> None:
        before = private_cluster.nodes

        primary = private_cluster.add_node()
        replica = private_cluster.add_node(replica_of=primary)

        assert private_cluster.replicas_of(primary) == (replica,)
        private_cluster.remove_node(replica)
        private_cluster.remove_node(primary)
        private_cluster.wait_until_agreed()
        assert private_cluster.nodes == before
        assert {node.address for node in private_cluster.view().nodes} == {
            node.address for node in before
        }

    def test_a_cluster_that_has_stopped_leaves_nothing(self, engine: str) -> None:
        with EmbeddedCluster(engine, primaries=1, replicas=0) as cluster:
            (node,) = cluster.nodes
            directory = node.log.parent
            assert directory.is_dir()

        assert not node.has_process
        assert not directory.exists()
        assert is_port_free(node.port)


class TestServers:
    def test_a_frozen_server_keeps_its_connections_and_answers_when_thawed(
        self, engine: str
    ) -> None:
        with StandaloneServer(engine) as server:
            node = server.node
            with NodeConnection(node.address, timeout_s=0.2) as connection:
                connection.call("PING")
                node.freeze()

                with pytest.raises(EmbeddedError, match="did not answer"):
                    connection.call("SET", "k", "v")
                assert not node.is_running
                assert node.has_process
                node.thaw()

            assert node.call("GET", "k") == b"v"

    def test_a_restarted_server_has_a_new_process_and_the_same_port(self, engine: str) -> None:
        with StandaloneServer(engine) as server:
            before = server.node.pid, server.port

            server.node.restart()

            assert server.node.pid != before[0]
            assert server.port == before[1]

    def test_a_server_that_is_stopped_says_goodbye_in_its_log(self, engine: str) -> None:
        with StandaloneServer(engine) as server:
            server.node.stop()

            assert not server.node.has_process
            assert "bye bye" in server.node.tail()

    def test_a_server_that_cannot_start_shows_why(self, engine: str) -> None:
        with pytest.raises(EmbeddedError, match="no-such-setting"):
            StandaloneServer(engine, settings={"no-such-setting": "1"}).start()

    def test_settings_reach_the_server(self, engine: str) -> None:
        with StandaloneServer(engine, settings={"maxclients": "77"}) as server:
            assert server.node.call("CONFIG", "GET", "maxclients") == [b"maxclients", b"77"]

    def test_servers_do_not_outlive_whoever_started_them(self, engine: str) -> None:
        program = (
            "from proxy.embedded import StandaloneServer\n"
            f"frozen, server = (StandaloneServer({engine!r}).start() for _ in 'ab')\n"
            "frozen.node.freeze()\n"
            "print(frozen.port, server.port, flush=True)\n"
            "input()\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with parent:
            ports = [int(word) for word in parent.stdout.readline().split()]
            assert [is_port_free(port) for port in ports] == [False, False]

            parent.send_signal(signal.SIGKILL)

            wait_for(lambda: all(is_port_free(port) for port in ports), GONE_DEADLINE_S)

    def test_servers_that_are_named_are_the_only_engines(
        self, engine: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        binary = find_engine(engine)
        monkeypatch.setenv(SERVERS_VARIABLE, str(binary))

        assert find_engines() == {engine: binary}
        with pytest.raises(EngineMissing, match=SERVERS_VARIABLE):
            find_engine(next(other for other in ENGINES if other != engine))
        for wrong in (sys.executable, "/nowhere"):
            monkeypatch.setenv(SERVERS_VARIABLE, wrong)
            with pytest.raises(EngineMissing, match=wrong):
                find_engine(engine)

    def test_a_missing_engine_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(SERVERS_VARIABLE, raising=False)
        monkeypatch.setenv("PATH", "/nowhere")

        with pytest.raises(EngineMissing, match="apt install redis-server"):
            find_engine("redis")


class TestProxyProcess:
    def test_it_answers_when_started_and_ends_in_good_order(self, cluster: EmbeddedCluster) -> None:
        proxy = ProxyProcess(cluster.addresses).start()

        with NodeConnection(proxy.address) as connection:
            assert connection.call("SET", "k", "v") == b"OK"
        assert cluster.primary_for(b"k").call("GET", "k") == b"v"
        assert proxy.stop() == 0
        assert is_port_free(proxy.port)

    def test_one_that_cannot_start_shows_why(self, standalone: StandaloneServer) -> None:
        settings = {"limits.no_such_limit": "1"}

        with pytest.raises(EmbeddedError, match="NO_SUCH_LIMIT"):
            ProxyProcess([standalone.address], settings=settings).start()


class TestPorts:
    def test_a_port_is_leased_once_until_it_is_given_back(self) -> None:
        with lease_ports(20) as first, lease_ports(20) as second:
            assert len({*first.ports, *second.ports}) == 40

    def test_the_bus_port_of_one_is_never_the_port_of_another(self) -> None:
        with lease_ports(50) as lease:
            buses = {port + BUS_OFFSET for port in lease.ports}

            assert not buses & set(lease.ports)

    def test_a_port_somebody_listens_on_is_not_leased(self, engine: str) -> None:
        with StandaloneServer(engine) as server:
            assert not is_port_free(server.port)


class TestWaiting:
    def test_it_returns_what_the_condition_returns(self) -> None:
        answers = iter([None, "", "there"])

        assert wait_for(lambda: next(answers), 5) == "there"

    def test_it_says_what_did_not_happen(self) -> None:
        started = time.monotonic()

        with pytest.raises(NotInTime, match=r"not within 0\.01 s: rain"):
            wait_for(lambda: False, 0.01, lambda: "rain")
        assert time.monotonic() - started < 5


def test_the_log_of_a_node_stands_beside_its_data(cluster: EmbeddedCluster) -> None:
    node: RedisNode = cluster.nodes[0]

    assert isinstance(node.log, Path)
    assert "Ready to accept connections" in node.log.read_text()
