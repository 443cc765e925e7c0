"""How differences and simulations look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from proxy.cli_cluster.show_figures import size
from proxy.cli_cluster.show_state import table
from proxy.manage import Difference, LossForecast, MoveForecast, Simulation, Standing

_SHARDS_SHOWN = 12


def show_saved(found: Mapping[str, object], console: Console) -> None:
    """Print where a backup is."""
    console.print(f"{found['nodes']} nodes in {found['file']}", soft_wrap=True)


def show_differences(found: tuple[Difference, ...], console: Console) -> None:
    """Print what is not as it was, a line each."""
    for each in found:
        console.print(Text(f"{each.node}: {each.words}  [{each.kind}]", "yellow"), soft_wrap=True)
    if not found:
        console.print(Text("the cluster has the shape of the backup", "green"))


def show_simulation(played: Simulation, console: Console) -> None:
    """Print each event, what it costs, and how things stand afterwards."""
    given = played.assumptions
    console.print(
        f"assumed: {given.requests_per_s:,.0f} requests/s, {given.keys:,} keys of "
        f"{given.key_bytes:,.0f} bytes, {given.keys_per_s:,.0f} keys/s moved, {given.manner.name}, "
        f"cluster-node-timeout {given.node_timeout_s:g} s",
        soft_wrap=True,
    )
    console.print(Text("\nbefore", "bold"))
    _show_standing(played.before, console)
    for step in played.steps:
        console.print(Text(f"\n{step.event}", "bold"))
        if step.moves is not None:
            _show_moves(step.moves, console)
        if step.loss is not None:
            _show_loss(step.loss, console)
        _show_standing(step.after, console)


def _show_moves(moves: MoveForecast, console: Console) -> None:
    for line in (
        (
            f"{moves.slots:,} slots in {moves.roads:,} moves, about {moves.keys:,} keys, "
            f"{size(moves.bytes)}, {moves.seconds:,.1f} s"
        ),
        (
            f"the proxy follows about {moves.asks:,} ASK, at most {moves.moved_at_most:,} MOVED "
            f"and reads the map at most {moves.refreshes_at_most:,} times; its clients see none"
        ),
        f"a client with a map of its own sees at most {moves.direct_moved_at_most:,} MOVED",
    ):
        console.print(line, soft_wrap=True)


def _show_loss(loss: LossForecast, console: Console) -> None:
    words = "survived" if loss.verdict.survives else "not survived"
    style = "green" if loss.verdict.survives else "bold red"
    console.print(Text(f"{words}: {loss.verdict.reason}", style), soft_wrap=True)
    if not loss.slots:
        console.print("no slot is without service")
    elif loss.most_s is None:
        whole = "; all slots too" if loss.all_slots_s is None else ""
        console.print(f"{loss.slots:,} slots without service until it is repaired{whole}")
    else:
        console.print(
            f"{loss.slots:,} slots without service for {loss.least_s:g} to {loss.most_s:g} s, "
            f"all slots for up to {loss.all_slots_s:g} s of it",
            soft_wrap=True,
        )
        console.print(
            f"at most {loss.waiting_at_most:,} requests wait in the proxy, "
            f"and {loss.failed_at_most:,} wait too long",
            soft_wrap=True,
        )


def _show_standing(standing: Standing, console: Console) -> None:
    if len(standing.shards) <= _SHARDS_SHOWN:
        made = table("primary", "slots", "replicas", "", right=("slots", "replicas"))
        for shard in standing.shards:
            lost = Text("lost", "bold red") if shard.is_lost else ""
            made.add_row(str(shard.primary), f"{shard.slots:,}", str(shard.replicas), lost)
        console.print(made)
    console.print(
        f"{standing.nodes:,} nodes, {len(standing.shards):,} shards of {standing.fewest_slots:,} "
        f"to {standing.most_slots:,} slots; would survive the loss of any node: "
        f"{_yes(standing.survives_any_node)}, of any host: {_yes(standing.survives_any_host)}",
        soft_wrap=True,
    )


def _yes(is_so: object) -> str:
    return "yes" if is_so else "no"
