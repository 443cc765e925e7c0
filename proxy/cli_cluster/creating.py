"""The commands that make a cluster of empty nodes, and fill it from a standalone server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli_cluster import show_moves, show_state
from proxy.cli_cluster.desk import EXIT_PROBLEM, Desk, command, find_login


def register(app: typer.Typer) -> None:
    """Add the commands to ``slotway cluster``."""

    @command(app, "create", changes=True)
    def create(
        desk: Desk,
        nodes: Annotated[
            list[str], typer.Argument(metavar="HOST:PORT...", help="The nodes; empty ones.")
        ],
        replicas: Annotated[
            int, typer.Option("--replicas", min=0, help="How many each primary gets.")
        ] = 1,
    ) -> None:
        """Make a cluster of empty nodes: slots dealt out, replicas away from their primaries.

        Killed at any moment, the same command goes on where it was.
        """
        plan = desk.manager.plan_create(nodes, replicas=replicas)
        desk.show_plan(plan, show_state.show_create_plan)
        if not desk.is_agreed("Make this cluster?"):
            return
        with desk.progress() as tell:
            desk.manager.create(plan, tell)
        desk.answer(desk.manager.at(plan.nodes[0].address).info(), show_state.show_info)

    @command(app, "import", changes=True)
    def bring(
        desk: Desk,
        source: Annotated[
            str, typer.Argument(metavar="HOST:PORT", help="A standalone server; only read.")
        ],
        source_user: Annotated[str, typer.Option(help="ACL user there.")] = "",
        source_password_file: Annotated[
            Path | None, typer.Option(help="File that holds the password there.")
        ] = None,
        passes: Annotated[int, typer.Option(min=1, help="Look for changes at most so often.")] = 10,
        replace: Annotated[
            bool, typer.Option("--replace", help="The cluster may have keys already.")
        ] = False,
    ) -> None:
        """Bring all keys of a standalone server, while it is in use, until nothing is new there.

        Exit code 0: a whole pass found nothing new; 1: there was still something after the
        last pass, because the server is written to.
        """
        login = find_login(source_user, "", source_password_file, options="--source-")
        plan = desk.manager.plan_import(source, login=login, replace=replace)
        desk.show_plan(plan, show_moves.show_import_plan)
        if not desk.is_agreed("Bring them?"):
            return
        with desk.progress() as tell:
            outcome = desk.manager.bring(source, tell, login=login, passes=passes)
        desk.answer(outcome, show_moves.show_import)
        if not outcome.is_verified:
            raise typer.Exit(EXIT_PROBLEM)
