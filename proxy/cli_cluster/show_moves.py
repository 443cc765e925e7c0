"""How plans of moves, of nodes and of repairs look on a terminal, and what came of them."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from proxy.cli_cluster.show_figures import size
from proxy.cli_cluster.show_state import table
from proxy.manage import (
    AddPlan,
    FailoverPlan,
    ImportOutcome,
    ImportPlan,
    MoveOutcome,
    MovePlan,
    RemovePlan,
    Repair,
    ReplicatePlan,
    counted,
    text_of,
)

_RANGES_SHOWN = 40


def show_move_plan(plan: MovePlan, console: Console) -> None:
    """Print who gives what to whom, and who has what afterwards."""
    if not plan.moves:
        console.print("every slot is where it belongs")
        return
    made = table("from", "to", "slots", "keys", "which", right=("slots", "keys"))
    for line in plan.lines:
        ranges = line.ranges
        shown = ranges if len(ranges) <= _RANGES_SHOWN else f"{ranges[: _RANGES_SHOWN - 3]}..."
        made.add_row(str(line.source), str(line.target), f"{line.slots:,}", f"{line.keys:,}", shown)
    console.print(made)
    console.print()
    after = table("primary", "slots", "after", "keys", "after", right=("slots", "after", "keys"))
    for shard in plan.shards:
        after.add_row(
            str(shard.primary),
            f"{shard.slots_before:,}",
            _changed(shard.slots_before, shard.slots_after),
            f"{shard.keys_before:,}",
            _changed(shard.keys_before, shard.keys_after),
        )
    console.print(after)
    console.print()
    console.print(
        f"{counted(plan.slots, 'slot')}, {counted(plan.keys, 'key')}, about {size(plan.bytes)} and "
        f"{plan.estimated_s:,.1f} s",
        highlight=False,
    )


def _changed(before: int, after: int) -> Text:
    style = "" if before == after else "green" if after > before else "yellow"
    return Text(f"{after:,}", style)


def show_outcome(outcome: MoveOutcome, console: Console) -> None:
    """Print what was moved, and which keys were big."""
    keys = f", {counted(outcome.keys, 'key')}" if outcome.keys else ""
    console.print(
        f"{counted(outcome.slots, 'slot')}{keys} moved in {outcome.seconds:,.1f} s "
        f"({outcome.method})"
    )
    for big in outcome.big_keys:
        words = f"big key {text_of(big.key)}: {size(big.bytes)}, {big.seconds:.2f} s"
        console.print(Text(words, "yellow"))


def show_add_plan(plan: AddPlan, console: Console) -> None:
    """Print how a node joins."""
    role = f"a replica of {plan.primary}" if plan.primary else "a primary without slots"
    known = " (it is known already)" if plan.is_known else ""
    console.print(f"{plan.address} joins as {role}; the others find it at {plan.meets}{known}")


def show_remove_plan(plan: RemovePlan, console: Console) -> None:
    """Print how a node leaves."""
    slots = sum(len(move.slots) for move in plan.moves)
    words = [f"{plan.address}, a {plan.role}, leaves"]
    if slots:
        words.append(f"{counted(slots, 'slot')} go to {counted(len(plan.moves), 'other')}")
    if plan.new_primaries:
        words.append(f"another primary for {counted(len(plan.new_primaries), 'replica')}")
    if not plan.answers:
        words.append("it does not answer and is only forgotten")
    console.print("; ".join(words))
    _show_notes(plan.notes, console)


def show_replicate_plan(plan: ReplicatePlan, console: Console) -> None:
    """Print who will copy whom."""
    console.print(f"{plan.address} copies {plan.primary}")


def show_failover_plan(plan: FailoverPlan, console: Console) -> None:
    """Print who takes over from whom."""
    console.print(f"{plan.heir} takes over from {plan.primary}")


def show_repair_plan(plan: Repair, console: Console) -> None:
    """Print what a repair would do, and what it cannot."""
    for step in plan.steps or ("nothing to repair",):
        console.print(Text(step), soft_wrap=True)
    _show_notes(plan.notes, console)


def show_repaired(repair: Repair, console: Console) -> None:
    """Print that a repair is done; each step was told on the way."""
    console.print(Text(f"repaired: {counted(len(repair.steps), 'step')}", "green"))
    _show_notes(repair.notes, console)


def _show_notes(notes: tuple[str, ...], console: Console) -> None:
    for note in notes:
        console.print(Text(f"note: {note}", "yellow"), soft_wrap=True)


def show_import_plan(plan: ImportPlan, console: Console) -> None:
    """Print what there is to bring."""
    console.print(f"{plan.source} has {counted(plan.keys, 'key')}")


def show_import(outcome: ImportOutcome, console: Console) -> None:
    """Print what was brought, and whether a pass found nothing new."""
    console.print(
        f"{counted(outcome.keys, 'key')} after {outcome.passes} passes; "
        f"{outcome.restored:,} restored, {outcome.deleted:,} deleted again"
    )
    if outcome.others:
        words = (
            f"the cluster has {counted(outcome.others, 'key')} that the server has not: from "
            "before, or deleted there since an import that was cut off"
        )
        console.print(Text(words, "yellow"))
    if outcome.is_verified:
        console.print(Text("the last pass found nothing new, and every key is there", "green"))
    else:
        console.print(Text("the last pass still found changes: stop the writers, run again", "red"))
