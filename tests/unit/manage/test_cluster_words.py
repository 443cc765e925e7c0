"""What is typed wrongly after ``slotway cluster`` is said in words, with exit code 2."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from proxy.cli_cluster import app

NOBODY = ("--seed", "127.0.0.1:1")


@pytest.mark.parametrize(
    "words",
    [
        ("info", "--timeout", "inf", *NOBODY),
        ("info", "--timeout", "1e300", *NOBODY),
        ("metrics", "--watch", "inf", *NOBODY),
        ("simulate", "--reshard", "5", "--requests-per-s", "inf"),
        ("simulate", "--reshard", "5", "--requests-per-s", "1e308"),
        ("simulate", "--reshard", "5", "--key-bytes", "1e308"),
        ("simulate", "--lose-node", "node-1", "--node-timeout", "inf"),
        ("rebalance", "--weight", "127.0.0.1:1=nan", *NOBODY),
        ("rebalance", "--weight", "127.0.0.1:1=inf", *NOBODY),
        ("rebalance", "--weight", "127.0.0.1:1=-1", *NOBODY),
    ],
    ids=" ".join,
)
def test_a_number_that_is_none_is_refused(words: tuple[str, ...]) -> None:
    outcome = CliRunner().invoke(app, [*words])

    assert outcome.exit_code == 2, outcome.output
    assert isinstance(outcome.exception, SystemExit)
