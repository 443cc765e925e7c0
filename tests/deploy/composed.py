"""Run the services of compose.yaml as they stand there, without Docker.

Strategy: each service is a container in a network of its own, with the address, names,
files and environment that the file gives it. Images that cannot be pulled are replaced by
ours with a program of this machine in it.

Only what our file uses is understood; see ``KNOWN``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml
from container import Container, Plan
from own_network import Bridge

from proxy.embedded import find_engine

KNOWN = {"image", "command", "entrypoint", "environment", "volumes", "networks", "network_mode"}
KNOWN |= {"read_only", "restart", "depends_on", "healthcheck", "build", "ports"}
KNOWN |= {"cap_drop", "security_opt", "stop_grace_period"}  # ours have no rights anyway
# The command of its own image, but for where it keeps its data.
PROMETHEUS = ("prometheus", "--config.file=/etc/prometheus/prometheus.yml")
PROMETHEUS += ("--storage.tsdb.path=/tmp/prometheus",)


class Composed:
    """The services of a file; ``start`` them by name.

    Attributes:
        addresses: Where each one is, by name and alias.
    """

    def __init__(self, file: Path, image: Mapping[str, Any], root: Path, directory: Path) -> None:
        """Plan the network; nothing runs yet.

        Args:
            file: compose.yaml.
            image: Settings of our image.
            root: Its files.
            directory: For data and logs.
        """
        content = yaml.safe_load(file.read_text())
        self._project = file.parent
        self._services: dict[str, dict[str, Any]] = content["services"]
        self._image, self._root, self._directory = image, root, directory
        self._owner = image["User"]
        ((self._network, rules),) = content["networks"].items()
        self._subnet = IPv4Network(rules["ipam"]["config"][0]["subnet"])
        free = iter(IPv4Network(rules["ipam"]["config"][0]["ip_range"]).hosts())
        self.addresses: dict[str, str] = {}
        for name, service in self._services.items():
            self._place(name, service, free)
        self._machines: dict[str, int] = {}
        self._stack = ExitStack()

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Make the machines; end with them whatever runs there."""
        bridge = Bridge(self._subnet)
        with self._stack:
            for name, service in self._services.items():
                if "networks" in service:
                    machine = bridge.machine(self.addresses[name])
                    self._machines[name] = self._stack.enter_context(machine)
            yield

    def start(self, name: str) -> Container:
        """Start a service, or start it again."""
        service = self._services[name]
        assert service.keys() <= KNOWN, service.keys() - KNOWN
        directory = self._directory / name
        directory.mkdir(exist_ok=True)
        container = Container(
            self._root,
            self._plan(service),
            names=self.addresses,
            directory=directory,
            network_of=self._machines[self._host(name)],
        )
        return self._stack.enter_context(container)

    def _place(self, name: str, service: Mapping[str, Any], free: Iterator[IPv4Address]) -> None:
        networks = service.get("networks")
        if networks is None:
            return
        mine = networks.get(self._network) or {} if isinstance(networks, dict) else {}
        address = mine.get("ipv4_address") or str(next(free))
        self.addresses |= dict.fromkeys([name, *mine.get("aliases", [])], address)

    def _host(self, name: str) -> str:
        """Return whose network a service is in."""
        mode = self._services[name].get("network_mode", f"service:{name}")
        return str(mode.removeprefix("service:"))

    def _plan(self, service: Mapping[str, Any]) -> Plan:
        entrypoint, command = self._image["Entrypoint"], self._image["Cmd"]
        mounts = dict(map(self._mount, service.get("volumes", [])))
        if "valkey" in service["image"]:
            assert service["command"][0] == "valkey-server"
            entrypoint = []
            mounts["/usr/bin/valkey-server"] = find_engine("valkey")
        elif "prometheus" in service["image"]:
            entrypoint, command = PROMETHEUS[:1], PROMETHEUS[1:]
            mounts["/usr/bin/prometheus"] = Path(shutil.which("prometheus") or "")
        else:
            assert service["image"] == "slotway"
        words = [*service.get("entrypoint", entrypoint), *service.get("command", command)]
        given = service.get("environment", {})
        return Plan(
            command=words,
            environment=[*self._image["Env"], *map("=".join, given.items())],
            user=self._owner,
            read_only=service.get("read_only", False),
            mounts=mounts,
        )

    def _mount(self, volume: str) -> tuple[str, Path]:
        source, target = volume.split(":")[:2]
        if source.startswith("."):
            return target, (self._project / source).resolve()
        data = self._directory / "data" / source
        data.mkdir(parents=True, exist_ok=True)
        os.chown(data, *map(int, self._owner.split(":")))
        return target, data
