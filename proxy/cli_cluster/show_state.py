"""How states and plans look on a terminal: tables of few columns, the shards in order."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.manage import (
    ClusterInfo,
    CreatePlan,
    KeyPlace,
    NodeState,
    OpenSlot,
    SlotRange,
    text_of,
)

_STATE_STYLES = {
    "ok": "green",
    "suspected": "yellow",
    "failed": "bold red",
    "silent": "red",
    "fail": "bold red",
}


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table in the style of all: no frame, a line under the heads."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def show_info(info: ClusterInfo, console: Console) -> None:
    """Print the state of the whole."""
    facts: dict[str, str | Text] = {
        "state": Text(info.state, _STATE_STYLES.get(info.state, "")),
        "slots": f"{info.slots_assigned} assigned, {info.slots_ok} ok"
        + (f", {info.slots_pfail} suspected" if info.slots_pfail else "")
        + (f", {info.slots_fail} failed" if info.slots_fail else ""),
        "shards": str(info.shards),
        "nodes": f"{info.known_nodes} known, {info.answering_nodes} answer",
        "epoch": str(info.current_epoch),
        "keys": f"{info.keys:,}",
        "versions": ", ".join(info.versions),
        "agreement": Text(info.disagreement, "red")
        if info.disagreement
        else Text("all nodes agree", "green"),
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(Text(name, "bold"), value)
    console.print(grid)


def show_nodes(nodes: tuple[NodeState, ...], console: Console) -> None:
    """Print the nodes, a line each."""
    made = table(
        "role", "address", "state", "slots", "keys", "epoch", "version", "id", right=_RIGHT
    )
    for node in nodes:
        name = f"{node.address} {node.hostname}".rstrip()
        state = f"{node.state}: {node.reason}" if node.reason else node.state
        made.add_row(
            Text("primary", "bold") if node.role == "primary" else "  replica",
            name,
            Text(state, _STATE_STYLES.get(node.state, "")),
            _slots_of(node),
            "" if node.keys is None else f"{node.keys:,}",
            str(node.config_epoch),
            f"{node.engine} {node.version}",
            node.id[:12],
        )
    console.print(made)


_RIGHT = ("keys", "epoch", "slots", "count")


def _slots_of(node: NodeState) -> str:
    return str(node.slot_count) if node.role == "primary" else ""


def show_slots(ranges: tuple[SlotRange, ...], console: Console) -> None:
    """Print the ranges of slots, a line each."""
    made = table("slots", "count", "primary", "replicas", right=_RIGHT)
    for each in ranges:
        made.add_row(
            f"{each.first}-{each.last}",
            str(each.count),
            str(each.primary) if each.primary else Text("nobody", "bold red"),
            ", ".join(map(str, each.replicas)),
        )
    console.print(made)


def show_open_slots(slots: tuple[OpenSlot, ...], console: Console) -> None:
    """Print the slots that are on their way; nothing if there are none."""
    for each in slots:
        to = "to" if each.state == "migrating" else "from"
        console.print(
            Text(f"slot {each.slot} is {each.state} at {each.node} {to} {each.other}", "yellow")
        )


def show_places(places: tuple[KeyPlace, ...], console: Console) -> None:
    """Print keys by slot."""
    made = table("slot", "tag", "keys", "primary", "replicas")
    for place in places:
        made.add_row(
            str(place.slot),
            text_of(place.tag),
            Text(" ".join(map(text_of, place.keys))),
            str(place.primary or ""),
            ", ".join(map(str, place.replicas)),
        )
    console.print(made)


def show_create_plan(plan: CreatePlan, console: Console) -> None:
    """Print a cluster to be."""
    made = table("role", "address", "host", "slots")
    for primary in plan.primaries:
        slots = " ".join(f"{first}-{last}" for first, last in primary.ranges)
        made.add_row(Text("primary", "bold"), str(primary.address), primary.host, slots)
        for replica in plan.replicas:
            if replica.primary_id == primary.id:
                made.add_row("  replica", str(replica.address), replica.host, "")
    console.print(made)
    for note in plan.notes:
        console.print(Text(f"note: {note}", "yellow"), soft_wrap=True)
    if plan.is_begun:
        console.print(Text("some of this has been done before; it is gone on with", "dim"))
