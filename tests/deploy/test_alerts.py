"""The alert rules and the dashboard: valid, tested, and about metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.process_collector import ProcessCollector

from proxy.admin.metrics import METRICS

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "slotway.json"
A_METRIC = re.compile(r"\b(?:slotway|process)_\w+")


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    return subprocess.run([found, *args], capture_output=True, text=True, cwd=RULES.parent)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def known_series() -> set[str]:
    """Return every name that a query can ask for."""
    names = set()
    for row in METRICS:
        parts = ("_bucket", "_sum", "_count") if row.kind == "histogram" else ("",)
        names.update(row.full_name + part for part in parts)
    for metric in ProcessCollector(registry=None).collect():
        names.add(metric.name + ("_total" if metric.type == "counter" else ""))
    return names


# ---- alert rules ------------------------------------------------------------------------------


def test_the_rules_are_valid() -> None:
    checked = promtool("check", "rules", RULES.name)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_comes_when_it_should_and_only_then() -> None:
    tested = promtool("test", "rules", "alerts_test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_is_tested() -> None:
    text = (RULES.parent / "alerts_test.yml").read_text()

    names = [rule["alert"] for rule in rules() if "alert" in rule]

    assert [name for name in names if name not in text] == []


@pytest.mark.parametrize(
    "rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"]
)
def test_each_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "runbook"}


def test_the_rules_ask_only_for_metrics_that_exist() -> None:
    asked = {name for rule in rules() for name in A_METRIC.findall(rule["expr"])}

    assert asked - known_series() == set()


# ---- the dashboard ----------------------------------------------------------------------------


@pytest.fixture
def make_dashboard(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    for name in ("make_dashboard", "dashboard_panels"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import make_dashboard

    return make_dashboard


def test_the_dashboard_is_what_its_tool_makes(make_dashboard: Any) -> None:
    assert DASHBOARD.read_text() == make_dashboard.render()


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_the_dashboard_asks_only_for_metrics_that_exist() -> None:
    asked = {name for query in queries() for name in A_METRIC.findall(query)}

    assert asked - known_series() == set()


def test_every_metric_is_on_the_dashboard_or_left_out_for_a_reason() -> None:
    shown = " ".join(queries())
    left_out = {
        "slotway_build_info": "a label, not a figure",
        "slotway_cluster_serving": "part of slotway_ready",
        "slotway_draining": "part of slotway_ready",
        "slotway_lane_in_flight_requests": "by node is more telling",
        "slotway_lane_requests_total": "by node is more telling",
        "slotway_lanes_max": "an alert's matter",
        "slotway_lost_pieces_total": "lost connections are shown",
        "slotway_node_health_checks_total": "the missed ones are shown",
        "slotway_node_input_bytes": "small unless somebody looks for it",
        "slotway_node_refusals_total": "shown by kind",
        "slotway_orphaned_pieces_total": "nothing is wrong with it",
        "slotway_private_connections_max": "an alert's matter",
        "slotway_samples_total": "the proxy's own business",
        "slotway_tls_certificate_expiry_timestamp_seconds": "an alert's matter",
        "slotway_tls_handshake_failures_total": "an alert's matter",
        "slotway_tls_handshakes_total": "connections are shown",
        "slotway_unasked_pushes_total": "small unless somebody looks for it",
    }

    assert sorted(left_out) == sorted(
        row.full_name for row in METRICS if row.full_name not in shown
    )


def test_every_query_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    """Put the queries into rules, which promtool can check, with the variables filled in."""
    filled = [
        query.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+")
        for query in queries()
    ]
    asked = [{"record": f"panel:{place}", "expr": query} for place, query in enumerate(filled)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))

    checked = promtool("check", "rules", str(path))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_two_panels_lie_on_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = [
        (x, y)
        for panel in panels
        for place in (panel["gridPos"],)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
