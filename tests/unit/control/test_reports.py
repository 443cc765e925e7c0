"""What several servers measured of themselves becomes one report."""

from __future__ import annotations

import pytest

from proxy.control.merges import CannotMerge
from proxy.control.reports import (
    event_history,
    histograms,
    latest_events,
    memory_stats,
    newest_entries,
    texts,
    without_passwords,
)
from proxy.resp.decode import decode
from proxy.resp.encode import array, bulk, integer, map_frame


def entry(number: int, unix_time: int) -> bytes:
    return b"*3\r\n:%d\r\n:%d\r\n*1\r\n$3\r\nget\r\n" % (number, unix_time)


def test_log_entries_come_newest_first() -> None:
    frames = [array([entry(7, 300), entry(6, 100)]), array([entry(2, 200)])]

    assert newest_entries(frames, 2) == array([entry(7, 300), entry(2, 200)])
    assert newest_entries(frames, None)[:4] == b"*3\r\n"


def test_log_entries_of_two_servers_have_different_numbers() -> None:
    frames = [array([entry(7, 300)]), array([entry(7, 200)])]

    numbers = [entry[0] for entry in decode(newest_entries(frames, None, [1, 2]))]

    assert numbers == [(7 << 16) + 1, (7 << 16) + 2]


def event(name: bytes, *numbers: int) -> bytes:
    return array([bulk(name), *map(integer, numbers)])


def test_of_an_event_the_newest_and_the_largest_count() -> None:
    frames = [
        array([event(b"command", 100, 5, 9)]),
        array([event(b"command", 200, 3, 4), event(b"fork", 50, 1, 1)]),
    ]

    merged = array([event(b"command", 200, 3, 9), event(b"fork", 50, 1, 1)])
    assert latest_events(frames) == merged


def test_what_newer_servers_add_to_an_event_is_added_up() -> None:
    frames = [array([event(b"command", at, 5, 9, 40, 4)]) for at in (100, 200)]

    assert latest_events(frames) == array([event(b"command", 200, 5, 9, 80, 8)])


def test_the_history_of_an_event_is_in_order_of_time() -> None:
    def pair(at: int) -> bytes:
        return array([integer(at), integer(7)])

    frames = [array([pair(10), pair(30)]), array([]), array([pair(20)])]

    assert event_history(frames) == array([pair(10), pair(20), pair(30)])


def histogram(resp: int, calls: int, *buckets: tuple[int, int]) -> bytes:
    counts = map_frame([(integer(bucket), integer(count)) for bucket, count in buckets], resp)
    fields = [(bulk(b"calls"), integer(calls)), (bulk(b"histogram_usec"), counts)]
    return map_frame([(bulk(b"get"), map_frame(fields, resp))], resp)


@pytest.mark.parametrize("resp", [2, 3])
def test_buckets_that_one_server_leaves_out_are_counted_right(resp: int) -> None:
    frames = [
        histogram(resp, 10, (2, 4), (8, 10)),
        histogram(resp, 5, (4, 1), (8, 3), (16, 5)),
        map_frame([], resp),
    ]

    # No longer than 2 us: 4. Than 4 us: these and one more. And so on.
    assert histograms(frames, resp) == histogram(resp, 15, (2, 4), (4, 5), (8, 13), (16, 15))


def stats(resp: int, total: int, ratio: str) -> bytes:
    number = b",%b\r\n" % ratio.encode() if resp == 3 else bulk(ratio.encode())
    inner = map_frame([(bulk(b"overhead.hashtable.main"), integer(total))], resp)
    return map_frame(
        [
            (bulk(b"total.allocated"), integer(total)),
            (bulk(b"db.0"), inner),
            (bulk(b"keys.bytes-per-key"), integer(total)),
            (bulk(b"fragmentation"), number),
        ],
        resp,
    )


@pytest.mark.parametrize("resp", [2, 3])
def test_bytes_are_added_up_and_ratios_are_not(resp: int) -> None:
    merged = memory_stats([stats(resp, 100, "1.5"), stats(resp, 300, "2.5")], resp)

    fields = decode(merged)
    values = list(fields.values()) if isinstance(fields, dict) else fields[1::2]
    inner = values[1] if resp == 2 else [b"overhead.hashtable.main", *values[1].values()]
    assert values[0] == 400
    assert inner == [b"overhead.hashtable.main", 400]
    assert values[2] == 200
    assert float(values[3]) == 2.0


def test_texts_that_are_equal_come_once() -> None:
    assert texts([bulk(b"all is well")] * 3, ["a:1", "b:2", "c:3"], 2) == bulk(b"all is well")


@pytest.mark.parametrize("resp", [2, 3])
def test_texts_that_differ_say_whose_they_are(resp: int) -> None:
    text = decode(texts([bulk(b"well\n"), bulk(b"ill\n")], ["a:1", "b:2"], resp))

    assert text == b"# a:1\nwell\n\n# b:2\nill\n"


@pytest.mark.parametrize(
    "merge",
    [
        lambda frames: newest_entries(frames, None),
        latest_events,
        event_history,
        lambda frames: histograms(frames, 2),
        lambda frames: memory_stats(frames, 2),
        lambda frames: texts([*frames, bulk(b"x")], ["a", "b"], 2),
    ],
)
def test_what_is_something_else_is_not_guessed(merge: object) -> None:
    assert callable(merge)
    with pytest.raises(CannotMerge):
        merge([integer(1)])


@pytest.mark.parametrize("resp", [2, 3])
def test_passwords_are_left_out_of_the_settings(resp: int) -> None:
    told = [(b"port", b"1"), (b"requirepass", b"hush"), (b"masterauth", b"hush")]
    frame = map_frame([(bulk(name), bulk(value)) for name, value in told], resp)

    shown = without_passwords(frame)

    told = [(b"port", b"1"), (b"requirepass", b""), (b"masterauth", b"")]
    assert shown == map_frame([(bulk(name), bulk(value)) for name, value in told], resp)
    assert without_passwords(b"-NOPERM no\r\n") == b"-NOPERM no\r\n"
