"""Make the INFO of several primaries into what one standalone server would say.

Strategy: sections and fields keep the order and the spelling of the first
server's answer. A field is merged by its own rule if the table below has one,
else by the rule of its section; what follows from other fields (``_human``,
ratios, percentages) is computed again from the merged ones. So fields of newer
servers come out sensibly without being named here. What only makes sense for
one node of a cluster is said as a standalone server says it, and what is the
proxy's own (port, clients) replaces the servers' figures.

Cost: about 2 ms for INFO everything of three nodes (CPython 3.11, CI machine).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

Rule = Callable[[Sequence[bytes]], bytes]
Fields = dict[bytes, bytes]


def info_fields(text: bytes) -> Fields:
    """Return the fields of an INFO answer, whatever section they are in."""
    return {name: value for fields in _sections(text).values() for name, value in fields.items()}


def merge_info(texts: Sequence[bytes], own: Mapping[bytes, bytes]) -> bytes:
    """Return one INFO answer.

    Args:
        texts: The same INFO, answered by each primary; at least one.
        own: Fields of the proxy's own. They replace fields that the servers
            show, and add none.
    """
    merged: dict[bytes, Fields] = {}
    by_server = [_sections(text) for text in texts]
    for title in dict.fromkeys(title for sections in by_server for title in sections):
        merged[title] = _merge_section(title, [sections.get(title, {}) for sections in by_server])
    everything = {name: value for fields in merged.values() for name, value in fields.items()}
    for fields in merged.values():
        for name in fields:
            computed = _compute(name, everything)
            fields[name] = own.get(name, fields[name] if computed is None else computed)
    return b"\r\n".join(
        b"# %b\r\n%b" % (title, b"".join(b"%b:%b\r\n" % field for field in fields.items()))
        for title, fields in merged.items()
    )


def _sections(text: bytes) -> dict[bytes, Fields]:
    """Return title to fields, in order. Lines before the first title are of no section."""
    sections: dict[bytes, Fields] = {}
    fields: Fields = {}
    for line in text.split(b"\r\n"):
        if line.startswith(b"# "):
            fields = sections.setdefault(line[2:], {})
        elif line:
            name, _, value = line.partition(b":")
            fields[name] = value
    return sections


def _merge_section(title: bytes, parts: list[Fields]) -> Fields:
    rule = SECTION_RULES.get(title.lower(), first)
    if rule is none:
        return {}
    names = list(dict.fromkeys(name for part in parts for name in part))
    if title.lower() == b"keyspace":
        names.sort(key=lambda name: (len(name), name))  # db2 may be on another server than db10
    return {
        name: FIELD_RULES.get(name, rule)([part[name] for part in parts if name in part])
        for name in names
        if not _OF_ONE_NODE.fullmatch(name)
    }


# ---- rules: the values of one field, of each server that has it, to one value ---------------


def first(values: Sequence[bytes]) -> bytes:
    """Return what the first server says: the others are configured alike."""
    return values[0]


def none(_values: Sequence[bytes]) -> bytes:
    """Leave the whole section empty."""
    return b""


def total(values: Sequence[bytes]) -> bytes:
    """Return the sum, with as many decimals as the servers write."""
    return _of_numbers(values, lambda numbers: sum(numbers, Decimal(0)))


def largest(values: Sequence[bytes]) -> bytes:
    """Return the largest number."""
    return _of_numbers(values, max)


def smallest(values: Sequence[bytes]) -> bytes:
    """Return the smallest number."""
    return _of_numbers(values, min)


def worst(values: Sequence[bytes]) -> bytes:
    """Return ``ok`` only if all servers do."""
    return next((value for value in values if value != b"ok"), b"ok")


def always(value: bytes) -> Rule:
    """Return the rule that says ``value``, whatever the servers say."""
    return lambda _values: value


def _of_numbers(values: Sequence[bytes], merge: Callable[[list[Decimal]], Decimal]) -> bytes:
    try:
        return str(merge([Decimal(value.decode("ascii")) for value in values])).encode()
    except (InvalidOperation, UnicodeDecodeError):
        return first(values)


def rows(rule: Rule) -> Rule:
    """Return the rule for fields like ``calls=1,usec=2``: each name by ``rule``."""

    def merge(values: Sequence[bytes]) -> bytes:
        parts = [dict(pair.partition(b"=")[::2] for pair in value.split(b",")) for value in values]
        merged = {
            name: rule([part[name] for part in parts if name in part])
            for name in dict.fromkeys(name for part in parts for name in part)
        }
        if b"usec_per_call" in merged:
            merged[b"usec_per_call"] = b"%.2f" % _ratio(merged[b"usec"], merged[b"calls"])
        if b"avg_ttl" in merged:
            merged[b"avg_ttl"] = _average_ttl(parts)
        return b",".join(b"%b=%b" % pair for pair in merged.items())

    return merge


def _average_ttl(parts: list[Fields]) -> bytes:
    """Return the average over all keys that expire, from the averages of the servers."""
    expires = [int(part.get(b"expires", b"0")) for part in parts]
    ttls = [int(part.get(b"avg_ttl", b"0")) for part in parts]
    weighted = sum(count * ttl for count, ttl in zip(expires, ttls, strict=True))
    return b"%d" % (weighted // max(sum(expires), 1))


SECTION_RULES: dict[bytes, Rule] = {
    b"clients": total,
    b"memory": total,
    b"persistence": largest,
    b"stats": total,
    b"cpu": total,
    b"commandstats": rows(total),
    b"errorstats": rows(total),
    b"latencystats": rows(largest),  # percentiles cannot be merged: no server is slower than this
    b"keyspace": rows(total),
    b"cluster info": none,
}
"""By title, lower case; any other section is the first server's."""

FIELD_RULES: dict[bytes, Rule] = {
    # What a standalone server says
    b"redis_mode": always(b"standalone"),
    b"server_mode": always(b"standalone"),
    b"cluster_enabled": always(b"0"),
    b"cluster_connections": always(b"0"),
    b"role": always(b"master"),
    # Server
    b"uptime_in_seconds": largest,
    b"server_time_usec": largest,
    # Clients
    b"client_recent_max_input_buffer": largest,
    b"client_recent_max_output_buffer": largest,
    b"paused_timeout_milliseconds": largest,
    # Memory; nodes may share a machine, and each has all scripts and functions
    b"total_system_memory": largest,
    b"number_of_cached_scripts": largest,
    b"number_of_functions": largest,
    b"number_of_libraries": largest,
    b"active_defrag_running": largest,
    # Persistence
    b"current_cow_peak": total,
    b"current_cow_size": total,
    b"current_save_keys_processed": total,
    b"current_save_keys_total": total,
    b"rdb_changes_since_last_save": total,
    b"rdb_last_save_time": smallest,
    b"rdb_last_bgsave_status": worst,
    b"rdb_last_cow_size": total,
    b"rdb_last_load_keys_expired": total,
    b"rdb_last_load_keys_loaded": total,
    b"aof_last_bgrewrite_status": worst,
    b"aof_last_write_status": worst,
    b"aof_last_cow_size": total,
    b"aof_current_size": total,
    b"aof_base_size": total,
    b"aof_buffer_length": total,
    b"module_fork_last_cow_size": total,
    # Stats
    b"expired_stale_perc": largest,
    b"expired_keys_with_volatile_items_stale_perc": largest,
    b"latest_fork_usec": largest,
    b"current_eviction_exceeded_time": largest,
    b"current_active_defrag_time": largest,
    b"instantaneous_eventloop_duration_usec": largest,
    # Replication: each key has at least so many replicas
    b"connected_slaves": smallest,
    b"min_slaves_good_slaves": smallest,
    b"replicas_waiting_psync": total,
    b"master_repl_offset": total,
    b"repl_backlog_active": smallest,
    b"repl_backlog_size": total,
    b"repl_backlog_histlen": total,
}

# The addresses of replicas: a client that went there would meet a cluster.
_OF_ONE_NODE = re.compile(rb"slave\d+")

_RATIOS: dict[bytes, tuple[bytes, bytes]] = {
    b"allocator_frag_ratio": (b"allocator_active", b"allocator_allocated"),
    b"allocator_rss_ratio": (b"allocator_resident", b"allocator_active"),
    b"rss_overhead_ratio": (b"used_memory_rss", b"allocator_resident"),
    b"mem_fragmentation_ratio": (b"used_memory_rss", b"used_memory"),
}
_HUMAN = b"_human"
_UNITS = b"KMGTP"


def _compute(name: bytes, merged: Fields) -> bytes | None:
    """Return the value of a field that follows from other merged fields; None if it does not."""
    if name.endswith(_HUMAN) and merged.get(name.removesuffix(_HUMAN), b"").isdigit():
        return human(int(merged[name.removesuffix(_HUMAN)]))
    try:
        # Valkey and Redis on libc's malloc know less, and say 1.00 by themselves.
        if name in _RATIOS and not (
            name.startswith(b"allocator") and merged.get(b"mem_allocator") == b"libc"
        ):
            above, below = _RATIOS[name]
            return b"%.2f" % _ratio(merged[above], merged[below])
        match name:
            case b"uptime_in_days":
                return b"%d" % (int(merged[b"uptime_in_seconds"]) // (24 * 3600))
            case b"used_memory_peak_perc":
                share = _ratio(merged[b"used_memory"], merged[b"used_memory_peak"])
                return b"%.2f%%" % (100 * share)
            case b"used_memory_dataset_perc":
                net = int(merged[b"used_memory"]) - int(merged[b"used_memory_startup"])
                return b"%.2f%%" % (100 * _ratio(merged[b"used_memory_dataset"], b"%d" % net))
            case _:
                return None
    except (KeyError, ValueError):
        return None


def _ratio(above: bytes, below: bytes) -> float:
    return float(above) / float(below) if float(below) else 0.0


def human(size_bytes: int) -> bytes:
    """Return a size as the servers write it for people: ``1.46M``."""
    if size_bytes < 1024:
        return b"%dB" % size_bytes
    power = min((size_bytes.bit_length() - 1) // 10, len(_UNITS))
    return b"%.2f%c" % (size_bytes / 1024**power, _UNITS[power - 1])
