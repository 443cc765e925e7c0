"""Write docs/metrics.md: every metric of the admin port, and what its labels can be.

    python tools/make_metrics_page.py

The page is made of the table that the scrape itself is made of, ``proxy/admin/metrics.py``.
A test sees that it is up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.process_collector import ProcessCollector

from proxy.admin.metric_control import CONTROL
from proxy.admin.metric_health import HEALTH
from proxy.admin.metric_nodes import NODES
from proxy.admin.metric_rows import Row
from proxy.admin.metric_tls import TLS
from proxy.admin.metric_traffic import TRAFFIC
from proxy.commands.families import FAMILIES
from proxy.dataplane.meter import ERROR_CODES, LIMITS, PUNTS, REFUSALS
from proxy.tls.failures import Cause

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"

HEAD = """# Metrics

Made by `tools/make_metrics_page.py` from the table of the metrics; do not edit.

`GET /metrics` at the admin port (`[admin]` in [proxy.toml](../proxy.toml)), in Prometheus' text
format or, if the scraper asks for it, in OpenMetrics. Everything is counted since the start of
the process.
A dashboard for Grafana and alert rules for Prometheus are in [deploy/](../deploy/).

Times are taken once a tick of the data plane: a latency leaves out at most one tick at its
beginning and one at its end, and `slotway_tick_duration_seconds` says how long ticks are.
Histograms have a bucket for each doubling, from 50 us to 105 s; families that nobody has used
have none yet.
"""

SECTIONS = (
    ("Clients and their requests", TRAFFIC),
    ("Nodes and the connections to them", NODES),
    ("The health of nodes", HEALTH),
    ("The control plane", CONTROL),
    ("TLS", TLS),
)

LABELS: tuple[tuple[str, str], ...] = (
    ("family", ", ".join(FAMILIES)),
    ("direction", "read, write, other (what the proxy knows neither of)"),
    ("class", "first word of the error: " + ", ".join(ERROR_CODES)),
    ("kind (of `slotway_refusals_total`)", ", ".join(REFUSALS)),
    ("reason", ", ".join(PUNTS)),
    ("limit", ", ".join(LIMITS)),
    ("buffer", "input, output, kept"),
    ("node", "address of a node, as the map has it"),
    ("role", "primary, replica"),
    ("lane", "own, user, database, client"),
    ("state", "in_use, idle"),
    ("side", "clients, nodes"),
    ("cause", ", ".join(Cause)),
    ("setting", "those that name certificates"),
    ("file", "its path, as the setting has it"),
    ("kind (of `slotway_pubsub_topics`)", "channel, pattern, shard_channel"),
)


def main() -> None:
    """Write the page."""
    PAGE.write_text(render())


def render() -> str:
    """Return the text of the page."""
    return HEAD + "".join(_sections()) + "".join(_process()) + "".join(_labels())


def _sections() -> Iterator[str]:
    for title, rows in SECTIONS:
        yield f"\n## {title}\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n"
        yield from map(_line, rows)


def _line(row: Row) -> str:
    labels = ", ".join(row.labels)
    return f"| `{row.full_name}` | {row.kind} | {labels} | {row.text} |\n"


def _process() -> Iterator[str]:
    yield "\n## The process\n\n| metric | type | what it is |\n|---|---|---|\n"
    for metric in sorted(ProcessCollector(registry=None).collect(), key=lambda found: found.name):
        name = metric.name + ("_total" if metric.type == "counter" else "")
        yield f"| `{name}` | {metric.type} | {metric.documentation} |\n"


def _labels() -> Iterator[str]:
    yield "\n## Labels\n\nNo label ever has a key, a user or a client's name in it.\n\n"
    yield "| label | values |\n|---|---|\n"
    for label, values in LABELS:
        yield f"| {label} | {values} |\n"


if __name__ == "__main__":
    main()
