"""The image of the load test, built as shipped: a master and a worker of it load the proxy."""

from __future__ import annotations

import faulthandler
from pathlib import Path

import image_builder
import pytest
from container import Container, Plan

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports

pytestmark = [pytest.mark.live, pytest.mark.takes(30)]

NAME = "slotway-loadtest"
RUN_LIMIT_S = 90.0
LOAD = "--headless --only-summary --mix cache,multikey --users 4 --spawn-rate 4 --run-time 3s"


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    """Build it by the line at the head of its Dockerfile."""
    if problem := image_builder.missing():
        pytest.skip(f"an image cannot be built here: {problem}")
    dockerfile = image_builder.ROOT / "deploy" / "loadtest" / "Dockerfile"
    (line,) = [
        line.partition("docker build ")[2]
        for line in dockerfile.read_text().splitlines()
        if line.startswith("#") and "docker build " in line
    ]
    faulthandler.cancel_dump_traceback_later()  # the first build takes longer than any test may
    image_builder.build(line.split())


def test_a_master_and_a_worker_of_the_image_load_the_proxy(tmp_path: Path) -> None:
    with (
        EmbeddedCluster(replicas=0) as cluster,
        ProxyProcess(cluster.addresses) as proxy,
        image_builder.mounted(NAME) as root,
        lease_ports(1) as lease,
    ):
        port = str(lease.ports[0])
        host = f"redis://{proxy.address}"

        def container(name: str, *arguments: str) -> Container:
            directory = tmp_path / name
            (scratch := directory / "tmp").mkdir(parents=True)
            scratch.chmod(0o777)
            settings = image_builder.settings_of(NAME)
            plan = Plan(
                command=[*settings["Entrypoint"], *arguments],
                environment=settings["Env"],
                user=settings["User"],
                read_only=True,
                mounts={"/tmp": scratch},
            )
            return Container(root, plan, names={}, directory=directory)

        bind = ("--master", "--expect-workers", "1", "--master-bind-port", port)
        find = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        with (
            container("master", *bind, *LOAD.split(), "--host", host) as master,
            container("worker", *find) as worker,
        ):
            codes = [each.wait(RUN_LIMIT_S) for each in (master, worker)]

    assert codes == [0, 0], master.log.read_text()
    assert "PASSED all thresholds held" in master.log.read_text()
    assert "MGET" in master.log.read_text()
