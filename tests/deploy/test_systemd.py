"""The units: systemd understands them, they forbid what can be forbidden, and they fit us."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from proxy.config import Settings

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICE, SOCKET = UNITS / "slotway.service", UNITS / "slotway.socket"
# Of 100, where 0 is locked up and 100 may do everything; see systemd-analyze(1).
EXPOSURE_LIMIT = 15


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as on a machine where the program is where they say."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze; on Debian: apt install systemd")
    program = options(SERVICE)["ExecStart"][0].split()[0]
    for unit in (SERVICE, SOCKET):
        (tmp_path / unit.name).write_text(unit.read_text().replace(program, "/bin/true"))
    return tmp_path


def options(unit: Path) -> dict[str, list[str]]:
    """Return the values of each key, whatever the section."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    found = analyze("verify", "--man=no", installed / SERVICE.name, installed / SOCKET.name)

    assert found.returncode == 0
    assert found.stderr == ""


def test_systemd_finds_it_locked_up(installed: Path) -> None:
    found = analyze(
        *("security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_LIMIT}"),
        installed / SERVICE.name,
    )

    assert found.returncode == 0, found.stdout


def test_the_socket_is_where_clients_look_for_it() -> None:
    listen = Settings().listen

    assert options(SOCKET)["ListenStream"] == [f"{listen.address}:{listen.port}"]
    assert options(SOCKET)["Backlog"] == [str(listen.backlog)]
    assert options(SERVICE)["Requires"] == [SOCKET.name]


def test_it_has_the_time_to_drain() -> None:
    listen = Settings().listen

    assert float(options(SERVICE)["TimeoutStopSec"][0]) > listen.drain_delay_s + listen.drain_s


def test_there_may_be_a_descriptor_for_each_client() -> None:
    # One each for the client and for a connection that a blocked one has to itself.
    wanted = Settings().listen.max_clients + Settings().limits.private_connection_limit

    assert int(options(SERVICE)["LimitNOFILE"][0]) > wanted
