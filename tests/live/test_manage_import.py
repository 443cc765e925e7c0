"""A standalone server's data comes into the cluster whole, also while it is written to."""

from __future__ import annotations

import pytest
import redis
from slotway_command import slotway
from stored_types import StoredTypes

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer
from proxy.manage import CannotPlan, ClusterManager, Progress

pytestmark = pytest.mark.live


def test_keys_of_all_types_come_with_their_ttls(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess, standalone: StandaloneServer
) -> None:
    stored = StoredTypes(redis.Redis(port=standalone.port), 900)

    told = slotway("import", standalone.address, "--yes", "--seed", cluster.addresses[0])

    assert "every key is there" in told
    stored.look_through(redis.Redis(port=proxy_process.port))
    assert stored.differences() == []


def test_an_import_that_was_cut_off_is_begun_anew(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess, standalone: StandaloneServer
) -> None:
    old = redis.Redis(port=standalone.port)
    old.mset({f"key:{number}": "old" for number in range(1000)})

    def cut_off(stand: Progress) -> None:
        if stand.keys > 300:
            raise KeyboardInterrupt

    with ClusterManager(cluster.addresses[:1]) as manager:
        with pytest.raises(KeyboardInterrupt):
            manager.bring(standalone.address, cut_off)
        brought = next(key for key in redis.Redis(port=proxy_process.port).scan_iter())
        old.delete(brought)
        assert manager.plan_import(standalone.address, replace=True).keys == 999
        outcome = manager.bring(standalone.address)

    assert (outcome.keys, outcome.is_verified, outcome.others) == (999, True, 1)


def test_what_changes_meanwhile_is_brought_too(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess, standalone: StandaloneServer
) -> None:
    old = redis.Redis(port=standalone.port)
    old.mset({f"key:{number}": "old" for number in range(1000)})
    batches = 0

    def write_meanwhile(stand: Progress) -> None:
        nonlocal batches
        batches += 1
        if batches == 4:
            old.set("key:0", "new")
            old.delete("key:1")
            old.set("added", "1", px=60_000)
        # Slots move, too: the cluster is in use.
        if batches == 6:
            with ClusterManager(cluster.addresses[1:2]) as other:
                first, second, _ = (str(shard.primary) for shard in other.distribution().shards)
                other.move(other.plan_reshard([first], second, 200))

    with ClusterManager(cluster.addresses[:1]) as manager:
        outcome = manager.bring(standalone.address, write_meanwhile)
        manager.move(manager.plan_rebalance())

    assert (outcome.is_verified, outcome.keys) == (True, 1000)
    new = redis.Redis(port=proxy_process.port)
    assert new.mget("key:0", "key:1", "key:2") == [b"new", None, b"old"]
    assert 0 < new.pttl("added") <= 60_000
    assert new.dbsize() == 1000


def test_an_import_that_would_mix_or_lose_data_is_refused(
    cluster: EmbeddedCluster, standalone: StandaloneServer, proxy_process: ProxyProcess
) -> None:
    redis.Redis(port=proxy_process.port).set("there", "1")
    old = redis.Redis(port=standalone.port, db=3)
    old.set("key", "1")
    with ClusterManager(cluster.addresses[:1]) as manager:
        with pytest.raises(CannotPlan) as raised:
            manager.plan_import(standalone.address)
        assert "has keys in db3" in str(raised.value)
        assert "has 1 key already" in str(raised.value)
        with pytest.raises(CannotPlan, match="a cluster's node"):
            manager.plan_import(cluster.addresses[0], replace=True)
    slotway("import", standalone.address, "--yes", "--seed", cluster.addresses[0], code=1)
