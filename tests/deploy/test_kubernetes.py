"""The manifests: valid for Kubernetes, and in agreement with the program and with each other."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
from manifests import KUBERNETES, Manifest, containers, documents, render

from proxy.config import Settings
from proxy.sources import known_keys

OVERLAYS = ("shared", "sidecar-example")
OLDEST = {"shared": "1.30", "sidecar-example": "1.29"}
ROOT = KUBERNETES.parents[1]
# Of the Prometheus operator; their schemas are not Kubernetes'.
CUSTOM = {"PodMonitor"}
VARIABLES = {f"SLOTWAY_{key.replace('.', '__').upper()}" for key in known_keys()}


def rendered() -> list[tuple[str, Manifest]]:
    """Return everything, with the overlay it belongs to."""
    return [(overlay, each) for overlay in OVERLAYS for each in render(KUBERNETES / overlay)]


def name_of(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return f"{value['kind']}-{value['metadata']['name']}" if "kind" in value else value["name"]


def proxies() -> list[tuple[Manifest, Manifest]]:
    """Return each container of ours, with what it is in."""
    return [
        (manifest, container)
        for _, manifest in rendered()
        if manifest["kind"] == "Deployment"
        for container in containers(manifest)
        if container["name"] == "slotway"
    ]


@pytest.mark.parametrize(("overlay", "manifest"), rendered(), ids=name_of)
@pytest.mark.parametrize("version", ["oldest", "latest"])
def test_kubernetes_takes_it(overlay: str, manifest: Manifest, version: str) -> None:
    number = OLDEST[overlay] if version == "oldest" else kubernetes_validate.latest_version()

    kubernetes_validate.validate(manifest, number, strict=True)


def test_the_load_tests_jobs_are_taken_too() -> None:
    for manifest in documents(ROOT / "deploy" / "loadtest" / "kubernetes.yaml"):
        kubernetes_validate.validate(manifest, "1.29", strict=True)


def test_every_file_is_used() -> None:
    for overlay in (*OVERLAYS, "sidecar", "monitoring"):
        directory = KUBERNETES / overlay
        (kustomization,) = documents(directory / "kustomization.yaml")
        used = {"kustomization.yaml", *kustomization.get("resources", [])}
        used |= {patch["path"] for patch in kustomization.get("patches", [])}
        for generator in kustomization.get("configMapGenerator", []):
            used |= set(generator.get("files", []))

        assert {path.name for path in directory.iterdir()} == used


def test_the_proxy_is_there_in_both_ways() -> None:
    kinds = ["restartPolicy" in container for _, container in proxies()]

    assert sorted(kinds) == [False, True]


each_proxy = pytest.mark.parametrize(("manifest", "container"), proxies(), ids=name_of)


@each_proxy
def test_every_variable_is_a_setting(manifest: Manifest, container: Manifest) -> None:
    maps = {each["metadata"]["name"]: each for _, each in rendered()}
    given = {each["name"] for each in container["env"]}
    for source in container["envFrom"]:
        given |= set(maps[source["configMapRef"]["name"]]["data"])

    assert given <= VARIABLES
    assert "SLOTWAY_CLUSTER__SEEDS" in given


@each_proxy
def test_probes_ask_the_admin_port(manifest: Manifest, container: Manifest) -> None:
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        asked = container[probe]["httpGet"]

        assert asked["path"] == path
        assert ports[asked["port"]] == Settings().admin.port
    assert ports[container["startupProbe"]["httpGet"]["port"]] == Settings().admin.port


@each_proxy
def test_it_may_do_nothing_but_its_work(manifest: Manifest, container: Manifest) -> None:
    pod = manifest["spec"]["template"]["spec"]
    rules = pod.get("securityContext", {}) | container["securityContext"]

    assert rules["runAsNonRoot"]
    assert f"USER {rules['runAsUser']}:" in (ROOT / "Dockerfile").read_text()
    assert rules["readOnlyRootFilesystem"]
    assert not rules["allowPrivilegeEscalation"]
    assert rules["capabilities"] == {"drop": ["ALL"]}
    assert rules["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert {"cpu", "memory"} == container["resources"]["limits"].keys()


@each_proxy
def test_it_has_the_time_to_drain(manifest: Manifest, container: Manifest) -> None:
    listen = Settings().listen
    granted_s = manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    stopping = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})

    assert granted_s > stopping["sleep"]["seconds"] + listen.drain_delay_s + listen.drain_s


@each_proxy
def test_it_is_the_image_that_we_build(manifest: Manifest, container: Manifest) -> None:
    assert container["image"] == "slotway"
    assert "docker build -t slotway " in (ROOT / "README.md").read_text()


def test_the_tag_is_the_projects_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    for directory in ("shared", "sidecar"):
        (kustomization,) = documents(KUBERNETES / directory / "kustomization.yaml")

        assert kustomization["images"] == [{"name": "slotway", "newTag": version[1]}]


def test_only_its_pod_reaches_a_sidecar() -> None:
    (sidecar,) = (each for _, each in proxies() if each.get("restartPolicy") == "Always")
    values = {each["name"]: each.get("value") for each in sidecar["env"]}

    assert values["SLOTWAY_LISTEN__ADDRESS"] == "127.0.0.1"
    assert [port["containerPort"] for port in sidecar["ports"]] == [Settings().admin.port]


def test_the_shared_pieces_belong_together() -> None:
    by_kind = {each["kind"]: each for each in render(KUBERNETES / "shared")}
    deployment = by_kind["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in next(containers(deployment))["ports"]}

    assert ports == {"redis": Settings().listen.port, "admin": Settings().admin.port}
    assert by_kind["Service"]["spec"]["selector"] == labels
    for port in by_kind["Service"]["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]  # else every apply undoes the autoscaler


def test_monitors_find_both_kinds_of_pods() -> None:
    shared, sidecars = documents(KUBERNETES / "monitoring" / "pod-monitors.yaml")
    for monitor, (manifest, container) in zip((shared, sidecars), proxies(), strict=True):
        labels = manifest["spec"]["template"]["metadata"]["labels"]

        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in [port["name"] for port in container["ports"]]
        assert endpoint["path"] == "/metrics"


def test_the_example_runs_the_application_of_compose() -> None:
    example = KUBERNETES / "sidecar-example" / "application.py"

    assert example.read_text() == (ROOT / "deploy" / "compose" / "application.py").read_text()
