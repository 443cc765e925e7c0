"""Move slots with the server's own atomic slot migration (CLUSTER MIGRATESLOTS, Valkey 9).

Strategy: the source is told ranges and a target, sends a snapshot and then what changes,
and hands the slots over in one moment: no ASK, no TRYAGAIN, all databases. We ask how
far it is. A migration goes on by itself if we are killed; whoever comes next finds it.

Cost: 0.1 s for a job of some hundred small slots; the source forks for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.slots import slot_ranges
from proxy.cluster.topology import parse_cluster_nodes
from proxy.manage.errors import ManageError, NodeRefused
from proxy.manage.links import Links
from proxy.manage.patience import wait_until_none

JOB_DEADLINE_S = 3600.0  # chosen: longer than any job of a sensible size
_OVER = frozenset({"success", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """A migration as the source tells it."""

    name: str
    state: str
    message: str
    target_id: str
    left_bytes: int
    """Changes that the target has not got yet."""

    @property
    def is_over(self) -> bool:
        """It has ended, well or not."""
        return self.state in _OVER


def can_migrate_atomically(links: Links, addresses: Sequence[Address]) -> bool:
    """Return whether all these nodes know the command."""
    asked = [("CLUSTER", "GETSLOTMIGRATIONS")]
    return all(
        isinstance(replies, list) and not isinstance(replies[0], NodeRefused)
        for replies in links.ask_all(addresses, asked).values()
    )


def jobs_of(links: Links, source: Address) -> list[Job]:
    """Return the exports of a node, newest first, ended ones among them."""
    rows = links[source].call("CLUSTER", "GETSLOTMIGRATIONS")
    pairs: list[Mapping[bytes, bytes | int]] = [
        dict(zip(row[::2], row[1::2], strict=True)) for row in rows
    ]
    return [
        Job(
            name=_text(row.get(b"name")),
            state=_text(row.get(b"state")),
            message=_text(row.get(b"message")),
            target_id=_text(row.get(b"target_node")),
            left_bytes=int(row.get(b"remaining_repl_size", 0)),
        )
        for row in pairs
        if row.get(b"operation") == b"EXPORT"
    ]


def wait_for_others(links: Links, source: Address, on_step: Callable[[str], None]) -> None:
    """Wait until no migration runs on this node: one of ours that was killed, or somebody's."""

    def running() -> str | None:
        left = [job for job in jobs_of(links, source) if not job.is_over]
        if not left:
            return None
        on_step(f"wait for a migration that runs: {left[0].state}")
        return f"{source} still exports slots ({left[0].state})"

    wait_until_none(running, JOB_DEADLINE_S)


def migrate_atomically(
    links: Links,
    source: Address,
    target_id: str,
    slots: Sequence[int],
    on_step: Callable[[str], None],
) -> None:
    """Move slots in one job, and wait until it has ended.

    Args:
        links: To the nodes.
        source: Owns all the slots.
        target_id: A primary that the source knows.
        slots: In order.
        on_step: Told the state of the job, again and again; what it raises passes through
            and leaves the job running.

    Raises:
        ManageError: The job failed; nothing has moved then.
    """
    known = {job.name for job in jobs_of(links, source)}
    bounds = [bound for first, last in slot_ranges(slots) for bound in (first, last)]
    links[source].call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *bounds, "NODE", target_id)

    def unfinished() -> str | None:
        job = next((job for job in jobs_of(links, source) if job.name not in known), None)
        if job is None:
            # A source whose last slot has gone may have become a replica, and begun anew.
            view = parse_cluster_nodes(links[source].call("CLUSTER", "NODES"), source)
            owner = view.owner(slots[0])
            if owner is not None and owner.id == target_id:
                return None
            raise ManageError(f"{source} has forgotten the migration that it began")
        on_step(job.state)
        if not job.is_over:
            return f"{source} exports slots: {job.state}"
        if job.state != "success":
            raise ManageError(f"{source}: the migration {job.state}: {job.message}")
        return None

    wait_until_none(unfinished, JOB_DEADLINE_S)


def _text(value: bytes | int | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
