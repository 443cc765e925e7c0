"""A tour of a cluster by ``proxy.manage``: look at it, ask where keys are, plan a reshard, do it.

    python examples/cluster_tour.py 10.0.0.1:7000 [more nodes]
    python examples/cluster_tour.py                              # brings a cluster of its own

Strategy: each step is a few lines that a program of yours could contain; nothing is made up,
all figures are the cluster's. Slots are moved there and back again.
"""

from __future__ import annotations

import sys

from proxy.manage import ClusterManager, Move, text_of

KEYS = [b"user:12345", b"product:67890", b"session:abcdef", b"order:999888"]
TAGGED = [b"user:{123}:profile", b"user:{123}:preferences", b"user:{456}:profile"]
SLOTS = 1000


def tour(manager: ClusterManager) -> None:
    """Show what an operator does with a cluster."""
    print("1. The state of the whole")
    info = manager.info()
    print(
        f"   {info.state}: {info.slots_ok} slots ok, {info.known_nodes} nodes, {info.versions[0]}"
    )

    print("2. How slots and keys are spread")
    for shard in manager.distribution().shards:
        print(
            f"   {shard.primary}: {shard.slots} slots ({100 * shard.slot_share:.1f} %), "
            f"{shard.keys} keys, {shard.replicas} replicas"
        )

    print("3. Where keys are")
    for place in manager.locate(KEYS):
        print(f"   {text_of(place.keys[0])}: slot {place.slot} at {place.primary}")

    print("4. Keys of one hash tag are together")
    for place in manager.locate(TAGGED):
        print(f"   slot {place.slot}: {', '.join(map(text_of, place.keys))}")

    print("5. Is it well?")
    health = manager.health()
    print(f"   {health.status}")
    for finding in health.findings:
        print(f"   {finding.severity}: {finding.node or ''} {finding.words}")

    print("6. What it does")
    total = manager.metrics().total
    rate = "no reads yet" if total.hit_rate is None else f"{100 * total.hit_rate:.1f} % hits"
    print(f"   {total.clients} clients, {total.commands} commands, {rate}")

    print(f"7. What moving {SLOTS} slots would mean")
    first, *_, last = (str(shard.primary) for shard in manager.distribution().shards)
    plan = manager.plan_reshard([first], last, SLOTS)
    print(f"   {plan.keys} keys, {plan.bytes} bytes, about {plan.estimated_s:.1f} s")
    for change in plan.shards:
        print(f"   {change.primary}: {change.slots_before} slots, then {change.slots_after}")

    print("8. It is done, live, and undone")
    there = manager.move(plan)
    print(f"   {there.slots} slots moved in {there.seconds:.1f} s ({there.method})")
    back = manager.move([Move(move.target, move.source, move.slots) for move in plan.moves])
    print(f"   {back.slots} slots moved back in {back.seconds:.1f} s")


def main() -> None:
    """Take the tour on the nodes that are named, or on a cluster started for it."""
    seeds = sys.argv[1:]
    if seeds:
        with ClusterManager(seeds) as manager:
            tour(manager)
        return
    from proxy.embedded import EmbeddedCluster

    with EmbeddedCluster() as cluster, ClusterManager(cluster.addresses) as manager:
        tour(manager)


if __name__ == "__main__":
    main()
