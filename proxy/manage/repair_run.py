"""Carry a repair out, looking anew after each round, until there is nothing left to repair.

Strategy: the nodes get a moment to settle things among themselves first; then steps are
planned, done and planned again, because closing one thing may show the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.manage.agreement import first_disagreement
from proxy.manage.errors import ManageError, NodeRefused, NotInTime
from proxy.manage.links import Links
from proxy.manage.loads import in_parts
from proxy.manage.migrate_classic import ClassicMigration, set_slots
from proxy.manage.migrate_keys import KeyMover, Tally
from proxy.manage.migrate_run import road_between
from proxy.manage.patience import wait_until_none
from proxy.manage.progress import OnProgress, Progress, ignore
from proxy.manage.repair_plan import (
    Assign,
    Bump,
    Close,
    Gather,
    GoOn,
    Keys,
    Repair,
    RepairPlan,
    Step,
    describe,
    doubtful_slots,
    plan_repair,
)
from proxy.manage.view import View

ROUNDS = 6
SETTLE_S = 3.0  # chosen: gossip goes round once a second
BATCH = 50  # open slots that are gone on with together


def count_keys(links: Links, view: View, slots: Sequence[int]) -> Keys:
    """Count the keys of slots at every primary that answers, whoever owns them."""
    found = {}
    for report in view.reports:
        if report.is_primary and slots:
            counts = in_parts(links, report, [("CLUSTER", "COUNTKEYSINSLOT", s) for s in slots])
            found.update({(report.id, s): n for s, n in zip(slots, counts, strict=True)})
    return found


def find_repair(links: Links, view: View, *, lost: bool = False) -> RepairPlan:
    """Return what would be done now.

    Raises:
        ManageError: A node went away while its keys were counted.
    """
    return plan_repair(view, count_keys(links, view, doubtful_slots(view, lost=lost)), lost=lost)


def repair(
    links: Links,
    look_again: Callable[[], View],
    on_progress: OnProgress = ignore,
    *,
    lost: bool = False,
) -> Repair:
    """Repair what can be repaired, and wait until the nodes that answer agree.

    Args:
        links: To the nodes.
        look_again: Returns what all nodes say now.
        on_progress: Told before each step; what it raises ends the work there.
        lost: Also give away the slots of primaries that failed without a replica.

    Returns:
        What was done, and what is still wrong.

    Raises:
        ManageError: A node refused, went away, or the same things stay broken.
    """
    done: list[str] = []
    _settle(look_again)
    for _ in range(ROUNDS):
        view = look_again()
        plan = find_repair(links, view, lost=lost)
        if not plan.steps:
            break
        worker = _Repair(links, view)
        for number, step in enumerate(plan.steps):
            words = describe(step, view)
            on_progress(Progress(words, number, len(plan.steps), worker.tally.keys))
            worker.do(step)
            done.append(words)
        worker.flush()
        _settle(look_again)
    else:
        raise ManageError(f"after {ROUNDS} rounds there is still: {describe(plan.steps[0], view)}")
    silent = set(look_again().silent)
    wait_until_none(lambda: first_disagreement(look_again(), silent=silent))
    return Repair(tuple(done), plan.notes)


def _settle(look_again: Callable[[], View]) -> None:
    """Give the nodes a moment to agree by themselves; whether they did is seen afterwards."""
    view = look_again()
    try:
        wait_until_none(lambda: first_disagreement(look_again(), silent=view.silent), SETTLE_S)
    except NotInTime:
        return


class _Repair:
    """Does the steps of one plan; open slots of the same two nodes go together."""

    def __init__(self, links: Links, view: View) -> None:
        self.tally = Tally()
        self._links = links
        self._view = view
        self._waiting: dict[tuple[str, str], list[int]] = {}

    def do(self, step: Step) -> None:
        """Do one step, or keep it until ``flush``."""
        match step:
            case GoOn(slot, source, target):
                batch = self._waiting.setdefault((source, target), [])
                batch.append(slot)
                if len(batch) >= BATCH:
                    self.flush()
            case Close(slot, node):
                set_slots(self._links, self._view.by_id[node].address, [slot], "STABLE")
            case Gather(slot, holder, to, owner):
                self._gather(slot, holder, to, owner)
            case Assign(slots, node, _keys):
                self._assign(slots, node)
            case Bump(node, _reason):
                self._call(node, "CLUSTER", "BUMPEPOCH")

    def flush(self) -> None:
        """Go on with the open slots that were kept."""
        waiting, self._waiting = self._waiting, {}
        for (source, target), slots in waiting.items():
            road = road_between(self._view, source, target)
            migration = ClassicMigration(
                self._links, road, tally=self.tally, on_keys=lambda _keys: None
            )
            migration.move(slots, lambda _step: None)

    def _gather(self, slot: int, holder: str, to: str, owner: str) -> None:
        road = road_between(self._view, holder, to)
        # A node gives and takes keys of a slot that is not its own only if it is marked.
        set_slots(self._links, road.source, [slot], "IMPORTING", owner)
        if to != owner:
            set_slots(self._links, road.target, [slot], "IMPORTING", owner)
        mover = KeyMover(
            self._links,
            road.source,
            road.target_announced,
            tally=self.tally,
            on_keys=lambda _keys: None,
        )
        mover.move([slot])
        set_slots(self._links, road.source, [slot], "STABLE")

    def _assign(self, slots: Sequence[int], node: str) -> None:
        known = self._view.by_id[node].topology.owners
        taken = [slot for slot in slots if known[slot] is not None]
        if taken:
            self._call(node, "CLUSTER", "DELSLOTS", *taken)
        self._call(node, "CLUSTER", "ADDSLOTS", *slots)
        # What others have heard of before must not win against this.
        self._call(node, "CLUSTER", "BUMPEPOCH")
        for report in self._view.reports:
            if report.is_primary and report.id != node:
                try:
                    set_slots(self._links, report.address, slots, "NODE", node)
                except NodeRefused:
                    continue  # it has keys of them, which are brought next; gossip tells it

    def _call(self, node: str, *words: str | int) -> None:
        self._links[self._view.by_id[node].address].call(*words)
