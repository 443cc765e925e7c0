"""The example is what a reader gets: it runs, and its figures are the cluster's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster
from proxy.manage import ClusterManager

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


def test_the_tour_shows_true_figures_and_leaves_the_cluster_as_it_was(
    cluster: EmbeddedCluster,
) -> None:
    with ClusterManager(cluster.addresses) as manager:
        manager.move(manager.plan_rebalance())  # others may have left it uneven
    before = [cluster.slots_of(node) for node in cluster.primaries()]

    outcome = subprocess.run(
        [sys.executable, ROOT / "examples" / "cluster_tour.py", *map(str, cluster.addresses[:1])],
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stderr
    told = outcome.stdout
    assert f"user:12345: slot {key_slot(b'user:12345')} at {cluster.addresses[0]}" in told
    assert "1000 slots moved back" in told
    assert [len(slots) for slots in before] == [
        len(cluster.slots_of(node)) for node in cluster.primaries()
    ]
    # Exactly as it was: others count on a map of few ranges.
    assert before == [cluster.slots_of(node) for node in cluster.primaries()]


def test_the_slots_in_the_readme_are_right() -> None:
    text = (ROOT / "examples" / "README.md").read_text()

    for key, slot in re.findall(r"`(user:\d+)` is in slot \d+[^|]*\| slot (\d+)", text):
        assert key_slot(key.encode()) == int(slot)
    assert "slot 1800" in text
