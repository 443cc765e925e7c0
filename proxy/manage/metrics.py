"""What the nodes do: clients, memory, hits, commands; each of them, and all together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.manage.inspect import node_states
from proxy.manage.report import Report
from proxy.manage.view import View


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one node or of several. Counters are since each server's start."""

    clients: int
    memory_bytes: int
    hits: int
    """Reads that found their key."""
    misses: int
    commands: int
    ops_per_s: int
    """As each server measures it itself, over its last seconds."""
    hit_rate: float | None
    """Hits among all reads, from 0 to 1; None if there were none."""


@dataclass(frozen=True, slots=True)
class NodeMetrics:
    """One node's figures."""

    address: Address
    role: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every node that answered, shard by shard, and their sum.

    Memory, clients and commands are summed over all nodes, hits and misses too: they
    differ between a primary and its replicas only by who was asked.
    """

    nodes: tuple[NodeMetrics, ...]
    total: Figures


def metrics(view: View) -> Metrics:
    """Return the figures of all nodes that answered."""
    found = []
    for state in node_states(view):
        report = view.by_id.get(state.id)
        if report is not None:
            found.append(NodeMetrics(state.address, state.role, _figures(report)))
    return Metrics(tuple(found), _sum([node.figures for node in found]))


def _figures(report: Report) -> Figures:
    hits, misses = report.number("keyspace_hits"), report.number("keyspace_misses")
    return Figures(
        clients=report.number("connected_clients"),
        memory_bytes=report.number("used_memory"),
        hits=hits,
        misses=misses,
        commands=report.number("total_commands_processed"),
        ops_per_s=report.number("instantaneous_ops_per_sec"),
        hit_rate=_hit_rate(hits, misses),
    )


def _sum(figures: Sequence[Figures]) -> Figures:
    hits, misses = sum(each.hits for each in figures), sum(each.misses for each in figures)
    return Figures(
        clients=sum(each.clients for each in figures),
        memory_bytes=sum(each.memory_bytes for each in figures),
        hits=hits,
        misses=misses,
        commands=sum(each.commands for each in figures),
        ops_per_s=sum(each.ops_per_s for each in figures),
        hit_rate=_hit_rate(hits, misses),
    )


def _hit_rate(hits: int, misses: int) -> float | None:
    return hits / (hits + misses) if hits + misses else None
