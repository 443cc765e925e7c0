"""Who is compared: this proxy, the others, and the server itself.

All proxies have one working thread: slotway and nutcracker have no more, and the others are
told so, because CPU per command is what is compared. Nothing else is tuned.
"""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from contender import Contender
from rivals import Envoy, Nutcracker, Predixy

from proxy.embedded.proxy_process import ProxyProcess

# The default is 10,000, as Redis's own; the idle workload connects 10,050. A
# limit is one comparison per connection and changes nothing that is measured.
_SLOTWAY_SETTINGS = {"listen.max_clients": "12000"}


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
    kind.name: kind for kind in (Slotway, Predixy, Nutcracker, Envoy, Direct)
}
