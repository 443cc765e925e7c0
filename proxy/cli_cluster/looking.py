"""The commands that change nothing: info, nodes, slots, slot, distribution, metrics, health."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from proxy.cli_cluster import show_figures, show_state
from proxy.cli_cluster.desk import DAY_S, EXIT_PROBLEM, Desk, command
from proxy.manage import key_places


def register(app: typer.Typer) -> None:
    """Add the commands to ``slotway cluster``."""

    @command(app, "info")
    def info(desk: Desk) -> None:
        """Show the state of the whole: slots, nodes, epoch, versions.

        Exit code 0: it serves and the nodes agree; 1: it does not, or they do not.
        """
        found = desk.manager.info()
        desk.answer(found, show_state.show_info)
        if found.state != "ok" or found.disagreement:
            raise typer.Exit(EXIT_PROBLEM)

    @command(app, "nodes")
    def nodes(desk: Desk) -> None:
        """List the nodes: shard by shard, primary first."""
        desk.answer(desk.manager.nodes(), show_state.show_nodes)

    @command(app, "slots")
    def slots(desk: Desk) -> None:
        """List which shard owns which slots, and the slots that are on their way."""
        desk.answer(desk.manager.slots(), show_state.show_slots)
        if not desk.as_json:
            show_state.show_open_slots(desk.manager.open_slots(), desk.out)

    @command(app, "slot")
    def slot(
        desk: Desk,
        keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Any keys.")],
        offline: Annotated[
            bool, typer.Option("--offline", help="Only the slots; ask no node.")
        ] = False,
    ) -> None:
        """Tell the slot, the hash tag and the node of keys; keys of one slot stand together."""
        named = [os.fsencode(key) for key in keys]
        places = key_places(named) if offline else desk.manager.locate(named)
        desk.answer(places, show_state.show_places)

    @command(app, "distribution")
    def distribution(desk: Desk) -> None:
        """Show slots, keys, memory and replicas of each shard, with a bar."""
        desk.answer(desk.manager.distribution(), show_figures.show_distribution)

    @command(app, "metrics")
    def metrics(
        desk: Desk,
        watch: Annotated[
            float,
            typer.Option(min=0, max=DAY_S, help="Show them again every so many seconds."),
        ] = 0.0,
    ) -> None:
        """Show clients, memory, hits, commands and ops/s: of each node, and of all."""
        desk.answer(desk.manager.metrics(), show_figures.show_metrics, is_one_of_many=bool(watch))
        while watch:
            try:
                time.sleep(watch)
            except KeyboardInterrupt:
                return
            desk.answer(desk.manager.metrics(), show_figures.show_metrics, is_one_of_many=True)

    @command(app, "health")
    def health(
        desk: Desk,
        strict: Annotated[
            bool, typer.Option("--strict", help="Warnings make the exit code 1 too.")
        ] = False,
    ) -> None:
        """Tell what is wrong, and what will be when one more thing happens.

        Exit code 0: nothing that fails requests now; 1: something, or with --strict a warning.
        """
        found = desk.manager.health()
        desk.answer(found, show_figures.show_health)
        if found.status == "unhealthy" or (strict and found.status != "healthy"):
            raise typer.Exit(EXIT_PROBLEM)
