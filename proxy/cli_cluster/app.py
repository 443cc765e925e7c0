"""The command ``slotway cluster`` with all of its commands."""

from __future__ import annotations

import typer

from proxy.cli_cluster import creating, looking, members, moving, shapes

app = typer.Typer(
    name="cluster",
    help="Create, inspect, check, grow, shrink and repair the cluster behind the port.",
    no_args_is_help=True,
)
for room in (creating, looking, moving, members, shapes):
    room.register(app)
