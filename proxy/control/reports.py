"""Make what several servers measured of themselves into one report: LATENCY, MEMORY, SLOWLOG.

Strategy: pure functions from whole frames to one whole frame, as in ``merges.py``. Numbers
of things and bytes are added up, the newest and the largest are picked, and a ratio
is the mean of the ratios. Texts that differ come one after the other, each under
the address of its server.

Cost: a few microseconds a number; these are asked by people and by monitoring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.control.merges import CannotMerge
from proxy.dataplane.frames import split_array
from proxy.errors import BackendProtocolError
from proxy.resp.decode import Value, decode, is_error
from proxy.resp.encode import array, bulk, integer, map_frame, verbatim

NODE_BITS = 16
"""Of an entry's number in the merged SLOWLOG: its node's; those above are the node's own."""

PASSWORDS = frozenset(
    {
        b"requirepass",
        b"masterauth",
        b"primaryauth",
        b"tls-key-file-pass",
        b"tls-client-key-file-pass",
    }
)
"""Settings of servers that CONFIG GET would show."""

_HISTORY_LENGTH = 160  # what a server keeps of an event


def newest_entries(
    frames: Sequence[bytes], limit: int | None, marks: Sequence[int] | None = None
) -> bytes:
    """Merge arrays of log entries (SLOWLOG GET): newest first, no more than ``limit`` (None: all).

    An entry is ``[number, unix time, ...]``; numbers are each server's own.

    Args:
        marks: A number for each server, below ``1 << NODE_BITS``: makes the entries' numbers
            different ones.
    """
    entries: list[list[Value]] = []
    for place, frame in enumerate(frames):
        for entry in _items(decode(frame)):
            fields = list(_items(entry))
            if len(fields) < 2:
                raise CannotMerge
            if marks is not None:
                fields[0] = (_integer(fields[0]) << NODE_BITS) + marks[place]
            entries.append(fields)
    entries.sort(key=lambda fields: _integer(fields[1]), reverse=True)
    return array([encode(entry, 2) for entry in entries[:limit]])


def security_entries(frames: Sequence[bytes], limit: int) -> bytes:
    """Merge ACL LOG: the youngest entries of all servers, each as its server wrote it."""
    entries = [entry for frame in frames for entry in split_array(frame) or ()]
    return array(sorted(entries, key=_age_s)[:limit])


def _age_s(entry: bytes) -> float:
    fields = split_array(entry) or []
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if decode(name) == b"age-seconds":
            age = decode(value)
            if isinstance(age, bytes | int | float):
                return float(age)
    raise CannotMerge


def latest_events(frames: Sequence[bytes]) -> bytes:
    """Merge LATENCY LATEST: of each event the newest time, the largest maximum, sums of the rest.

    An event is ``[name, unix time, latest, maximum]``; newer servers add a sum and a count.
    """
    merged: dict[Value, list[int]] = {}
    for frame in frames:
        for event in _items(decode(frame)):
            name, *numbers = _items(event)
            new = [_integer(number) for number in numbers]
            if len(new) < 3 or not isinstance(name, bytes):
                raise CannotMerge
            old = merged.get(name)
            if old is not None:
                newest = max(old, new)
                sums = [mine + other for mine, other in zip(old[3:], new[3:], strict=True)]
                new = [*newest[:2], max(old[2], new[2]), *sums]
            merged[name] = new
    return array([encode([name, *numbers], 2) for name, numbers in merged.items()])


def event_history(frames: Sequence[bytes]) -> bytes:
    """Merge LATENCY HISTORY: pairs of unix time and milliseconds, the oldest first."""
    pairs = [
        [_integer(number) for number in _items(pair)]
        for frame in frames
        for pair in _items(decode(frame))
    ]
    return array([encode([*pair], 2) for pair in sorted(pairs)[-_HISTORY_LENGTH:]])


def histograms(frames: Sequence[bytes], resp: int) -> bytes:
    """Merge LATENCY HISTOGRAM: calls are added up, and so is what each bucket counts.

    A bucket counts all calls that took no longer, and one that counts no more than the
    bucket before it is left out.
    """
    calls: dict[bytes, int] = {}
    counts: dict[bytes, dict[int, int]] = {}
    for frame in frames:
        for name, report in _pairs(decode(frame)):
            fields = dict(_pairs(report))
            calls[name] = calls.get(name, 0) + _integer(fields.get(b"calls"))
            before = 0
            mine = counts.setdefault(name, {})
            for bucket, cumulated in _number_pairs(fields.get(b"histogram_usec")):
                mine[bucket] = mine.get(bucket, 0) + cumulated - before
                before = cumulated
    return map_frame(
        [
            (
                bulk(name),
                map_frame(
                    [
                        (bulk(b"calls"), integer(number)),
                        (bulk(b"histogram_usec"), _cumulated(counts[name], resp)),
                    ],
                    resp,
                ),
            )
            for name, number in calls.items()
        ],
        resp,
    )


def _cumulated(counts: Mapping[int, int], resp: int) -> bytes:
    total = 0
    pairs = []
    for bucket in sorted(counts):
        total += counts[bucket]
        pairs.append((integer(bucket), integer(total)))
    return map_frame(pairs, resp)


def memory_stats(frames: Sequence[bytes], resp: int) -> bytes:
    """Merge MEMORY STATS: bytes and counts are added up; of a ratio the mean is taken."""
    return _sum_fields([_pairs(decode(frame)) for frame in frames], resp)


def _sum_fields(reports: Sequence[Sequence[tuple[bytes, Value]]], resp: int) -> bytes:
    gathered: dict[bytes, list[Value]] = {}
    for report in reports:
        for name, value in report:
            gathered.setdefault(name, []).append(value)
    return map_frame(
        [(bulk(name), _sum_field(name, values, resp)) for name, values in gathered.items()], resp
    )


def _sum_field(name: bytes, values: Sequence[Value], resp: int) -> bytes:
    if all(isinstance(value, int) for value in values):
        total = sum(_integer(value) for value in values)
        return integer(total // len(values) if name == b"keys.bytes-per-key" else total)
    if all(isinstance(value, list | dict) for value in values):
        return _sum_fields([_pairs(value) for value in values], resp)
    mean = sum(_float(value) for value in values) / len(values)
    return b",%.17g\r\n" % mean if resp == 3 else bulk(b"%.17g" % mean)


def texts(frames: Sequence[bytes], addresses: Sequence[str], resp: int) -> bytes:
    """Merge reports for people; equal ones, as of healthy servers, come once."""
    said = [_text(frame) for frame in frames]
    if len(set(said)) == 1:
        return frames[0]
    parts = [
        b"# %b\n%b\n" % (address.encode(), text.rstrip(b"\n"))
        for address, text in zip(addresses, said, strict=True)
    ]
    return verbatim(b"\n".join(parts), resp)


def _text(frame: bytes) -> bytes:
    value = decode(frame)
    if not isinstance(value, bytes):
        raise CannotMerge
    return value


def without_passwords(frame: bytes) -> bytes:
    """Return an answer to CONFIG GET with nothing in the place of each password."""
    if is_error(frame):
        return frame
    items = split_array(frame) or []
    for place in range(0, len(items) - 1, 2):
        if decode(items[place]) in PASSWORDS:
            items[place + 1] = bulk(b"")
    return frame.partition(b"\r\n")[0] + b"\r\n" + b"".join(items)


def encode(value: Value, resp: int) -> bytes:
    """Return the frame of a decoded value of integers, strings and lists of them."""
    match value:
        case int():
            return integer(value)
        case bytes():
            return bulk(value)
        case list():
            return array([encode(item, resp) for item in value])
        case _:
            raise CannotMerge


def _items(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise CannotMerge
    return value


def _pairs(value: Value) -> list[tuple[bytes, Value]]:
    """Return names and values of a map, or of the flat list that RESP2 has for it."""
    pairs = (
        list(value.items())
        if isinstance(value, dict)
        else list(zip(_items(value)[::2], _items(value)[1::2], strict=True))
    )
    named = [(name, item) for name, item in pairs if isinstance(name, bytes)]
    if len(named) != len(pairs):
        raise CannotMerge
    return named


def _number_pairs(value: Value) -> list[tuple[int, int]]:
    items = (
        [item for pair in value.items() for item in pair]
        if isinstance(value, dict)
        else _items(value)
    )
    numbers = [_integer(item) for item in items]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _integer(value: object) -> int:
    if isinstance(value, int):
        return value
    raise CannotMerge


def _float(value: Value) -> float:
    if isinstance(value, bytes | int | float):
        try:
            return float(value)
        except ValueError:
            raise BackendProtocolError(f"not a number: {value!r}") from None
    raise CannotMerge
