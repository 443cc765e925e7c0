"""docs/metrics.md is what its tool makes of the table of metrics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.admin.metrics import METRICS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the tool, as it is when run."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delitem(sys.modules, "make_metrics_page", raising=False)
    import make_metrics_page

    return make_metrics_page


def test_the_page_is_up_to_date(page: Any) -> None:
    assert page.PAGE.read_text() == page.render()


def test_the_page_has_every_metric_and_every_label(page: Any) -> None:
    text = page.render()
    labels = {label for row in METRICS for label in row.labels} - {"version", "python"}

    assert [row.full_name for row in METRICS if f"| `{row.full_name}` |" not in text] == []
    assert labels == {label.split()[0] for label, _ in page.LABELS}
