"""Write deploy/grafana/slotway.json: the dashboard, ready to be imported.

    python tools/make_dashboard.py

The panels stand in ``dashboard_panels.py``; here they are laid out, three in a row. A test
sees that the file is up to date and names only metrics that exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from dashboard_panels import ROWS, Panel

ROOT = Path(__file__).resolve().parent.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "slotway.json"

COLUMNS = 24
WIDTH, HEIGHT = 8, 8
STAT_WIDTH, STAT_HEIGHT = 4, 4
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def main() -> None:
    """Write the dashboard."""
    DASHBOARD.parent.mkdir(parents=True, exist_ok=True)
    DASHBOARD.write_text(render())


def render() -> str:
    """Return the text of the file."""
    return json.dumps(dashboard(), indent=2, sort_keys=True) + "\n"


def dashboard() -> dict[str, object]:
    """Return the dashboard as Grafana takes it."""
    return {
        "uid": "slotway",
        "title": "slotway",
        "description": "One plain Redis port in front of a cluster: what passes, what it costs.",
        "tags": ["redis", "valkey", "slotway"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "panels": list(_lay_out()),
    }


def _variables() -> list[dict[str, object]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource"}
    asked = {
        "type": "query",
        "datasource": DATASOURCE,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    return [
        {**source, "query": "prometheus"},
        {**asked, "name": "job", "label": "Job", **_labels("slotway_ready", "job")},
        {
            **asked,
            "name": "instance",
            "label": "Proxy",
            **_labels('slotway_ready{job=~"$job"}', "instance"),
        },
    ]


def _labels(series: str, label: str) -> dict[str, object]:
    query = f"label_values({series}, {label})"
    return {"definition": query, "query": {"query": query, "refId": f"values-of-{label}"}}


def _lay_out() -> Iterator[dict[str, object]]:
    number, y = 1, 0
    for title, panels in ROWS:
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }
        number, y, x, high = number + 1, y + 1, 0, 0
        for panel in panels:
            width, high = (STAT_WIDTH, STAT_HEIGHT) if panel.is_stat else (WIDTH, HEIGHT)
            if x + width > COLUMNS:
                x, y = 0, y + high
            yield _as_json(panel, number, {"x": x, "y": y, "w": width, "h": high})
            number, x = number + 1, x + width
        y += high


def _as_json(panel: Panel, number: int, place: dict[str, int]) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": number,
        "title": panel.title,
        "description": panel.text,
        "type": "stat" if panel.is_stat else "timeseries",
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": list(_targets(panel.queries)),
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "color": {"mode": "thresholds" if panel.is_stat else "palette-classic"},
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"value": value, "color": colour} for value, colour in panel.steps],
                },
                "custom": {} if panel.is_stat else {"fillOpacity": 10, "showPoints": "never"},
            },
            "overrides": [],
        },
    }
    shown["options"] = (
        {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
        if panel.is_stat
        else {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    )
    return shown


def _targets(queries: Iterable[tuple[str, str]]) -> Iterator[dict[str, object]]:
    for place, (query, legend) in enumerate(queries):
        yield {
            "refId": chr(ord("A") + place),
            "datasource": DATASOURCE,
            "expr": query,
            "legendFormat": legend,
        }


if __name__ == "__main__":
    main()
