"""Let nodes join and leave, copy another primary, take over: each with a wait for agreement.

Strategy: every function looks at what is so already and does the rest, so that after a kill
the same call goes on. A node that leaves is forgotten by all at the same time: gossip
of one that still knows it would bring it back to the others after their minute of
deafness, so that they are asked until nobody knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from proxy.manage.agreement import first_disagreement
from proxy.manage.errors import NodeRefused, NotInTime
from proxy.manage.links import Links
from proxy.manage.member_plan import AddPlan, FailoverPlan, RemovePlan
from proxy.manage.patience import AGREEMENT_DEADLINE_S, wait_until_none
from proxy.manage.progress import OnProgress, Progress, ignore
from proxy.manage.view import View

FAILOVER_DEADLINE_S = 30.0
if TYPE_CHECKING:
    from proxy.manage.link import Link

LookAgain = Callable[[], View]


def add_node(
    links: Links, look_again: LookAgain, plan: AddPlan, on_progress: OnProgress = ignore
) -> None:
    """Let a node join; a replica is linked and a primary has all functions when this returns.

    Raises:
        ManageError: A node refused, went away, or they did not agree in time.
    """
    view = look_again()
    if plan.primary_id is None and plan.id not in view.by_id:
        on_progress(Progress("copy the functions"))
        _copy_functions(links, view, plan)
    if plan.id not in view.by_id:
        on_progress(Progress("introduce it to all nodes"))
        meet = ("CLUSTER", "MEET", plan.meets.host, plan.meets.port, plan.bus_port)
        links.tell_all({report.address: [meet] for report in view.reports})
    on_progress(Progress("wait until every node knows it"))
    _wait_until_agreed(look_again, [plan.id], view)
    if plan.primary_id is not None:
        replicate(links, look_again, [(plan.id, plan.primary_id)], on_progress)


def replicate(
    links: Links,
    look_again: LookAgain,
    pairs: Sequence[tuple[str, str]],
    on_progress: OnProgress = ignore,
) -> None:
    """Make nodes replicas, each of its primary, and wait until they are linked.

    Args:
        links: To the nodes.
        look_again: Returns what all nodes say now.
        pairs: (node id, primary id).
        on_progress: Told before each step.

    Raises:
        ManageError: A node refused, went away, or they did not agree in time.
    """
    view = look_again()
    for node, primary in pairs:
        report = view.report_of(node)
        if report.myself.primary_id != primary:
            on_progress(Progress(f"{report.address} copies {view.name(primary)}"))
            wait_until_none(partial(_refusal, links[report.address], primary))
    on_progress(Progress("wait until every node agrees"))
    _wait_until_agreed(look_again, [], view)


def forget(
    links: Links, look_again: LookAgain, plan: RemovePlan, on_progress: OnProgress = ignore
) -> None:
    """Let a node that has no slots and no replicas go: nobody knows it afterwards.

    It is reset (CLUSTER RESET HARD): it knows nobody either, and has a new id, since the others
    refuse the old one for a minute. So it can join again at once.

    Raises:
        ManageError: A node refused, went away, or somebody goes on knowing it.
    """
    on_progress(Progress("forget it everywhere"))
    leaving = next((report for report in look_again().reports if report.id == plan.id), None)

    def still_known() -> str | None:
        view = look_again()
        knowing = [
            report
            for report in view.reports
            if report.id != plan.id and report.line_of(plan.id) is not None
        ]
        if not knowing:
            return None
        replies = links.ask_all(
            [report.address for report in knowing], [("CLUSTER", "FORGET", plan.id)]
        )
        for reply in replies.values():
            refusal = reply[0] if isinstance(reply, list) else None
            # A replica that was given another primary a moment ago may not have settled.
            if isinstance(refusal, NodeRefused) and not _passes(refusal):
                raise refusal
        return f"{knowing[0].address} still knows {plan.address}"

    wait_until_none(still_known)
    if leaving is not None:
        on_progress(Progress("reset it"))
        links[leaving.address].call("CLUSTER", "RESET", "HARD")
    on_progress(Progress("wait until every node agrees"))
    view = look_again()
    _wait_until_agreed(look_again, [], view)


def failover(
    links: Links,
    look_again: LookAgain,
    plan: FailoverPlan,
    mode: str = "",
    on_progress: OnProgress = ignore,
) -> None:
    """Promote a replica, and wait until all nodes that answer have heard of it.

    Args:
        links: To the nodes.
        look_again: Returns what all nodes say now.
        plan: Who takes over from whom.
        mode: Empty: with its primary's help, nothing is lost. ``FORCE``: the primary is gone;
            the others vote. ``TAKEOVER``: without a vote, when there is no majority.
        on_progress: Told before each step.

    Raises:
        ManageError: It refused, or it is no primary in time.
    """
    view = look_again()
    on_progress(Progress(f"{plan.heir} takes over"))
    heir = links[view.report_of(plan.heir_id).address]
    heir.call("CLUSTER", "FAILOVER", *([mode] if mode else []))

    def not_yet() -> str | None:
        now = look_again()
        report = now.by_id.get(plan.heir_id)
        if report is None:
            return f"{plan.heir} does not answer"
        return None if report.is_primary else f"{plan.heir} is still a replica"

    try:
        wait_until_none(not_yet, FAILOVER_DEADLINE_S)
    except NotInTime as problem:
        raise NotInTime(
            f"{problem}; its log says why, and --force or --takeover may help"
        ) from None
    on_progress(Progress("wait until every node agrees"))
    _wait_until_agreed(look_again, [plan.heir_id], view, is_whole=not mode)


def _refusal(link: Link, primary: str) -> str | None:
    """Tell a node whom to copy; return why it cannot yet.

    A node that has just joined may lose sight of another for a moment, while the introductions
    that went both ways are settled.
    """
    try:
        link.call("CLUSTER", "REPLICATE", primary)
    except NodeRefused as problem:
        if "Unknown node" not in problem.words:
            raise
        return problem.words
    return None


def _wait_until_agreed(
    look_again: LookAgain, expected: Sequence[str], before: View, *, is_whole: bool = True
) -> None:
    """Wait for an agreement of those who answered before, or, with losses, of who answers."""

    def disagreement() -> str | None:
        view = look_again()
        return first_disagreement(view, expected, before.silent if is_whole else view.silent)

    wait_until_none(disagreement, AGREEMENT_DEADLINE_S)


def _passes(refusal: NodeRefused) -> bool:
    return "Unknown node" in refusal.words or "my master" in refusal.words


def _copy_functions(links: Links, view: View, plan: AddPlan) -> None:
    """Give a new primary the cluster's functions; servers before 7.0 have none."""
    for report in view.primaries:
        replies = links[report.address].call_each([("FUNCTION", "DUMP")])
        if not isinstance(replies[0], NodeRefused):
            links[plan.address].call("FUNCTION", "RESTORE", replies[0], "REPLACE")
        return
