"""The commands for nodes that join, leave, copy or take over, and for repairs."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.cli_cluster import show_moves
from proxy.cli_cluster.desk import EXIT_PROBLEM, Desk, command
from proxy.cli_cluster.moving import MethodOption, ThrottleOption
from proxy.cli_cluster.show_state import show_nodes
from proxy.errors import ConfigError
from proxy.manage import MoveOptions

NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="An address or id.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``slotway cluster``."""

    @command(app, "add-node", changes=True)
    def add_node(
        desk: Desk,
        node: Annotated[str, typer.Argument(metavar="HOST:PORT", help="An empty node.")],
        replica_of: Annotated[
            str, typer.Option(help="Its primary; or auto, for the one that needs it most.")
        ] = "",
        rebalance: Annotated[
            bool, typer.Option("--rebalance", help="Give it its share of the slots, too.")
        ] = False,
        method: MethodOption = "auto",
        throttle: ThrottleOption = 0.0,
    ) -> None:
        """Let a node join: as a primary without slots, or as a replica."""
        if rebalance and replica_of:
            raise ConfigError(key="--rebalance", given="a replica", allowed="a primary")
        options = MoveOptions(method=method, keys_per_s=throttle)
        plan = desk.manager.plan_add(node, replica_of=replica_of or None)
        desk.show_plan(plan, show_moves.show_add_plan)
        if not desk.is_agreed("Add this node?"):
            return
        with desk.progress() as tell:
            desk.manager.add(plan, tell)
            if rebalance:
                desk.manager.move(desk.manager.plan_rebalance(), options, tell)
        desk.say(f"{plan.address} has joined")
        _answer_nodes(desk)

    @command(app, "remove-node", changes=True)
    def remove_node(
        desk: Desk,
        node: NodeArgument,
        method: MethodOption = "auto",
        throttle: ThrottleOption = 0.0,
    ) -> None:
        """Let a node go: its slots and replicas to others first, then nobody knows it.

        Killed at any moment, the same command goes on.
        """
        options = MoveOptions(method=method, keys_per_s=throttle)
        plan = desk.manager.plan_remove(node)
        desk.show_plan(plan, show_moves.show_remove_plan)
        if not desk.is_agreed("Remove this node?"):
            return
        with desk.progress() as tell:
            desk.manager.remove(plan, options, tell)
        desk.say(f"{plan.address} has left")
        _answer_nodes(desk)

    @command(app, "replicate", changes=True)
    def replicate(
        desk: Desk,
        node: NodeArgument,
        primary: Annotated[str, typer.Argument(metavar="PRIMARY", help="An address or id.")],
    ) -> None:
        """Make a node without slots, or a replica, copy this primary."""
        plan = desk.manager.plan_replicate(node, primary)
        desk.show_plan(plan, show_moves.show_replicate_plan)
        if not desk.is_agreed("Do it?"):
            return
        with desk.progress() as tell:
            desk.manager.replicate(plan, tell)
        _answer_nodes(desk)

    @command(app, "failover", changes=True)
    def failover(
        desk: Desk,
        node: NodeArgument,
        force: Annotated[
            bool, typer.Option("--force", help="The primary is gone; the others vote.")
        ] = False,
        takeover: Annotated[
            bool, typer.Option("--takeover", help="Without a vote: there is no majority.")
        ] = False,
    ) -> None:
        """Promote a replica (of a primary: its best one), and wait until all have heard of it."""
        if force and takeover:
            raise ConfigError(key="--force, --takeover", given="both", allowed="one of them")
        plan = desk.manager.plan_failover(node)
        desk.show_plan(plan, show_moves.show_failover_plan)
        if not desk.is_agreed("Do it?"):
            return
        mode = "TAKEOVER" if takeover else "FORCE" if force else ""
        with desk.progress() as tell:
            desk.manager.failover(plan, mode, tell)
        _answer_nodes(desk)

    @command(app, "fix", changes=True)
    def fix(
        desk: Desk,
        lost: Annotated[
            bool,
            typer.Option(
                "--lost", help="Give away slots of a failed primary without replica: keys are lost."
            ),
        ] = False,
    ) -> None:
        """End open slots, give slots without an owner to one, settle claims that collide.

        Exit code 0: nothing is left to repair; 1: something is that needs more than this.
        """
        plan = desk.manager.plan_repair(lost=lost)
        desk.show_plan(plan, show_moves.show_repair_plan)
        if not plan.steps:
            if desk.as_json and not desk.dry_run:
                desk.answer(plan, show_moves.show_repair_plan)
        elif desk.is_agreed("Repair this?"):
            with desk.progress() as tell:
                plan = desk.manager.repair(tell, lost=lost)
            desk.answer(plan, show_moves.show_repaired)
        if plan.notes:
            raise typer.Exit(EXIT_PROBLEM)


def _answer_nodes(desk: Desk) -> None:
    desk.answer(desk.manager.nodes(), show_nodes)
