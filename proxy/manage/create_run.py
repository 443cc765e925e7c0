"""Make a planned cluster: the only part of a creation that changes anything.

Strategy: look, let ``create_plan`` say what is to be done next, do it, look again, until
nothing is left; then wait until every node agrees. What was done before a kill is
seen, not remembered.

Cost: about 3 s for six nodes, of which 2 s are a node's refusal to serve just after its
start (CLUSTER_WRITABLE_DELAY in the servers' sources).
"""

from __future__ import annotations

import socket
import time

from proxy.cluster.addresses import Address, AddressMap
from proxy.manage.agreement import first_disagreement
from proxy.manage.create_plan import CreatePlan, addresses_of, meeting_place, next_phase
from proxy.manage.errors import ManageError, NodeRefused, NotInTime
from proxy.manage.links import CONNECT_TIMEOUT_S, Links
from proxy.manage.look import look_at
from proxy.manage.patience import AGREEMENT_DEADLINE_S, wait_until_none
from proxy.manage.progress import OnProgress, Progress, ignore
from proxy.manage.report import Report
from proxy.manage.view import View


def create_cluster(
    links: Links,
    plan: CreatePlan,
    on_progress: OnProgress = ignore,
    *,
    deadline_s: float = AGREEMENT_DEADLINE_S,
) -> None:
    """Carry a plan out, from wherever it stands, and wait until all nodes agree.

    Args:
        links: To the nodes.
        plan: Of ``plan_create``.
        on_progress: Told before each step; what it raises ends the work there.
        deadline_s: For each of the two waits: that all know each other, that all agree.

    Raises:
        ManageError: A node refused, went away, or they did not find each other in time.
            The same call goes on from there.
    """
    addresses = addresses_of(plan.nodes)
    ids = [node.id for node in plan.nodes]
    deadline = time.monotonic() + deadline_s
    while True:
        view = _complete(look_at(links, addresses), ids)
        phase = next_phase(plan, view)
        if phase is None:
            break
        for number, tell in enumerate(phase.tells):
            on_progress(Progress(phase.words, number, len(phase.tells)))
            try:
                links[tell.address].call(*tell.command)
            except NodeRefused as problem:
                # For a moment, while introductions that went both ways are settled.
                if "Unknown node" not in problem.words or time.monotonic() > deadline:
                    raise
        if not phase.tells:
            on_progress(Progress(phase.words))
            if time.monotonic() > deadline:
                raise NotInTime(f"not within {deadline_s:g} s: {phase.words}")
            # Gossip goes round ten times a second.
            time.sleep(0.05)
    on_progress(Progress("wait until every node agrees"))
    wait_until_none(lambda: first_disagreement(look_at(links, addresses), ids), deadline_s)


def unreachable_announcements(
    links: Links, view: View, address_map: AddressMap
) -> tuple[list[str], list[str]]:
    """Try the addresses by which other nodes and clients will know these nodes.

    Returns:
        Problems: an announced address that leads nowhere or to another server. Notes:
        the port of a cluster bus that does not answer here, and may do so elsewhere.
    """
    problems: list[str] = []
    notes: list[str] = []
    for report in view.reports:
        if report.not_in_cluster_mode:
            continue
        announced, bus_port = meeting_place(report)
        place = address_map.reachable(announced)
        reason = _leads_elsewhere(links, place, report)
        if reason is not None:
            problems.append(f"{report.address}: it announces {announced}: {reason}")
        elif not _listens(Address(place.host, bus_port)):
            notes.append(
                f"{report.address}: port {bus_port} of its cluster bus does not answer here; "
                "the nodes have to reach it"
            )
    return problems, notes


def _leads_elsewhere(links: Links, place: Address, report: Report) -> str | None:
    if place == report.address:
        return None
    try:
        found = links[place].call("CLUSTER", "MYID")
    except ManageError as problem:
        return f"{problem}; see cluster.address_map, if that address is not meant for here"
    if found != report.id.encode():
        return "another server answers there"
    return None


def _listens(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _complete(view: View, ids: list[str]) -> View:
    for address, reason in view.silent.items():
        raise ManageError(f"{address} does not answer any more: {reason}")
    for node_id in ids:
        if node_id not in view.by_id:
            raise ManageError(f"node {node_id[:12]} is another one than when this was planned")
    return view
