"""The commands that move slots: plan, reshard, rebalance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli_cluster import show_moves
from proxy.cli_cluster.desk import Desk, command
from proxy.errors import ConfigError
from proxy.manage import MoveOptions, MoveOutcome, MovePlan, load_moves, save_moves
from proxy.manage.move_plan import MOST_WEIGHT

NOTHING_MOVED = MoveOutcome(slots=0, keys=0, seconds=0.0, method="", big_keys=())

FromOption = Annotated[
    list[str] | None,
    typer.Option("--from", help="Who gives: addresses or ids, with commas between; or all."),
]
ToOption = Annotated[str, typer.Option("--to", help="Who gets: an address or id.")]
SlotsOption = Annotated[int, typer.Option("--slots", min=0, help="How many.")]
WeightOption = Annotated[
    list[str] | None,
    typer.Option("--weight", "-w", help="NODE=2.5; else 1, and 0 drains. Repeatable."),
]
ByOption = Annotated[str, typer.Option(help="Share out slots, keys, memory or traffic.")]
MethodOption = Annotated[str, typer.Option(help="atomic (Valkey 9), classic (MIGRATE), or auto.")]
ThrottleOption = Annotated[
    float, typer.Option(min=0, help="Move no more keys a second than this; by MIGRATE then.")
]
PlanOption = Annotated[
    Path | None,
    typer.Option(help="Keep the plan in this file; if it is there, go on with it."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``slotway cluster``."""

    @command(app, "plan")
    def plan(
        desk: Desk,
        sources: FromOption = None,
        to: ToOption = "",
        slots: SlotsOption = 0,
        weight: WeightOption = None,
        by: ByOption = "slots",
        method: MethodOption = "auto",
        throttle: ThrottleOption = 0.0,
        save: Annotated[
            Path | None, typer.Option(help="Write it to a file, for reshard --plan.")
        ] = None,
    ) -> None:
        """Show what a reshard (with --to) or a rebalance would mean; nothing is changed."""
        options = MoveOptions(method=method, keys_per_s=throttle)
        if to or sources or slots:
            found = _reshard(desk, sources, to, slots, options)
        else:
            found = desk.manager.plan_rebalance(_weights(weight), by=by, options=options)
        desk.answer(found, show_moves.show_move_plan)
        if save is not None:
            save_moves(save, found.moves)

    @command(app, "reshard", changes=True)
    def reshard(
        desk: Desk,
        sources: FromOption = None,
        to: ToOption = "",
        slots: SlotsOption = 0,
        plan: PlanOption = None,
        method: MethodOption = "auto",
        throttle: ThrottleOption = 0.0,
    ) -> None:
        """Move slots from some shards to one, live.

        Ctrl-C ends it after the slots in flight. With --plan FILE the same command goes on
        with what is left, also after a kill.
        """
        options = MoveOptions(method=method, keys_per_s=throttle)
        _carry_out(desk, lambda: _reshard(desk, sources, to, slots, options), plan, options)

    @command(app, "rebalance", changes=True)
    def rebalance(
        desk: Desk,
        weight: WeightOption = None,
        by: ByOption = "slots",
        plan: PlanOption = None,
        method: MethodOption = "auto",
        throttle: ThrottleOption = 0.0,
    ) -> None:
        """Give every primary its share, with the fewest moves, live.

        Empty primaries get theirs too. Ctrl-C ends it after the slots in flight; the same
        command goes on.
        """
        options = MoveOptions(method=method, keys_per_s=throttle)
        _carry_out(
            desk,
            lambda: desk.manager.plan_rebalance(_weights(weight), by=by, options=options),
            plan,
            options,
        )


def _reshard(
    desk: Desk, sources: list[str] | None, to: str, slots: int, options: MoveOptions
) -> MovePlan:
    if not to or not slots:
        raise ConfigError(key="--to, --slots", given="nothing", allowed="a node, and a number")
    names = [name for word in sources or () for name in word.split(",") if name]
    if not names or names == ["all"]:
        names = [str(shard.primary) for shard in desk.manager.distribution().shards if shard.slots]
    return desk.manager.plan_reshard(names, to, slots, options)


def _weights(words: list[str] | None) -> dict[str, float]:
    found = {}
    for word in words or ():
        name, _, number = word.rpartition("=")
        try:
            found[name] = weight = float(number)
        except ValueError:
            raise ConfigError(key="--weight", given=repr(word), allowed="NODE=number") from None
        if not 0 <= weight <= MOST_WEIGHT:
            raise ConfigError(key="--weight", given=repr(word), allowed=f"0 to {MOST_WEIGHT:,}")
    return found


def _carry_out(
    desk: Desk, make: Callable[[], MovePlan], file: Path | None, options: MoveOptions
) -> None:
    if file is not None and file.exists():
        plan = desk.manager.figure_out(load_moves(file), options)
        desk.say(f"going on with {file}")
    else:
        plan = make()
        if file is not None and not desk.dry_run:
            save_moves(file, plan.moves)
    desk.show_plan(plan, show_moves.show_move_plan)
    if not plan.moves and not desk.manager.open_slots():
        desk.say("nothing to move")
        if desk.as_json and not desk.dry_run:
            desk.answer(NOTHING_MOVED, show_moves.show_outcome)
        return
    if not desk.is_agreed("Move these slots?"):
        return
    with desk.progress() as tell:
        outcome = desk.manager.move(plan, options, tell)
    desk.answer(outcome, show_moves.show_outcome)
