"""Play through what may happen to a cluster, without a server. Pure.

Strategy: a shape, and events one after the other. What each moves or loses is planned and
judged by the code that serves real clusters; what it costs is ``simulate_figures``.

Cost: growth from 6 to 1000 nodes and two losses 0.4 s (CPython 3.11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.manage.errors import CannotPlan
from proxy.manage.move_plan import Move, plan_rebalance, plan_reshard
from proxy.manage.simulate_figures import (
    Assumptions,
    LossForecast,
    MoveForecast,
    forecast_loss,
    forecast_moves,
)
from proxy.manage.simulate_shape import Shape
from proxy.manage.survival import host_verdicts, node_verdicts, verdict, working_nodes


@dataclass(frozen=True, slots=True)
class Grow:
    """The cluster grows to so many nodes, and every primary gets its share."""

    nodes: int


@dataclass(frozen=True, slots=True)
class Reshard:
    """Slots go to one shard, from all others by what they have."""

    slots: int
    to: str = ""
    """A primary; empty: the one with fewest slots."""


@dataclass(frozen=True, slots=True)
class LoseNode:
    """A node is gone."""

    node: str


@dataclass(frozen=True, slots=True)
class LoseHost:
    """All nodes of a host are gone at the same time."""

    host: str


Event = Grow | Reshard | LoseNode | LoseHost


@dataclass(frozen=True, slots=True)
class SimulatedShard:
    """One shard."""

    primary: Address
    slots: int
    replicas: int
    is_lost: bool = False
    """Nobody serves its slots."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The cluster between two events."""

    nodes: int
    """That are well."""
    shards: tuple[SimulatedShard, ...]
    fewest_slots: int
    most_slots: int
    survives_any_node: bool
    survives_any_host: bool


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """One event, what it costs, and how things stand afterwards."""

    event: str
    moves: MoveForecast | None
    loss: LossForecast | None
    after: Standing


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was played through."""

    assumptions: Assumptions
    before: Standing
    steps: tuple[SimulatedStep, ...]


def simulate(
    shape: Shape, events: Sequence[Event], assumptions: Assumptions | None = None
) -> Simulation:
    """Play events through, each on what the one before has left.

    Args:
        shape: The cluster at first.
        events: In order.
        assumptions: What the figures rest on.

    Raises:
        CannotPlan: An event cannot be: a node or host that is not there, more slots than
            there are.
    """
    given = assumptions or Assumptions()
    before = _standing(shape)
    steps = []
    for event in events:
        words, shape, moves, loss = _play(shape, event, given)
        forecast = None if moves is None else forecast_moves(moves, given)
        steps.append(SimulatedStep(words, forecast, loss, _standing(shape)))
    return Simulation(given, before, tuple(steps))


def _play(
    shape: Shape, event: Event, given: Assumptions
) -> tuple[str, Shape, tuple[Move, ...] | None, LossForecast | None]:
    match event:
        case Grow(count):
            grown = shape.grown(count)
            moves = plan_rebalance(grown.view)
            words = f"grow from {len(shape.nodes):,} to {len(grown.nodes):,} nodes"
            return words, grown.after(moves), moves, None
        case Reshard(count, to):
            target = shape.view.find(to).id if to else _poorest(shape)
            sources = [node.id for node in shape.topology.primaries if not node.failed]
            moves = plan_reshard(shape.view, sources, target, count)
            words = f"reshard {count:,} slots to {shape.view.name(target)}"
            return words, shape.after(moves), moves, None
        case LoseNode(name):
            node = shape.view.find(name)
            return _lose(shape, f"node {node.address}", {node.id}, given)
        case LoseHost(host):
            lost = {node.id for node in shape.nodes if node.address.host == host}
            if not lost:
                raise CannotPlan([f"no node is on host {host!r}"])
            return _lose(shape, f"host {host}", lost, given)


def _lose(
    shape: Shape, words: str, lost: set[str], given: Assumptions
) -> tuple[str, Shape, None, LossForecast]:
    working = working_nodes(shape.view)
    found = verdict(shape.view, words, lost, working)
    primaries = shape.topology.primaries
    voters = sum(node.id in working and node.id not in lost for node in primaries)
    slots = sum(len(shape.slots.get(node_id, ())) for node_id in lost & working)
    left = shape.without(lost, may_vote=voters > len(primaries) // 2)
    return f"lose {words}", left, None, forecast_loss(found, len(lost), slots, given)


def _poorest(shape: Shape) -> str:
    alive = [node for node in shape.nodes if node.is_primary and not node.failed]
    return min(alive, key=lambda node: len(shape.slots.get(node.id, ()))).id


def _standing(shape: Shape) -> Standing:
    replicas: dict[str, int] = {}
    for node in shape.nodes:
        if node.primary_id is not None:
            replicas[node.primary_id] = replicas.get(node.primary_id, 0) + 1
    shards = tuple(
        SimulatedShard(
            node.address, len(shape.slots.get(node.id, ())), replicas.get(node.id, 0), node.failed
        )
        for node in shape.nodes
        if node.is_primary
    )
    sizes = [shard.slots for shard in shards]
    return Standing(
        nodes=sum(not node.failed for node in shape.nodes),
        shards=shards,
        fewest_slots=min(sizes, default=0),
        most_slots=max(sizes, default=0),
        survives_any_node=_all_survive(shape, by_host=False),
        survives_any_host=_all_survive(shape, by_host=True),
    )


def _all_survive(shape: Shape, *, by_host: bool) -> bool:
    if any(node.failed for node in shape.nodes):
        return False
    verdicts = host_verdicts(shape.view) if by_host else node_verdicts(shape.view)
    return all(each.survives for each in verdicts)
