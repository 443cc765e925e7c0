"""A command that is called wrongly ends with 2 and a line that names the option or the setting."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli_cluster import app as cluster

NOWHERE = "127.0.0.1:1"
NO_FILE = "No such file or directory"
WRONGLY = {
    "a port that cannot be": (app, ("demo", "--port", "99999"), "--port"),
    "a certificate that is not there": (
        app,
        ("check", "--set", "tls.mode=only", "--set", "tls.cert_file=/nowhere"),
        f"tls.cert_file: given '/nowhere'; allowed: a PEM file with certificates ({NO_FILE})",
    ),
    "settings that are not there": (
        app,
        ("health", "--config", "/nowhere"),
        f"/nowhere: given {NO_FILE}; allowed: a TOML file",
    ),
    "a pin that is none": (
        app,
        ("advise", "--pin", "bull", "-"),
        "--pin: given 'bull'; allowed: prefix=tag",
    ),
    "a password that is not there": (
        cluster,
        ("info", "--seed", NOWHERE, "--password-file", "/nowhere"),
        f"--password-file: given '/nowhere'; allowed: a file that can be read ({NO_FILE})",
    ),
    "the source's password that is not there": (
        cluster,
        ("import", NOWHERE, "--seed", NOWHERE, "--source-password-file", "/nowhere"),
        f"--source-password-file: given '/nowhere'; allowed: a file that can be read ({NO_FILE})",
    ),
    "the source's user without a password": (
        cluster,
        ("import", NOWHERE, "--seed", NOWHERE, "--source-user", "ada"),
        "--source-user: given 'ada'; allowed: a user with a password",
    ),
}


@pytest.mark.parametrize(("program", "words", "said"), WRONGLY.values(), ids=WRONGLY)
def test_it_is_said_which_option_is_wrong(
    program: typer.Typer, words: tuple[str, ...], said: str
) -> None:
    outcome = CliRunner().invoke(program, words, env={"COLUMNS": "200"})

    assert said in outcome.output
    assert outcome.exit_code == 2
