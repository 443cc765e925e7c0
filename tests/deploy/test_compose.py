"""compose.yaml: valid by the specification's schema, and in agreement with what it uses."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from proxy.config import Settings
from proxy.sources import known_keys

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "compose.yaml", ROOT / "deploy" / "loadtest" / "compose.yaml")
COMPOSE: dict[str, Any] = yaml.safe_load(FILES[0].read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = {name: each for name, each in SERVICES.items() if name.startswith("redis-")}
NODE_PORT, BUS_PORT = 6379, 16379
VARIABLES = {f"SLOTWAY_{key.replace('.', '__').upper()}" for key in known_keys()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_it_is_what_the_specification_asks_for(path: Path) -> None:
    schemas = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(schemas.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)

    assert [
        error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))
    ] == []


def test_every_file_it_mounts_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_every_dependency_is_a_service() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", [])) <= SERVICES.keys()


def test_every_node_has_a_name_an_address_and_data_of_its_own() -> None:
    network = COMPOSE["networks"]["redis"]["ipam"]["config"][0]
    addresses = [node["networks"]["redis"]["ipv4_address"] for node in NODES.values()]

    assert len(NODES) == len(set(addresses)) == 6
    assert network["subnet"] == "10.79.0.0/24"
    for name, node in NODES.items():
        announced = dict(zip(node["command"][2::2], node["command"][3::2], strict=True))
        assert announced == {"--cluster-announce-hostname": name}
        assert f"{name}:/data" in node["volumes"]
        assert "healthcheck" in node


def test_what_is_announced_is_a_name_for_clients_and_ports_for_the_bus() -> None:
    lines = (ROOT / "deploy" / "compose" / "redis.conf").read_text().splitlines()
    conf = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))

    assert "cluster-announce-ip" not in conf
    assert conf["cluster-preferred-endpoint-type"] == "hostname"
    assert conf["cluster-announce-port"] == conf["port"] == str(NODE_PORT)
    assert conf["cluster-announce-bus-port"] == str(BUS_PORT)


def test_the_cluster_is_made_of_all_nodes_and_once() -> None:
    (script,) = SERVICES["create-cluster"]["command"]
    words = script.split()

    assert {word.rstrip(";") for word in words if word.startswith("redis-")} == {
        f"{name}:{NODE_PORT}" for name in NODES
    }
    assert SERVICES["create-cluster"]["depends_on"] == {
        name: {"condition": "service_healthy"} for name in NODES
    }
    needed = SERVICES["slotway"]["depends_on"]["create-cluster"]
    assert needed == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", ["slotway", "create-cluster"])
def test_seeds_are_nodes_and_variables_are_settings(name: str) -> None:
    environment = SERVICES[name]["environment"]

    assert set(environment) <= VARIABLES
    for seed in environment["SLOTWAY_CLUSTER__SEEDS"].split(","):
        assert seed.removesuffix(f":{NODE_PORT}") in NODES


def test_the_application_and_its_sidecar_are_at_each_others_loopback() -> None:
    assert SERVICES["slotway"]["network_mode"] == "service:application"
    published = {port.split(":")[-1] for port in SERVICES["application"]["ports"]}
    assert published == {str(Settings().listen.port), str(Settings().admin.port)}


def test_the_sidecar_has_the_time_to_drain() -> None:
    listen = Settings().listen
    granted_s = float(SERVICES["slotway"]["stop_grace_period"].removesuffix("s"))

    assert granted_s > listen.drain_delay_s + listen.drain_s


def test_nothing_is_open_to_other_machines() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_prometheus_asks_the_proxy_and_grafana_asks_prometheus() -> None:
    folder = ROOT / "deploy" / "compose"
    scrape = yaml.safe_load((folder / "prometheus.yml").read_text())
    source = yaml.safe_load((folder / "grafana" / "datasources.yml").read_text())
    (alias,) = SERVICES["application"]["networks"]["redis"]["aliases"]

    (job,) = scrape["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{alias}:{Settings().admin.port}"]}]
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in SERVICES["grafana"]["volumes"])
    directory, _, name = home.rpartition("/")
    assert (ROOT / mounts[directory] / name).is_file()
    dashboards = yaml.safe_load((folder / "grafana" / "dashboards.yml").read_text())
    assert dashboards["providers"][0]["options"]["path"] == directory


def test_the_rules_are_found() -> None:
    scrape = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())
    mounts = dict(volume.split(":")[:2][::-1] for volume in SERVICES["prometheus"]["volumes"])
    (pattern,) = scrape["rule_files"]
    directory, _, glob = pattern.rpartition("/")

    assert list((ROOT / mounts[directory]).glob(glob))


def test_prometheus_understands_its_settings() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool; on Debian: apt install prometheus")
    settings = ROOT / "deploy" / "compose" / "prometheus.yml"

    found = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", settings],
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stderr
