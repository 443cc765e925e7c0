"""All targets by name. A target takes any bytes, and raises if what it makes of them goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz_engine import hostile_clients, hostile_nodes
from fuzz_frames import scan_replies, scan_requests
from fuzz_handovers import take_over
from fuzz_headers import read_headers
from fuzz_http import speak_http
from fuzz_lanes import change_lanes
from fuzz_lines import read_lines, write_lines
from fuzz_maps import read_commands, read_maps, read_replies
from fuzz_papers import read_log, read_papers
from fuzz_proxies import whole_proxy
from fuzz_settings import read_settings
from fuzz_tables import find_keys


@dataclass(frozen=True, slots=True)
class Target:
    """One target, and how many cases of it make a usual run."""

    run: Callable[[bytes], None]
    cases: int
    longest: int = 200
    """Bytes of an input. A case takes as long as its input."""
    drawn: int = 200
    """How many of hypothesis's own inputs make a usual run."""


TARGETS = {
    "requests": Target(scan_requests, 8000),
    "replies": Target(scan_replies, 8000),
    "keys": Target(find_keys, 8000),
    "clients": Target(hostile_clients, 4000, 400),
    "nodes": Target(hostile_nodes, 4000, 400),
    "lanes": Target(change_lanes, 600, 400, 100),
    "proxies": Target(whole_proxy, 40, 400, 20),
    "maps": Target(read_maps, 600),
    "commands": Target(read_commands, 3000),
    "decoded": Target(read_replies, 8000),
    "lines": Target(read_lines, 8000),
    "written": Target(write_lines, 8000),
    "headers": Target(read_headers, 8000),
    "http": Target(speak_http, 100, 400, 50),
    "settings": Target(read_settings, 1000),
    "papers": Target(read_papers, 3000),
    "advice": Target(read_log, 200, 200, 50),
    "handovers": Target(take_over, 400, 200, 100),
}
