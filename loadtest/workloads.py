"""What compare.py runs, and what the proxy is held to in each.

One table: a workload is redis-benchmark's command line plus the number of
requests that makes one run last about a second on two cores, so that a
contender cannot win by being measured for longer. Keys are random inside a
small keyspace that is filled beforehand: every GET finds a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SMALL_KEYSPACE = 10_000
BIG_KEYSPACE = 200  # 200 x 64 KiB = 12.5 MiB: in memory on every machine
SMALL_VALUE = b"VXK"  # redis-benchmark's own default: 3 bytes
BIG_VALUE = b"x" * 65_536
KEYS_PER_MULTI = 10

_SMALL = "key:__rand_int__"
_BIG = "big:__rand_int__"

# The proxy's CPU per command as a multiple of the yardstick's, at most.
CPU_SINGLE = {"predixy": 1.0, "nutcracker": 1.1, "envoy": 0.75}
CPU_PIPELINED = {"predixy": 1.0, "nutcracker": 0.5, "envoy": 0.25}
CPU_MULTI = {"predixy": 1.0, "envoy": 0.6}

# Requests per second as a multiple of the yardstick's, at least, in every
# workload. nutcracker stands before one server, so it has less to do.
RATE_FLOOR = {"predixy": 1.0, "nutcracker": 0.9, "envoy": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One line of the benchmark.

    Attributes:
        name: For ``--workloads``.
        title: For people.
        command: What redis-benchmark sends; it replaces each ``__rand_int__``.
        clients: Busy connections.
        pipeline: Requests each of them sends before it reads replies.
        weight: Requests of one run, as a multiple of ``--requests``.
        keyspace: How many different keys there are.
        value: Appended to the command as its last argument, if not empty.
        idle_clients: Connections that did one request and then keep silent.
        cpu_targets: Yardstick's name to the highest allowed ratio of CPU.
    """

    name: str
    title: str
    command: tuple[str, ...]
    clients: int = 50
    pipeline: int = 1
    weight: float = 1.0
    keyspace: int = SMALL_KEYSPACE
    value: bytes = b""
    idle_clients: int = 0
    cpu_targets: Mapping[str, float] = field(default_factory=dict)


WORKLOADS = (
    Workload(
        name="get",
        title="GET, 50 clients, no pipelining",
        command=("GET", _SMALL),
        cpu_targets=CPU_SINGLE,
    ),
    Workload(
        name="set",
        title="SET, 50 clients, no pipelining",
        command=("SET", _SMALL),
        value=SMALL_VALUE,
        cpu_targets=CPU_SINGLE,
    ),
    Workload(
        name="get-p32",
        title="GET, 50 clients, 32 requests in a pipeline",
        command=("GET", _SMALL),
        pipeline=32,
        weight=6,
        cpu_targets=CPU_PIPELINED,
    ),
    Workload(
        name="set-p32",
        title="SET, 50 clients, 32 requests in a pipeline",
        command=("SET", _SMALL),
        value=SMALL_VALUE,
        pipeline=32,
        weight=6,
        cpu_targets=CPU_PIPELINED,
    ),
    Workload(
        name="get-500",
        title="GET, 500 clients, no pipelining",
        command=("GET", _SMALL),
        clients=500,
        cpu_targets=CPU_SINGLE,
    ),
    Workload(
        name="mget10",
        title="MGET of 10 random keys, 50 clients",
        command=("MGET", *[_SMALL] * KEYS_PER_MULTI),
        weight=0.5,
        cpu_targets=CPU_MULTI,
    ),
    Workload(
        name="mset10",
        title="MSET of 10 random keys, 50 clients",
        command=("MSET", *[_SMALL, SMALL_VALUE.decode()] * KEYS_PER_MULTI),
        weight=0.5,
        cpu_targets=CPU_MULTI,
    ),
    Workload(
        name="get-64k",
        title="GET of 64 KiB values, 50 clients",
        command=("GET", _BIG),
        keyspace=BIG_KEYSPACE,
        weight=0.25,
    ),
    Workload(
        name="set-64k",
        title="SET of 64 KiB values, 50 clients",
        command=("SET", _BIG),
        keyspace=BIG_KEYSPACE,
        value=BIG_VALUE,
        weight=0.25,
    ),
    Workload(
        name="idle",
        title="GET, 50 busy clients beside 10,000 idle ones",
        command=("GET", _SMALL),
        idle_clients=10_000,
        cpu_targets=CPU_SINGLE,
    ),
)
