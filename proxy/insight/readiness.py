"""Whether clients should be sent to this proxy, and if not, why.

Strategy: pure. A proxy is ready when it listens, does not drain, has its commands, and every
slot has an owner that serves. What is missing is said in words, all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import SLOT_COUNT
from proxy.insight.views_answers import ReadinessView


def readiness(
    topology: Topology | None,
    *,
    is_listening: bool,
    is_draining: bool,
    has_commands: bool,
    is_lost: bool = False,
    refused: Topology | None = None,
    is_down: Callable[[Address], bool] = lambda address: False,
) -> ReadinessView:
    """Return the view.

    Args:
        topology: The map in use; None before the first one.
        is_lost: When the map was last asked for, nobody had one to go by.
        refused: A view that a node had nevertheless, and that says how the cluster is.
        is_down: Whether a node has missed so many health checks that it counts as down.
    """
    missing = []
    if is_draining:
        missing.append("the proxy is draining")
    elif not is_listening:
        missing.append("the proxy does not listen yet")
    if topology is None:
        missing.append("no node has told the cluster's map")
    elif is_lost and refused is None:
        missing.append("no node of the cluster answers")
    seen = refused if is_lost and refused is not None else topology
    failed = 0 if seen is None else _slots_of(seen, lambda node: node.failed)
    silent = 0 if seen is None else _slots_of(seen, lambda node: is_down(node.address))
    if seen is not None:
        uncovered = SLOT_COUNT - seen.covered_slots
        if uncovered:
            missing.append(f"{uncovered} of {SLOT_COUNT} slots have no owner")
        if failed:
            missing.append(f"{failed} of {SLOT_COUNT} slots have an owner that has failed")
        elif silent:
            missing.append(f"{silent} of {SLOT_COUNT} slots have an owner that does not answer")
        if not seen.is_serving:
            missing.append("the cluster says that its state is not ok")
    if not has_commands:
        missing.append("no node has told its commands")
    return ReadinessView(
        ready=not missing,
        missing=tuple(missing),
        listening=is_listening,
        draining=is_draining,
        map_known=topology is not None,
        serving=seen is not None and seen.is_serving,
        covered_slots=seen.covered_slots - failed if seen else 0,
        commands_known=has_commands,
    )


def _slots_of(topology: Topology, is_meant: Callable[[Node], bool]) -> int:
    meant = {place for place, node in enumerate(topology.nodes) if is_meant(node)}
    return sum(owner in meant for owner in topology.owners) if meant else 0
