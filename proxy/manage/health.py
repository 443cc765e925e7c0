"""Is the cluster well? Every finding with a code, a weight and a sentence. Pure.

Strategy: a check is a function from the ``View`` to findings; ``CHECKS`` is all of them.
A *problem* is something that fails requests or loses data now, a *warning* something
that will when one more thing happens.

Cost: that of comparing all views, 0.3 ms a node (CPython 3.11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.slots import SLOT_COUNT, slot_text
from proxy.manage.agreement import differences
from proxy.manage.health_nodes import NODE_CHECKS
from proxy.manage.health_values import Finding
from proxy.manage.inspect import open_slots, versions
from proxy.manage.survival import Verdict, host_verdicts, in_order, node_verdicts
from proxy.manage.view import View


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict on a cluster."""

    status: str
    """``healthy``, ``warning`` or ``unhealthy``: as the worst finding says."""
    findings: tuple[Finding, ...]
    """Problems first."""
    survives_any_node: bool
    survives_any_host: bool
    verdicts: tuple[Verdict, ...]
    """What the loss of each node and host with a primary would mean."""
    nodes: int
    """That answered."""


def health(view: View) -> Health:
    """Return everything that is wrong, or will be when one more thing happens."""
    nodes, hosts = node_verdicts(view), host_verdicts(view)
    found = [finding for check in CHECKS for finding in check(view)]
    for name, verdicts in (("node", nodes), ("host", hosts)):
        bad = [verdict for verdict in verdicts if not verdict.survives]
        if bad:
            yes = f"{bad[0].loss}: {bad[0].reason}"
            more = f" (and of {len(bad) - 1} more)" if len(bad) > 1 else ""
            found.append(
                Finding(
                    f"{name}_loss", "warning", None, f"would not survive the loss of {yes}{more}"
                )
            )
    found.sort(key=lambda finding: finding.severity != "problem")
    return Health(
        status=_status(found),
        findings=tuple(found),
        survives_any_node=bool(nodes) and all(verdict.survives for verdict in nodes),
        survives_any_host=bool(hosts) and all(verdict.survives for verdict in hosts),
        verdicts=(*nodes, *hosts),
        nodes=len(view.reports),
    )


def unreachable(reason: str) -> Health:
    """Return the verdict on a cluster of which no node answers."""
    finding = Finding("unreachable", "problem", None, reason)
    return Health("unhealthy", (finding,), False, False, (), 0)


def _status(findings: list[Finding]) -> str:
    severities = {finding.severity for finding in findings}
    if "problem" in severities:
        return "unhealthy"
    return "warning" if severities else "healthy"


def _state(view: View) -> Iterator[Finding]:
    for report in view.reports:
        if not report.topology.is_serving:
            yield Finding(
                "state", "problem", report.address, "says cluster_state:fail and refuses requests"
            )


def _coverage(view: View) -> Iterator[Finding]:
    missing = [slot for slot, owner in enumerate(view.topology.owners) if owner is None]
    if missing:
        yield Finding(
            "coverage",
            "problem",
            None,
            f"{len(missing)} of {SLOT_COUNT} slots have no owner: {slot_text(missing)[:80]}",
        )
    for primary in view.topology.primaries:
        if primary.failed:
            slots = len(view.slots_of(primary.id))
            yield Finding(
                "coverage", "problem", primary.address, f"owns {slots} slots and has failed"
            )


def _agreement(view: View) -> Iterator[Finding]:
    for words in differences(view):
        yield Finding("disagreement", "problem", None, words)


def _open_slots(view: View) -> Iterator[Finding]:
    by_node: dict[tuple[Address, str], list[int]] = {}
    for each in open_slots(view):
        by_node.setdefault((each.node, each.state), []).append(each.slot)
    for (address, state), slots in by_node.items():
        yield Finding(
            "open_slots",
            "warning",
            address,
            f"{len(slots)} slots are {state}: {slot_text(slots)[:80]}; being moved, or left so: "
            "slotway cluster fix ends it",
        )


def _epochs(view: View) -> Iterator[Finding]:
    by_epoch: dict[int, list[Address]] = {}
    for report in view.primaries:
        by_epoch.setdefault(report.myself.config_epoch, []).append(report.address)
    for epoch, addresses in by_epoch.items():
        if len(addresses) > 1:
            yield Finding(
                "epoch_collision",
                "warning",
                None,
                f"config epoch {epoch} is that of {', '.join(map(str, addresses))}: "
                "no node can tell whose claim to a slot is newer",
            )


def _replicas(view: View) -> Iterator[Finding]:
    for primary in in_order(view.topology.primaries):
        copies = [node for node in view.topology.replicas_of(primary.id) if not node.failed]
        if not copies:
            yield Finding("no_replica", "warning", primary.address, "has no replica")
        for copy in copies:
            if copy.address.host == primary.address.host:
                yield Finding(
                    "same_host",
                    "warning",
                    copy.address,
                    f"is on the host of its primary {primary.address}",
                )


def _versions(view: View) -> Iterator[Finding]:
    found = versions(view.reports)
    if len(found) > 1:
        yield Finding("version_mix", "warning", None, f"several versions: {', '.join(found)}")


CHECKS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _state,
    _coverage,
    _agreement,
    _open_slots,
    _epochs,
    _replicas,
    _versions,
    *NODE_CHECKS,
)
