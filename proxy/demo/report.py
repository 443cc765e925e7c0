"""What the demo says when it is ready: the table of the tour, and how to connect."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxy.cluster.topology import Address
from proxy.demo.steps import mark
from proxy.demo.tally import Tally
from proxy.demo.traffic import REPLICATION_LAG_S


def tour_report(console: Console, tallies: Sequence[Tally]) -> RenderableType:
    """Return the table of what the client saw, the verdict, and any complaints."""
    lines: list[RenderableType] = [
        Padding(_table(tallies), (1, 0, 1, 4)),
        _verdict(console, tallies),
    ]
    lost = sum(tally.lost_writes for tally in tallies)
    if lost:
        lines.append(
            Text(
                f"    {lost} acknowledged in the last {REPLICATION_LAG_S:g} s before the kill died "
                "with the server: replication is asynchronous, in Redis as in Valkey.",
                "dim",
            )
        )
    for tally in tallies:
        lines += [Text(f"    {tally.phase}: {words}", "red") for words in tally.complaints]
    return Group(*lines)


def how_to_connect(
    port: int, admin_port: int, label: str, nodes: Sequence[Address]
) -> RenderableType:
    """Return where the proxy listens, in the words of three clients and a browser."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("shell", Text(f"redis-cli -p {port}", "bold"))
    grid.add_row("Python", Text(f"redis.Redis(port={port})", "bold"))
    grid.add_row("any", Text(f"redis://127.0.0.1:{port}", "bold"))
    grid.add_row("browser", Text(f"http://127.0.0.1:{admin_port}/", "bold"))
    ports = " ".join(str(node.port) for node in nodes)
    grid.add_row("behind", Text(f"{label}, {len(nodes)} nodes on ports {ports}", "dim"))
    return Padding(grid, (1, 0, 1, 4))


def _table(tallies: Sequence[Tally]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=True,
    )
    total = Tally("all")
    for tally in tallies:
        total.add(tally)
    table.add_column("what the client did", footer="in all", no_wrap=True)
    for title, value in (
        ("commands", Text(f"{total.commands:,}")),
        ("errors", _count(total.errors)),
        ("unknown\noutcome", _count(total.unknown_writes, "yellow")),
        ("longest\nwait", _wait(total.longest_wait_s)),
        ("wrong\nanswers", _count(total.wrong_answers)),
    ):
        table.add_column(title, footer=value, justify="right", vertical="bottom")
    for tally in tallies:
        table.add_row(
            tally.phase,
            f"{tally.commands:,}",
            _count(tally.errors),
            _count(tally.unknown_writes, "yellow"),
            _wait(tally.longest_wait_s),
            _count(tally.wrong_answers),
        )
    return table


def _count(number: int, style: str = "bold red") -> Text:
    return Text(f"{number:,}", style) if number else Text("0", "green")


def _wait(seconds: float) -> Text:
    return Text(f"{seconds:.1f} s") if seconds >= 1 else Text(f"{seconds * 1000:.0f} ms")


def _verdict(console: Console, tallies: Sequence[Tally]) -> Text:
    held = all(tally.held for tally in tallies)
    unknown = sum(tally.unknown_writes for tally in tallies)
    words = Text("Everything held." if held else "Not everything held.", "bold")
    if held and unknown:
        subject = "1 write was" if unknown == 1 else f"{unknown} writes were"
        words.append(f" {subject} cut off halfway, and the client was told so.", "not bold")
    return Text.assemble("  ", mark(console, ok=held), " ", words)
