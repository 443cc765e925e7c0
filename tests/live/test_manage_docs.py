"""Every line of docs/cluster.md works, in the order in which they stand there, and as JSON."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from bare_nodes import bare_nodes
from slotway_command import slotway

from proxy.cli_cluster import app
from proxy.embedded import StandaloneServer

pytestmark = [pytest.mark.live, pytest.mark.takes(55)]

TEXT = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
LINES = re.findall(r"^slotway cluster (.*)$", TEXT, re.M)


def names_of(answer: object) -> set[str]:
    """Return the names of an answer, or of the first value of a list."""
    first = answer[0] if isinstance(answer, list) and answer else answer
    return set(first) if isinstance(first, dict) else set()


def test_every_line_of_the_page_works(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the page writes a file
    with bare_nodes(engine, 8) as nodes, StandaloneServer(engine) as alone:
        places = {f"10.0.0.{n}:7000": str(node.address) for n, node in enumerate(nodes, 1)}
        places["10.0.0.9:6379"] = str(alone.address)
        for line in LINES:
            words = shlex.split(re.sub(r"10\.0\.0\.\d:\d+", lambda m: places[m[0]], line))
            if "--yes" in words:
                answers = [slotway(*words, "--json", "--dry-run"), slotway(*words, "--json")]
            else:
                slotway(*words)
                answers = [slotway(*words, "--json")]
            named = {name for answer in answers for name in names_of(json.loads(answer))}
            assert {name for name in named if f"`{name}`" not in TEXT} == set(), line


def test_every_command_is_on_the_page() -> None:
    shown = {line.split()[0] for line in LINES}

    assert shown == {command.name for command in app.registered_commands}


def test_every_code_of_health_is_on_the_page() -> None:
    room = Path(__file__).parents[2] / "proxy" / "manage"
    source = (room / "health.py").read_text() + (room / "health_nodes.py").read_text()
    codes = set(re.findall(r'Finding\(\s*"(\w+)"', source)) | {"node_loss", "host_loss"}

    assert {code for code in codes if f"`{code}`" not in TEXT} == set()
