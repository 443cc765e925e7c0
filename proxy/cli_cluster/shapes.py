"""The commands about a cluster's shape: keep it, form it again, compare it, play with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli_cluster import show_shapes, show_state
from proxy.cli_cluster.desk import DAY_S, EXIT_PROBLEM, Desk, command
from proxy.cluster.addresses import Address
from proxy.errors import ConfigError
from proxy.manage import (
    MANNERS,
    Assumptions,
    Backup,
    Event,
    Grow,
    LoseHost,
    LoseNode,
    Manner,
    Reshard,
    load_backup,
    manner_of,
    parse_places,
    places_in_order,
    save_backup,
    shape_of_backup,
    shape_of_flags,
    simulate,
)

GUESS = Assumptions()
MOST = 10**12  # chosen: figures above it are no cluster's


def register(app: typer.Typer) -> None:
    """Add the commands to ``slotway cluster``."""

    @command(app, "backup")
    def backup(
        desk: Desk,
        file: Annotated[
            str, typer.Argument(metavar="FILE", help="*.json, else TOML; - for standard output.")
        ],
    ) -> None:
        """Write the shape of the cluster to a file: nodes, slots, roles, settings. No data."""
        taken = desk.manager.backup()
        save_backup(taken, file, is_json=desk.as_json)
        if file == "-":
            return
        desk.say("the shape only: no keys and no values")
        desk.answer({"file": file, "nodes": len(taken.nodes)}, show_shapes.show_saved)

    @command(app, "restore", changes=True)
    def restore(
        desk: Desk,
        file: Annotated[Path, typer.Argument(metavar="FILE", help="Of slotway cluster backup.")],
        nodes: Annotated[
            list[str] | None,
            typer.Argument(metavar="HOST:PORT...", help="Empty nodes, in the order of the file."),
        ] = None,
        places: Annotated[
            list[str] | None,
            typer.Option("--map", help="OLD=NEW, addresses; others stay. Repeatable."),
        ] = None,
        check: Annotated[
            bool, typer.Option("--check", help="Tell how the running cluster differs; exit code 1.")
        ] = False,
    ) -> None:
        """Form a cluster of the same shape of empty nodes. No data: a shape has none.

        Killed at any moment, the same command goes on where it was.
        """
        saved = _at_new_places(load_backup(file), nodes, places)
        if check:
            found = desk.manager.compare(saved)
            desk.answer(found, show_shapes.show_differences)
            if found:
                raise typer.Exit(EXIT_PROBLEM)
            return
        plan = desk.manager.plan_restore(saved)
        desk.show_plan(plan, show_state.show_create_plan)
        if not desk.is_agreed("Make this cluster?"):
            return
        with desk.progress() as tell:
            desk.manager.create(plan, tell)
        desk.answer(desk.manager.at(plan.nodes[0].address).info(), show_state.show_info)

    @command(app, "simulate")
    def play(
        desk: Desk,
        file: Annotated[Path | None, typer.Option("--file", help="A backup to begin with.")] = None,
        shards: Annotated[int, typer.Option(min=1, max=16384, help="Without a file.")] = 3,
        replicas: Annotated[int, typer.Option(min=0, help="Of each shard.")] = 1,
        hosts: Annotated[int, typer.Option(min=0, help="0: one for each node.")] = 0,
        grow_to: Annotated[int, typer.Option(min=0, help="First: nodes in all.")] = 0,
        reshard: Annotated[int, typer.Option(min=0, help="Then: slots to one shard.")] = 0,
        to: Annotated[str, typer.Option(help="Which; else the one with fewest.")] = "",
        lose_node: Annotated[
            list[str] | None, typer.Option(help="Then: an address or id. Repeatable.")
        ] = None,
        lose_host: Annotated[list[str] | None, typer.Option(help="Last. Repeatable.")] = None,
        requests_per_s: Annotated[float, typer.Option(min=0, max=MOST)] = GUESS.requests_per_s,
        keys: Annotated[
            int, typer.Option(min=0, max=MOST, help="In the whole cluster.")
        ] = GUESS.keys,
        key_bytes: Annotated[
            float, typer.Option(min=0, max=MOST, help="Of a key with its value.")
        ] = GUESS.key_bytes,
        keys_per_s: Annotated[
            float, typer.Option(min=1, max=MOST, help="Small keys moved a second.")
        ] = GUESS.keys_per_s,
        bytes_per_s: Annotated[
            float, typer.Option(min=1, max=MOST, help="What the network carries.")
        ] = GUESS.bytes_per_s,
        manner: Annotated[
            str,
            typer.Option(help="classic, waiting (Valkey 8), atomic (Valkey 9); else the file's."),
        ] = "",
        node_timeout: Annotated[
            float, typer.Option(min=0, max=DAY_S, help="Seconds; 0: as the file says, or 15.")
        ] = 0.0,
    ) -> None:
        """Play through growth, moves and losses on paper: slots, redirects, seconds. Asks no node.

        The formulas are in docs/cluster.md, and how near they came to real runs.
        """
        saved = load_backup(file) if file is not None else None
        shape = shape_of_backup(saved) if saved else shape_of_flags(shards, replicas, hosts)
        assumptions = Assumptions(
            requests_per_s=requests_per_s,
            keys=keys,
            key_bytes=key_bytes,
            keys_per_s=keys_per_s,
            bytes_per_s=bytes_per_s,
            manner=_manner(manner, saved),
            node_timeout_s=node_timeout or _node_timeout_s(saved),
            full_coverage=_full_coverage(saved),
        )
        events: list[Event] = [
            *([Grow(grow_to)] if grow_to else []),
            *([Reshard(reshard, to)] if reshard else []),
            *(LoseNode(name) for name in lose_node or ()),
            *(LoseHost(name) for name in lose_host or ()),
        ]
        desk.answer(simulate(shape, events, assumptions), show_shapes.show_simulation)


def _at_new_places(saved: Backup, nodes: list[str] | None, places: list[str] | None) -> Backup:
    if nodes and places:
        raise ConfigError(key="--map", given="addresses too", allowed="one of the two")
    if nodes:
        return saved.at(places_in_order(saved, [Address.parse(node) for node in nodes]))
    found = parse_places(places or [])
    strangers = set(found) - {node.address for node in saved.nodes}
    if strangers:
        raise ConfigError(
            key="--map",
            given=", ".join(map(str, sorted(strangers))),
            allowed="addresses that are in the file",
        )
    return saved.at(found)


def _manner(name: str, saved: Backup | None) -> Manner:
    if name in MANNERS:
        return MANNERS[name]
    if name:
        raise ConfigError(key="--manner", given=repr(name), allowed=", ".join(MANNERS))
    servers = [(node.engine, node.version_pair) for node in saved.nodes] if saved else []
    return manner_of(servers, may_be_atomic=True)


def _node_timeout_s(saved: Backup | None) -> float:
    found = _settings(saved, "cluster-node-timeout")
    return max(int(each) for each in found) / 1000 if found else GUESS.node_timeout_s


def _full_coverage(saved: Backup | None) -> bool:
    found = _settings(saved, "cluster-require-full-coverage")
    return "yes" in found if found else GUESS.full_coverage


def _settings(saved: Backup | None, name: str) -> list[str]:
    nodes = saved.nodes if saved else ()
    return [node.settings[name] for node in nodes if name in node.settings]
