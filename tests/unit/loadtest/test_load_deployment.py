"""deploy/loadtest says nothing to locust that locust, with our locustfile, does not know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "loadtest"
FILES = ("compose.yaml", "kubernetes.yaml")


# In a process of its own: locust patches the interpreter that imports it.
LIST_WHAT_LOCUST_KNOWS = """
import locustfile
from locust.argument_parser import get_parser
for action in get_parser()._actions:
    print(*action.option_strings, getattr(action, "env_var", None) or "")
"""


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Options and environment variables that locust has with our locustfile."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_WHAT_LOCUST_KNOWS],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT / "loadtest",
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", FILES)
def test_every_option_and_variable_is_one_of_locusts_or_ours(name: str, known: set[str]) -> None:
    # Comments name options of docker and kubectl, too.
    text = "\n".join(line.partition("#")[0] for line in (DEPLOY / name).read_text().splitlines())
    used = {*re.findall(r"\"(--[a-z][a-z-]+)", text), *re.findall(r"\bLOCUST_[A-Z_0-9]+", text)}

    assert len(used) > 3
    assert sorted(used - known) == []


def test_the_image_has_the_versions_of_the_constraints() -> None:
    pinned = re.findall(r"\b([a-z]+==[\d.]+)", (DEPLOY / "Dockerfile").read_text())
    constraints = (ROOT / "constraints.txt").read_text().splitlines()

    assert {line.partition("==")[0] for line in pinned} == {"locust", "redis", "hiredis"}
    assert set(pinned) <= set(constraints)


def test_the_image_has_every_file_that_the_locustfile_needs() -> None:
    copied = re.findall(r"^COPY (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)

    assert copied == ["locustfile.py", "load"]
    assert all((ROOT / "loadtest" / name).exists() for name in copied)


def test_masters_wait_for_as_many_workers_as_there_are() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    jobs = {
        manifest["metadata"]["name"].rpartition("-")[2]: manifest["spec"]
        for manifest in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
        if manifest["kind"] == "Job"
    }
    (master,) = jobs["master"]["template"]["spec"]["containers"]

    assert expected(compose["master"]["command"]) == compose["worker"]["deploy"]["replicas"]
    assert expected(master["args"]) == jobs["worker"]["parallelism"]
    assert jobs["worker"]["parallelism"] == jobs["worker"]["completions"]


def test_workers_find_their_master_by_the_name_it_has() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    manifests = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    (service,) = [manifest for manifest in manifests if manifest["kind"] == "Service"]
    pods = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]
        for manifest in manifests
        if manifest["kind"] == "Job"
    }

    assert compose["worker"]["command"][-1] in compose
    worker = pods["slotway-loadtest-worker"]["spec"]["containers"][0]
    assert worker["args"][-1] == service["metadata"]["name"]
    selected = service["spec"]["selector"].items()
    assert selected <= pods["slotway-loadtest-master"]["metadata"]["labels"].items()
    assert not selected <= pods["slotway-loadtest-worker"]["metadata"]["labels"].items()


def expected(command: list[str]) -> int:
    return int(command[command.index("--expect-workers") + 1])
