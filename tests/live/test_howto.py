"""The how-tos' settings and commands, used on a real cluster as a reader would use them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.embedded import EmbeddedCluster, StandaloneServer

pytestmark = pytest.mark.live

HOW_TO = Path(__file__).parents[2] / "docs" / "howto"
SEED, OLD_SERVER = "10.0.0.1:7000", "10.0.0.9:6379"  # as the pages have them
LIMIT_S = 60
PASSWORD = "secret"
# Those of tls.md name certificates and a cluster with TLS: test_tls_nodes.py has both.
SETTINGS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted(HOW_TO.glob("*.md"))
    if page.stem != "tls"
    for number, block in enumerate(
        re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    )
]

needs_redis_cli = pytest.mark.skipif(
    shutil.which("redis-cli") is None, reason="redis-cli is not installed: redis-tools has it"
)


def command_of(page: str, beginning: str) -> list[str]:
    """Return the words of the command of a page that begins so."""
    found = re.findall(rf"`({re.escape(beginning)}[^`]*)`", (HOW_TO / page).read_text())
    return shlex.split(found[0])


def run(words: list[str], **places: object) -> str:
    """Run a command with other places than the page's; return what it printed."""
    there = [next((str(new) for old, new in places.items() if word == old), word) for word in words]
    done = subprocess.run(there, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def user(cluster: EmbeddedCluster) -> Iterator[None]:
    """The user that the pages' settings log in as, at every node."""
    for node in cluster.nodes:
        node.call("ACL", "SETUSER", "slotway", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    yield
    for node in cluster.nodes:
        node.call("ACL", "DELUSER", "slotway")


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("settings", SETTINGS)
def test_check_finds_nothing_wrong_with_a_pages_settings(
    cluster: EmbeddedCluster, settings: str, tmp_path: Path
) -> None:
    for name in re.findall(r"/run/secrets/([\w-]+)", settings):
        (tmp_path / name).write_text(PASSWORD)
    file = tmp_path / "proxy.toml"
    file.write_text(settings.replace("/run/secrets", str(tmp_path)))
    command = [sys.executable, "-m", "proxy", "check", "-c", str(file)]

    printed = run([*command, "--seed", str(cluster.addresses[0])])

    assert "everything is in order" in printed


@needs_redis_cli
def test_the_proxys_user_is_made_at_every_node(cluster: EmbeddedCluster) -> None:
    command = command_of("acl.md", "redis-cli --cluster call")

    run(command, **{SEED: cluster.addresses[0]})

    for node in cluster.nodes:
        assert b"slotway" in node.call("ACL", "USERS")
        node.call("ACL", "DELUSER", "slotway")


@needs_redis_cli
@pytest.mark.parametrize("page", ["django.md", "sidekiq.md"])
def test_keys_are_taken_along_from_the_old_server(
    cluster: EmbeddedCluster, standalone: StandaloneServer, page: str
) -> None:
    for number in range(20):
        standalone.node.call("SET", f"session:{number}", number)
    command = command_of(page, "redis-cli --cluster import")

    run(command, **{SEED: cluster.addresses[0], OLD_SERVER: standalone.address})

    found = [cluster.primary_for(b"session:%d" % n).call("GET", f"session:{n}") for n in range(20)]
    assert found == [b"%d" % number for number in range(20)]
    assert standalone.node.call("DBSIZE") == 20
