"""Plan the same cluster again: a backup's shape on empty nodes. Pure.

Strategy: the plan is a ``CreatePlan`` in which slots and roles are not dealt but given, so that
``create_run`` carries it out, and goes on after a kill. Ids, epochs and settings
are the new nodes' own: epochs are given anew, in the order in which they were.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.cluster.addresses import Address
from proxy.cluster.slots import slot_ranges, slot_text
from proxy.manage.backup import Backup
from proxy.manage.create_plan import (
    CreatePlan,
    NewPrimary,
    NewReplica,
    already_otherwise,
    meeting_place,
    problems_of_all,
)
from proxy.manage.errors import CannotPlan
from proxy.manage.view import View


def plan_restore(backup: Backup, view: View, asked: tuple[Address, ...]) -> CreatePlan:
    """Return the plan for a cluster of a backup's shape.

    Args:
        backup: The shape.
        view: What the empty nodes say.
        asked: Where the nodes of the backup are asked, in its order.

    Raises:
        CannotPlan: With all that is in the way, a sentence each.
    """
    problems = [f"{address}: {reason}" for address, reason in view.silent.items()]
    problems += problems_of_all(view.reports)
    if backup.uncovered:
        problems.append(f"in the backup nobody owns slots {slot_text(backup.uncovered)}")
    if problems:
        raise CannotPlan(problems)
    by_address = {report.address: report for report in view.reports}
    pairs = [(node, by_address[place]) for node, place in zip(backup.nodes, asked, strict=True)]
    report_of = {node.id: report for node, report in pairs}
    host = {node.id: meeting_place(report)[0].host for node, report in pairs}
    primaries = sorted(
        ((node, report) for node, report in pairs if node.copies is None),
        key=lambda pair: pair[0].config_epoch,
    )
    plan = CreatePlan(
        primaries=tuple(
            NewPrimary(report.id, report.address, host[node.id], slot_ranges(node.slots))
            for node, report in primaries
        ),
        replicas=tuple(
            NewReplica(
                report.id,
                report.address,
                host[node.id],
                report_of[node.copies].id,
                report_of[node.copies].address,
            )
            for node, report in pairs
            if node.copies is not None
        ),
        is_begun=any(report.own_slots or len(report.lines) > 1 for report in view.reports),
    )
    problems = already_otherwise(plan, view)
    if problems:
        raise CannotPlan(problems)
    notes = ["only the shape is restored: a backup of it has no keys and no values"]
    notes += [
        f"replica {report.address} would be on the host of its primary"
        for node, report in pairs
        if node.copies is not None and host[node.id] == host[node.copies]
    ]
    notes += [
        f"{report.address} is {report.engine} {report.version}, it was {node.engine} {node.version}"
        for node, report in pairs
        if node.version and (node.engine, node.version) != (report.engine, report.version)
    ]
    return replace(plan, notes=tuple(notes))
