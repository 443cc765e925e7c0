"""What is wrong with single nodes: silence, flags, links, replication, memory, disk. Pure.

Strategy: the thresholds are named here and chosen so that a cluster in order has no finding
at them, also under load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxy.manage.health_values import Finding
from proxy.manage.report import Report
from proxy.manage.view import View

LAG_BYTES = 16 * 1024 * 1024  # chosen: a second of a fast network; the backlog is 1 MiB or more
LAG_S = 15  # chosen: a primary pings its replicas every 10 s
MEMORY_SHARE = 0.9  # of maxmemory
FRAGMENTATION = 1.5
FRAGMENTATION_BYTES = 256 * 1024 * 1024  # below it the ratio says nothing

_PERSISTENCE = {
    "rdb_last_bgsave_status": "its last snapshot failed; by default it refuses writes then",
    "aof_last_write_status": "it cannot write its append-only file, and refuses writes",
    "aof_last_bgrewrite_status": "its last rewrite of the append-only file failed",
}


def _silence(view: View) -> Iterator[Finding]:
    for address, reason in view.silent.items():
        yield Finding("silent", "problem", address, f"does not answer: {reason}")


def _flags(view: View) -> Iterator[Finding]:
    """What the best informed node says of the others, and who suspects whom."""
    for line in view.best.lines:
        where = line.announced
        name = "" if where else f"node {line.id[:12]} "
        if "fail" in line.flags:
            yield Finding("failed", "problem", where, f"{name}has failed (flag fail)")
        elif "noaddr" in line.flags:
            yield Finding(
                "noaddr", "warning", where, f"{name}is known, and nobody knows where it is"
            )
        elif "handshake" in line.flags:
            yield Finding("handshake", "warning", where, f"{name}is still being met")
    suspected: dict[str, list[str]] = {}
    for report in view.reports:
        for line in report.lines:
            if "myself" in line.flags or line.flags & {"fail", "noaddr", "handshake"}:
                continue
            if "fail?" in line.flags or not line.is_linked:
                suspected.setdefault(line.id, []).append(str(report.address))
    for node_id, by in suspected.items():
        node = view.topology.node_by_id(node_id)
        yield Finding(
            "link",
            "warning",
            node.address if node else None,
            f"is not reached over the cluster bus by {', '.join(by[:3])}"
            + (f" and {len(by) - 3} more" if len(by) > 3 else ""),
        )


def _replication(view: View) -> Iterator[Finding]:
    for report in view.reports:
        if report.is_primary:
            continue
        primary = view.by_id.get(report.myself.primary_id or "")
        if report.info.get("master_link_status") != "up":
            words = "is not linked to its primary"
            if report.info.get("master_sync_in_progress") == "1":
                words += ": it is copying everything"
            yield Finding("replica_link", "problem", report.address, words)
            continue
        if primary is not None:
            yield from _lag(report, primary)


def _lag(report: Report, primary: Report) -> Iterator[Finding]:
    behind = primary.number("master_repl_offset") - report.number("slave_repl_offset")
    if behind > LAG_BYTES:
        yield Finding(
            "replica_lag",
            "warning",
            report.address,
            f"is {behind / 2**20:.0f} MiB behind its primary {primary.address}",
        )
    silent_s = report.number("master_last_io_seconds_ago")
    if silent_s > LAG_S:
        yield Finding(
            "replica_lag",
            "warning",
            report.address,
            f"has heard nothing from its primary {primary.address} for {silent_s} s",
        )


def _memory(view: View) -> Iterator[Finding]:
    for report in view.reports:
        used, limit = report.number("used_memory"), report.number("maxmemory")
        if limit and used > MEMORY_SHARE * limit:
            policy = report.info.get("maxmemory_policy", "")
            is_full = used >= limit and policy == "noeviction"
            yield Finding(
                "memory",
                "problem" if is_full else "warning",
                report.address,
                f"uses {100 * used / limit:.0f} % of maxmemory ({policy})",
            )
        ratio = float(report.info.get("mem_fragmentation_ratio", "0") or 0)
        wasted = report.number("mem_fragmentation_bytes")
        if ratio > FRAGMENTATION and wasted > FRAGMENTATION_BYTES:
            yield Finding(
                "fragmentation",
                "warning",
                report.address,
                f"holds {wasted / 2**20:.0f} MiB more than it uses (fragmentation {ratio:.2f})",
            )


def _persistence(view: View) -> Iterator[Finding]:
    for report in view.reports:
        for name, words in _PERSISTENCE.items():
            if report.info.get(name, "ok") != "ok":
                yield Finding("persistence", "problem", report.address, words)
        if report.info.get("loading", "0") != "0":
            yield Finding(
                "loading", "problem", report.address, "is still reading its data from disk"
            )


NODE_CHECKS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _silence,
    _flags,
    _replication,
    _memory,
    _persistence,
)
