"""PROXY INFO: the counters as lines of text, in sections, as a server's INFO has them.

Strategy: one function for each section, in one table. Whoever reads a server's INFO reads
this one: ``# Title``, ``name:value``, fields of things that there are several of as
``name0:key=value,key=value``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from proxy.insight.insight import Insight
from proxy.insight.views import Latency, Named, StatsView

Lines = Iterator[tuple[str, object]]


def info_text(insight: Insight, wanted: Sequence[bytes]) -> bytes:
    """Return the sections of these names; all of them without a name, or for a word like "all"."""
    names = {word.decode("utf-8", "replace").lower() for word in wanted}
    if not names or names & {"all", "default", "everything"}:
        names = set(SECTIONS)
    view = insight.stats()
    return "\r\n".join(
        f"# {name.capitalize()}\r\n"
        + "".join(f"{field}:{_text(value)}\r\n" for field, value in section(view, insight))
        for name, section in SECTIONS.items()
        if name in names
    ).encode("utf-8", "backslashreplace")


def _server(view: StatsView, insight: Insight) -> Lines:
    yield "slotway_version", view.version
    yield "process_id", view.pid
    yield "uptime_in_seconds", int(view.uptime_s)
    yield "servers", view.server
    readiness = insight.readiness()
    yield "ready", readiness.ready
    yield "missing", "; ".join(readiness.missing)


def _clients(view: StatsView, _: Insight) -> Lines:
    now = view.now
    yield "connected_clients", now.clients
    yield "max_clients", now.max_clients
    yield "blocked_clients", now.blocked
    yield "subscribers", now.subscribers
    yield "client_buffers_bytes", now.client_buffers_bytes


def _memory(view: StatsView, _: Insight) -> Lines:
    yield "resident_bytes", view.now.memory_bytes
    yield "held_bytes", view.now.held_bytes
    yield "loop_lag_ms", view.now.loop_lag_ms


def _stats(view: StatsView, _: Insight) -> Lines:
    totals = view.totals
    for field in dataclasses.fields(totals):
        yield f"total_{field.name}", int(getattr(totals, field.name))
    yield "requests_per_s", view.last_10s.requests
    yield "errors_per_s", view.last_10s.errors
    yield "in_flight", view.now.in_flight


def _latency(view: StatsView, _: Insight) -> Lines:
    yield "all", _latency_text(view.latency)
    for family in view.families:
        yield family.family, f"per_s={_number(family.per_s)},{_latency_text(family.whole)}"


def _nodes(view: StatsView, _: Insight) -> Lines:
    for number, node in enumerate(view.nodes):
        shares = f"{_latency_text(node.whole)},{_latency_text(node.backend, 'node_')}"
        yield f"node{number}", f"address={node.node},per_s={_number(node.per_s)},{shares}"


def _refusals(view: StatsView, _: Insight) -> Lines:
    yield from _named("redirect", view.redirects)
    yield from _named("refusal", view.retries)


def _errors(view: StatsView, _: Insight) -> Lines:
    yield from _named("error", view.errors)


def _limits(view: StatsView, _: Insight) -> Lines:
    yield from _named("limit", view.limits)


def _cluster(view: StatsView, insight: Insight) -> Lines:
    topology = insight.topology()
    yield "map_generation", topology.generation
    yield "config_epoch", topology.config_epoch
    yield "covered_slots", topology.covered_slots
    yield "serving", topology.serving
    yield "shards", len(topology.shards)
    yield "moving_slots", len(topology.moving)
    yield "connections", view.now.connections
    yield "private_connections", view.now.private_connections
    yield "lanes", view.now.lanes


SECTIONS: dict[str, Callable[[StatsView, Insight], Lines]] = {
    "server": _server,
    "clients": _clients,
    "memory": _memory,
    "stats": _stats,
    "cluster": _cluster,
    "latency": _latency,
    "nodes": _nodes,
    "refusals": _refusals,
    "errors": _errors,
    "limits": _limits,
}


def _named(prefix: str, counted: Sequence[Named]) -> Lines:
    for one in counted:
        yield f"{prefix}_{one.name}", f"total={one.total},per_s={_number(one.per_s)}"


def _latency_text(latency: Latency, prefix: str = "") -> str:
    shares = ("p50_ms", "p90_ms", "p99_ms", "p999_ms")
    found = ",".join(f"{prefix}{name}={_text(getattr(latency, name))}" for name in shares)
    return f"{prefix}count={latency.count},{found}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case float():
            return _number(value)
        case _:
            return str(value)
