"""The library face: one object for a cluster, a method for each thing an operator does.

Strategy: what only looks is inherited; methods that plan change nothing and return what would
be done; the others carry it out and tell how far they are. Nothing is printed.

```python
with ClusterManager(["10.0.0.1:7000"]) as manager:
    print(manager.info().state)
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from proxy.cluster.addresses import Address
from proxy.manage import (
    create_plan,
    create_run,
    import_run,
    inspect,
    member_plan,
    member_run,
    move_plan,
    repair_run,
)
from proxy.manage.backup import Backup, reachable
from proxy.manage.create_plan import CreatePlan
from proxy.manage.errors import CannotPlan, NodeUnreachable
from proxy.manage.import_run import ImportOutcome, ImportPlan
from proxy.manage.links import Links, Login
from proxy.manage.loads import measure
from proxy.manage.look import look_at, watcher
from proxy.manage.member_plan import AddPlan, FailoverPlan, RemovePlan, ReplicatePlan
from proxy.manage.migrate_run import MoveOptions, MoveOutcome, Stop, run_moves
from proxy.manage.move_figures import MovePlan, figure_out
from proxy.manage.move_plan import Move
from proxy.manage.observer import ClusterObserver
from proxy.manage.progress import OnProgress, Progress, ignore
from proxy.manage.repair_plan import Repair, describe
from proxy.manage.restore_plan import plan_restore
from proxy.manage.view import View


class ClusterManager(ClusterObserver):
    """A cluster that can be looked at and changed; made as ``ClusterObserver`` says."""

    def plan_create(self, nodes: Sequence[str | Address], *, replicas: int = 1) -> CreatePlan:
        """Return the plan for a new cluster of empty nodes.

        Args:
            nodes: All of them, as ``host:port``; the first ones of each host become primaries.
            replicas: How many each primary gets at least.

        Raises:
            CannotPlan: With all that is in the way: a node that does not answer, is not
                empty, is no cluster's, is too old, announces what leads elsewhere.
        """
        addresses = [node if isinstance(node, Address) else Address.parse(node) for node in nodes]
        twice = [node for node, times in Counter(addresses).items() if times > 1]
        if twice:
            raise CannotPlan([f"{node} is named more than once" for node in twice])
        return self._checked(
            look_at(self._links, addresses), lambda view: create_plan.plan_create(view, replicas)
        )

    def plan_restore(self, backup: Backup) -> CreatePlan:
        """Return the plan for a cluster of a backup's shape, of the empty nodes at its addresses.

        ``Backup.at`` gives it other addresses; ``create`` carries the plan out.

        Raises:
            CannotPlan: With all that is in the way.
        """
        places = reachable(backup, self._address_map)
        return self._checked(
            look_at(self._links, places), lambda view: plan_restore(backup, view, places)
        )

    def create(self, plan: CreatePlan, on_progress: OnProgress = ignore) -> None:
        """Make the planned cluster, or go on making it, and wait until every node agrees.

        Raises:
            ManageError: A node refused, went away, or they did not agree in time.
        """
        create_run.create_cluster(self._links, plan, on_progress)

    def plan_reshard(
        self,
        sources: Sequence[str],
        target: str,
        slots: int,
        options: MoveOptions | None = None,
    ) -> MovePlan:
        """Return what moving slots from some primaries to one would mean.

        Args:
            sources: Addresses, or the beginnings of ids; each gives by how much it has.
            target: The same.
            slots: How many in all.
            options: How they would be moved, for the estimate.

        Raises:
            CannotPlan: They have not that many, or a name fits no primary.
            ManageError: A node does not answer.
        """
        view = self.look()
        ids = [view.find(source).id for source in sources]
        moves = move_plan.plan_reshard(view, ids, view.find(target).id, slots)
        return figure_out(self._links, view, moves, options)

    def plan_rebalance(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        by: str = "slots",
        options: MoveOptions | None = None,
    ) -> MovePlan:
        """Return the fewest moves after which every primary has its share.

        Args:
            weights: By address, or beginning of an id; 1 for who is not named, 0 drains.
            by: What is shared out: ``slots``, ``keys``, ``memory`` or ``traffic``.
            options: How slots would be moved, for the estimate.

        Raises:
            CannotPlan: A name fits no primary, or a weight is negative.
            ManageError: A node does not answer.
            ValueError: ``by`` is none of the four.
        """
        view = self.look()
        named = {view.find(name).id: weight for name, weight in (weights or {}).items()}
        moves = move_plan.plan_rebalance(view, named, measure(self._links, view, by))
        return figure_out(self._links, view, moves, options)

    def figure_out(self, moves: Sequence[Move], options: MoveOptions | None = None) -> MovePlan:
        """Return what is left of saved moves, and what it would mean. Errors as ``look``."""
        view = self.look()
        return figure_out(self._links, view, move_plan.remaining_moves(moves, view), options)

    def move(
        self,
        plan: MovePlan | Sequence[Move],
        options: MoveOptions | None = None,
        on_progress: OnProgress = ignore,
        stop: Stop | None = None,
    ) -> MoveOutcome:
        """Carry moves out, live; what others have left open is ended first.

        Args:
            plan: Slots that are where they belong already are left alone.
            options: How.
            on_progress: Told before each step, from one thread at a time.
            stop: Set it, or press Ctrl-C, to end after the slots in flight.

        Raises:
            Interrupted: It was asked to stop; no slot is open.
            ManageError: A node refused or went away; the same call goes on.
        """
        moves = plan.moves if isinstance(plan, MovePlan) else plan
        look_again = self._watcher()
        if inspect.open_slots(look_again()):
            on_progress(Progress("end what was left open"))
            repair_run.repair(self._links, look_again, on_progress)
        return run_moves(self._links, look_again, moves, options, on_progress, stop)

    def plan_repair(self, *, lost: bool = False) -> Repair:
        """Return what ``repair`` would do now, and what it cannot repair.

        Raises:
            ManageError: A node went away meanwhile.
        """
        view = self.look()
        plan = repair_run.find_repair(self._links, view, lost=lost)
        return Repair(tuple(describe(step, view) for step in plan.steps), plan.notes)

    def repair(self, on_progress: OnProgress = ignore, *, lost: bool = False) -> Repair:
        """End open slots, give slots without an owner to one, settle claims that collide.

        Args:
            on_progress: Told before each step.
            lost: Also give away slots whose primary has failed without a replica, and with
                them their keys.

        Returns:
            What was done, and what is still wrong.

        Raises:
            ManageError: A node refused, or went away.
        """
        return repair_run.repair(self._links, self._watcher(), on_progress, lost=lost)

    def plan_add(self, node: str | Address, *, replica_of: str | None = None) -> AddPlan:
        """Return how an empty node would join.

        Args:
            node: As ``host:port``.
            replica_of: A primary, or ``auto``; None: it becomes a primary without slots.

        Raises:
            CannotPlan: With all that is in the way.
            ManageError: A node does not answer.
        """
        address = node if isinstance(node, Address) else Address.parse(node)
        view = self.look()
        seen = look_at(self._links, [address])
        for silent, reason in seen.silent.items():
            raise NodeUnreachable(silent, reason)
        plan = member_plan.plan_add(view, seen.reports[0], replica_of)
        problems, _ = create_run.unreachable_announcements(self._links, seen, self._address_map)
        if problems:
            raise CannotPlan(problems)
        return plan

    def add(self, plan: AddPlan, on_progress: OnProgress = ignore) -> None:
        """Let a node join, and wait until every node agrees. Errors: ``ManageError``."""
        member_run.add_node(self._links, self._watcher(), plan, on_progress)

    def plan_remove(self, node: str) -> RemovePlan:
        """Return how a node would leave.

        Raises:
            CannotPlan: There is none of that name, or it cannot be spared.
        """
        return member_plan.plan_remove(self.look(), node)

    def remove(
        self,
        plan: RemovePlan,
        options: MoveOptions | None = None,
        on_progress: OnProgress = ignore,
        stop: Stop | None = None,
    ) -> None:
        """Drain a node, give its replicas to others, and forget it everywhere.

        Those who stay are asked first from then on: a seed that has left knows nobody.

        Raises:
            Interrupted: It was asked to stop while slots moved; no slot is open.
            ManageError: A node refused or went away; planned anew, it goes on.
        """
        if plan.moves:
            self.move(plan.moves, options, on_progress, stop)
        look_again = self._watcher(without=plan.id)
        if plan.new_primaries:
            member_run.replicate(self._links, look_again, plan.new_primaries, on_progress)
        member_run.forget(self._links, look_again, plan, on_progress)
        self.at(*(report.address for report in look_again().reports))

    def plan_replicate(self, node: str, primary: str) -> ReplicatePlan:
        """Return how a node without slots, or a replica, would copy a primary.

        Raises:
            CannotPlan: It owns slots or keys, or ``primary`` is none.
        """
        return member_plan.plan_replicate(self.look(), node, primary)

    def replicate(self, plan: ReplicatePlan, on_progress: OnProgress = ignore) -> None:
        """Make a node a replica, and wait until it is linked. Errors: ``ManageError``."""
        pairs = [(plan.id, plan.primary_id)]
        member_run.replicate(self._links, self._watcher(), pairs, on_progress)

    def plan_failover(self, node: str) -> FailoverPlan:
        """Return who would take over from whom.

        Args:
            node: A replica; or a primary, whose best replica is taken.

        Raises:
            CannotPlan: There is no replica that answers.
        """
        return member_plan.plan_failover(self.look(), node)

    def failover(
        self, plan: FailoverPlan, mode: str = "", on_progress: OnProgress = ignore
    ) -> None:
        """Promote a replica, and wait until the nodes agree.

        Args:
            plan: Who takes over.
            mode: Empty, ``FORCE`` (the primary is gone) or ``TAKEOVER`` (without a vote).
            on_progress: Told before each step.

        Raises:
            ManageError: It refused, or is no primary in time.
        """
        member_run.failover(self._links, self._watcher(), plan, mode, on_progress)

    def plan_import(
        self, source: str | Address, *, login: Login | None = None, replace: bool = False
    ) -> ImportPlan:
        """Return what a standalone server has to bring; refuses what cannot be brought.

        Args:
            source: As ``host:port``.
            login: Who we are there; None: nobody logs in.
            replace: The cluster may have keys already, and equal names are replaced.

        Raises:
            CannotPlan: It is no standalone server, has several databases, or keys are in the way.
            ManageError: It does not answer.
        """
        address = source if isinstance(source, Address) else Address.parse(source)
        with Links(login) as links:
            return import_run.plan_import(links, address, replace=replace, view=self.look())

    def bring(
        self,
        source: str | Address,
        on_progress: OnProgress = ignore,
        *,
        login: Login | None = None,
        passes: int = 10,
        stop: Stop | None = None,
    ) -> ImportOutcome:
        """Bring all keys of a standalone server, while it is in use, until nothing is new there.

        Args:
            source: As ``host:port``.
            on_progress: Told before each batch.
            login: Who we are there.
            passes: At most so many.
            stop: Set it to end after the batch in flight.

        Raises:
            Interrupted: It was asked to stop; what has been brought stays.
            ManageError: The server or a node refused or went away.
        """
        address = source if isinstance(source, Address) else Address.parse(source)
        with Links(login) as links:
            return import_run.import_keys(
                links,
                self._links,
                address,
                self._watcher(),
                on_progress,
                passes=passes,
                stop=stop,
            )

    def _checked(self, view: View, make: Callable[[View], CreatePlan]) -> CreatePlan:
        """Make a plan, and see whether the nodes announce what leads to them."""
        plan = make(view)
        problems, notes = create_run.unreachable_announcements(self._links, view, self._address_map)
        if problems:
            raise CannotPlan(problems)
        return replace(plan, notes=(*plan.notes, *notes))

    def _watcher(self, *, without: str | None = None) -> Callable[[], View]:
        """Return a function that looks again, by everybody but the node with this id."""
        seeds = [report.address for report in self.look().reports if report.id != without]
        return watcher(self._links, seeds, self._address_map, without=without)
