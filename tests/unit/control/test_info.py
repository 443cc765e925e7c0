"""Several INFO answers to the one of a standalone server."""

from __future__ import annotations

import pytest

from proxy.control.info import human, info_fields, merge_info


def text(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)


def merged(*answers: bytes, **own: bytes) -> dict[bytes, bytes]:
    return info_fields(merge_info(answers, {name.encode(): value for name, value in own.items()}))


# section, lines of the first server, of the second, what comes out
FIELDS = {
    "a mode of standalone": (
        b"Server",
        b"redis_mode:cluster",
        b"redis_mode:cluster",
        b"standalone",
    ),
    "as Valkey spells it": (
        b"Server",
        b"server_mode:cluster",
        b"server_mode:cluster",
        b"standalone",
    ),
    "no cluster": (b"Cluster", b"cluster_enabled:1", b"cluster_enabled:1", b"0"),
    "the role of a primary": (b"Replication", b"role:master", b"role:slave", b"master"),
    "a version": (b"Server", b"redis_version:7.0.15", b"redis_version:7.0.14", b"7.0.15"),
    "the time since it is up": (b"Server", b"uptime_in_seconds:5", b"uptime_in_seconds:90", b"90"),
    "clients": (b"Clients", b"connected_clients:3", b"connected_clients:4", b"7"),
    "a figure of a later server": (b"Stats", b"brand_new_figure:3", b"brand_new_figure:4", b"7"),
    "a word of a later server": (b"Stats", b"brand_new_word:on", b"brand_new_word:on", b"on"),
    "rates": (
        b"Stats",
        b"instantaneous_input_kbps:1.25",
        b"instantaneous_input_kbps:0.50",
        b"1.75",
    ),
    "the longest fork": (b"Stats", b"latest_fork_usec:9", b"latest_fork_usec:300", b"300"),
    "processor time": (b"CPU", b"used_cpu_sys:1.370524", b"used_cpu_sys:0.000001", b"1.370525"),
    "loading": (b"Persistence", b"loading:0", b"loading:1", b"1"),
    "the oldest save": (b"Persistence", b"rdb_last_save_time:20", b"rdb_last_save_time:10", b"10"),
    "a save that failed": (
        b"Persistence",
        b"rdb_last_bgsave_status:ok",
        b"rdb_last_bgsave_status:err",
        b"err",
    ),
    "replicas of each key": (b"Replication", b"connected_slaves:2", b"connected_slaves:1", b"1"),
    "calls": (
        b"Commandstats",
        b"cmdstat_get:calls=1,usec=10,usec_per_call=10.00,rejected_calls=0,failed_calls=1",
        b"cmdstat_get:calls=3,usec=20,usec_per_call=6.67,rejected_calls=2,failed_calls=0",
        b"calls=4,usec=30,usec_per_call=7.50,rejected_calls=2,failed_calls=1",
    ),
    "errors": (b"Errorstats", b"errorstat_ERR:count=2", b"errorstat_ERR:count=3", b"count=5"),
    "percentiles": (
        b"Latencystats",
        b"latency_percentiles_usec_get:p50=1.003,p99=9.023",
        b"latency_percentiles_usec_get:p50=2.007,p99=3.007",
        b"p50=2.007,p99=9.023",
    ),
    "keys": (
        b"Keyspace",
        b"db0:keys=10,expires=1,avg_ttl=1000",
        b"db0:keys=5,expires=3,avg_ttl=2000",
        b"keys=15,expires=4,avg_ttl=1750",
    ),
    "keys that never expire": (
        b"Keyspace",
        b"db0:keys=10,expires=0,avg_ttl=0",
        b"db0:keys=5,expires=0,avg_ttl=0",
        b"keys=15,expires=0,avg_ttl=0",
    ),
}


@pytest.mark.parametrize(
    ("section", "first", "second", "expected"), FIELDS.values(), ids=FIELDS.keys()
)
def test_a_field_is_merged_by_what_it_means(
    section: bytes, first: bytes, second: bytes, expected: bytes
) -> None:
    name = first.partition(b":")[0]

    fields = merged(text(b"# " + section, first), text(b"# " + section, second))

    assert fields == {name: expected}


def test_what_follows_from_sums_is_computed_again() -> None:
    one = text(
        b"# Memory",
        b"used_memory:1048576",
        b"used_memory_human:1.00M",
        b"used_memory_rss:3145728",
        b"used_memory_peak:2097152",
        b"used_memory_peak_perc:50.00%",
        b"used_memory_startup:524288",
        b"used_memory_dataset:262144",
        b"used_memory_dataset_perc:50.00%",
        b"mem_fragmentation_ratio:3.00",
    )
    other = one.replace(b"used_memory:1048576", b"used_memory:2097152")

    fields = merged(one, other)

    assert fields[b"used_memory"] == b"3145728"
    assert fields[b"used_memory_human"] == b"3.00M"
    assert fields[b"used_memory_peak_perc"] == b"75.00%"
    assert fields[b"used_memory_dataset_perc"] == b"25.00%"
    assert fields[b"mem_fragmentation_ratio"] == b"2.00"


def test_sections_and_fields_keep_the_order_of_the_first_server() -> None:
    first = text(b"# Server", b"redis_version:7", b"run_id:a", b"", b"# Keyspace", b"db0:keys=1")
    second = text(b"# Server", b"redis_version:7", b"news:1", b"", b"# Errorstats", b"e:count=1")

    answer = merge_info([first, second], {})

    assert answer == text(
        b"# Server", b"redis_version:7", b"run_id:a", b"news:1", b"", b"# Keyspace", b"db0:keys=1"
    ) + text(b"", b"# Errorstats", b"e:count=1")


def test_databases_stand_in_the_order_of_their_numbers() -> None:
    first = text(b"# Keyspace", b"db0:keys=1", b"db10:keys=1")
    second = text(b"# Keyspace", b"db2:keys=3", b"db10:keys=2")

    assert merge_info([first, second], {}) == text(
        b"# Keyspace", b"db0:keys=1", b"db2:keys=3", b"db10:keys=3"
    )


def test_the_proxys_own_fields_replace_the_servers_and_add_none() -> None:
    one = text(b"# Server", b"tcp_port:7001")

    assert merged(one, tcp_port=b"6379", connected_clients=b"5") == {b"tcp_port": b"6379"}


def test_what_tells_of_the_cluster_is_left_out() -> None:
    one = text(
        b"# Replication",
        b"slave0:ip=10.0.0.1,port=7004,state=online",
        b"",
        b"# Cluster Info",
        b"cluster_state:ok",
    )

    assert merge_info([one], {}) == text(b"# Replication", b"", b"# Cluster Info")


def test_a_section_that_nobody_knows_is_nothing() -> None:
    assert merge_info([b"", b""], {}) == b""


SIZES = {
    0: b"0B",
    1023: b"1023B",
    1024: b"1.00K",
    1535488: b"1.46M",
    2**30: b"1.00G",
    2**60: b"1024.00P",
}


@pytest.mark.parametrize(("size", "expected"), SIZES.items())
def test_sizes_are_written_as_the_servers_write_them(size: int, expected: bytes) -> None:
    assert human(size) == expected
