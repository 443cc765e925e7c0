"""How figures look on a terminal: shares as bars, sums below a line, verdicts in words."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from proxy.cli_cluster.show_state import table
from proxy.manage import Distribution, Figures, Health, Metrics, counted

BAR_CELLS = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"

_STATUS_STYLES = {"healthy": "bold green", "warning": "bold yellow", "unhealthy": "bold red"}
_SEVERITY_STYLES = {"problem": "bold red", "warning": "yellow"}


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """Return a share from 0 to 1 as a bar of so many cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(share, 1.0)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def size(count: int | None) -> str:
    """Return a number of bytes as people read it; empty for None."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def show_distribution(found: Distribution, console: Console) -> None:
    """Print what each shard has, with a bar for its slots."""
    made = table(
        *("primary", "slots", "", "", "keys", "", "memory", "", "replicas"),
        right=("slots", "keys", "memory", "replicas"),
    )
    widest = max((shard.slot_share for shard in found.shards), default=0) or 1
    for shard in found.shards:
        made.add_row(
            str(shard.primary),
            f"{shard.slots:,}",
            f"{100 * shard.slot_share:.1f} %",
            Text(bar(shard.slot_share / widest), "cyan"),
            "" if shard.keys is None else f"{shard.keys:,}",
            f"{100 * shard.key_share:.1f} %",
            size(shard.memory_bytes),
            f"{100 * shard.memory_share:.1f} %",
            str(shard.replicas),
        )
    made.add_section()
    made.add_row(
        "all", f"{found.slots:,}", "", "", f"{found.keys:,}", "", size(found.memory_bytes), "", ""
    )
    console.print(made)


def show_metrics(found: Metrics, console: Console) -> None:
    """Print the figures of each node and their sum."""
    heads = ("clients", "memory", "hits", "misses", "hit rate", "commands", "ops/s")
    made = table("node", "role", *heads, right=heads)
    for node in found.nodes:
        made.add_row(str(node.address), node.role, *_figures(node.figures))
    made.add_section()
    made.add_row("all", "", *_figures(found.total))
    console.print(made)


def _figures(figures: Figures) -> list[str]:
    rate = figures.hit_rate
    return [
        f"{figures.clients:,}",
        size(figures.memory_bytes),
        f"{figures.hits:,}",
        f"{figures.misses:,}",
        "" if rate is None else f"{100 * rate:.1f} %",
        f"{figures.commands:,}",
        f"{figures.ops_per_s:,}",
    ]


def show_health(found: Health, console: Console) -> None:
    """Print the verdict, then each finding, then what would be survived."""
    status = (found.status, _STATUS_STYLES[found.status])
    console.print(Text.assemble("status: ", status, f", {counted(found.nodes, 'node')} answered"))
    for finding in found.findings:
        where = f"{finding.node} " if finding.node else ""
        console.print(
            Text.assemble(
                (f"{finding.severity}: ", _SEVERITY_STYLES[finding.severity]),
                f"{where}{finding.words}",
                (f"  [{finding.code}]", "dim"),
            ),
            soft_wrap=True,
        )
    for what, survives in (("node", found.survives_any_node), ("host", found.survives_any_host)):
        if survives:
            console.print(Text(f"would survive the loss of any one {what}", "green"))
    for verdict in found.verdicts:
        if verdict.survives:
            words = f"  loss of {verdict.loss}: {verdict.reason}"
            console.print(Text(words, "dim"), soft_wrap=True)
