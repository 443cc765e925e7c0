"""What ``slotway cluster simulate`` computes is near what a real growth costs.

Counts only: seconds are the machine's business, and stand in docs/cluster.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.live

TOLERANCE = 3  # a busy machine reads the map later, and follows more redirects until then


def test_the_redirects_of_a_growth_are_those_that_were_computed(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "loadtest")
    from forecast import measure_growth

    # The quickest manner of each engine.
    growth = measure_growth(engine, "auto", 20_000)

    told = growth.forecast
    assert 0 < growth.moved <= TOLERANCE * told.moved_at_most
    assert 0 < growth.refreshes <= TOLERANCE * told.refreshes_at_most
    if growth.manner.name == "atomic":
        assert growth.asks == told.asks == 0
    else:
        # Slots that move more slowly are open for longer.
        longer = max(1.0, growth.seconds / told.seconds)
        most = (10 + TOLERANCE * told.asks) * longer
        assert told.asks / (10 * TOLERANCE) <= growth.asks <= most
