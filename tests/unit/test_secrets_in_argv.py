"""No secret stands on a command line, where every user of the machine can read it."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli_cluster import app as cluster
from proxy.sources import SECRET_KEYS

SECRET = "s3cret"


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
@pytest.mark.parametrize("command", ["serve", "check"])
def test_set_takes_no_secret(command: str, key: str) -> None:
    outcome = CliRunner().invoke(app, [command, "--set", f"{key}={SECRET}"])

    assert outcome.exit_code == 2
    assert key in outcome.output
    assert SECRET not in outcome.output


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (cluster, ("info", "--seed", "127.0.0.1:1")),
        (app, ("advise", "--server", "127.0.0.1:1")),
    ],
    ids=["cluster", "advise"],
)
def test_no_option_takes_a_password(program: typer.Typer, words: tuple[str, ...]) -> None:
    outcome = CliRunner().invoke(program, [*words, "--password", SECRET])

    assert outcome.exit_code == 2
    assert "REDISCLI_AUTH" in outcome.output
    assert "--password-file" in outcome.output
    assert SECRET not in outcome.output
