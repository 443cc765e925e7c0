"""A sampled request as spans."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from fake_samples import BEGAN_S, FakeClient, FakeEvent, FakePart, FakeSample, a_get

from proxy.cluster.addresses import Address
from proxy.tracing.spans import EVENTS_SHOWN, PARTS_SHOWN, Facts, Kind, Place, Span, spans_of

BEGAN_NS = round(BEGAN_S * 1_000_000_000)
PLACES = {
    1: Place(Address("127.0.0.1", 7001), "0-5460"),
    2: Place(Address("redis-2.local", 7002), "5461-10922"),
}


def make(sample: FakeSample, *, shown_keys: bool = False) -> Span:
    facts = Facts(
        place=PLACES.get,
        database=lambda _sample: 0,
        keys=lambda keys: [repr(key) for key in keys] if shown_keys else [],
    )
    return spans_of(sample, facts)


def all_of(span: Span) -> Iterator[Span]:
    yield span
    yield from itertools.chain.from_iterable(map(all_of, span.children))


def ms(span: Span) -> tuple[float, float]:
    """Return when a span begins and ends, in milliseconds after the request did."""
    return (span.began_ns - BEGAN_NS) / 1e6, (span.ended_ns - BEGAN_NS) / 1e6


def test_a_request_and_the_node_it_went_to() -> None:
    root = make(a_get())

    (node,) = root.children
    assert (root.name, root.kind, ms(root)) == ("GET", Kind.SERVER, (0, 10))
    assert (node.name, node.kind, ms(node)) == ("GET 127.0.0.1:7001", Kind.CLIENT, (1, 9))
    assert root.moments == node.moments == []
    assert root.failed == node.failed == ""


def test_attributes_are_those_of_the_semantic_conventions() -> None:
    root = make(a_get())

    assert root.attributes == {
        "db.system.name": "redis",
        "db.operation.name": "GET",
        "db.namespace": "0",
        "network.peer.address": "10.1.2.3",
        "network.peer.port": 50007,
        "slotway.client.id": 7,
        "slotway.command.family": "string",
        "slotway.road": "forward",
        "slotway.parts": 1,
        "slotway.request.bytes": 30,
        "slotway.reply.bytes": 5,
    }
    assert root.children[0].attributes == {
        "db.system.name": "redis",
        "db.operation.name": "GET",
        "db.namespace": "0",
        "server.address": "127.0.0.1",
        "server.port": 7001,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": 7001,
        "slotway.slot": 93,
        "slotway.shard": "0-5460",
    }


def test_a_node_known_by_name_has_no_peer_address() -> None:
    events = (FakeEvent(0.001, "sent", 2, 93), FakeEvent(0.009, "answered", 2, 93))

    (node,) = make(a_get(*events)).children

    assert node.attributes["server.address"] == "redis-2.local"
    assert "network.peer.address" not in node.attributes


def test_keys_and_values_appear_nowhere_unless_they_are_to() -> None:
    sample = a_get(FakeEvent(0.001, "sent", 1, 93), FakeEvent(0.002, "moved", 1, 93))

    assert "secret" not in repr(list(all_of(make(sample))))
    shown = make(sample, shown_keys=True)
    assert shown.attributes["slotway.keys"] == ["b'secret:key'"]
    assert "secret value" not in repr(list(all_of(shown)))


def test_a_redirect_is_an_event_between_two_nodes() -> None:
    root = make(
        a_get(
            FakeEvent(0.001, "sent", 1, 93),
            FakeEvent(0.002, "moved", 1, 93),
            FakeEvent(0.002, "resent", 2, 93),
            FakeEvent(0.003, "sent", 2, 93),
            FakeEvent(0.009, "answered", 2, 93),
        )
    )

    first, second = root.children
    assert (first.name, ms(first), first.failed) == ("GET 127.0.0.1:7001", (1, 2), "MOVED")
    assert first.attributes["db.response.status_code"] == "MOVED"
    assert (second.name, ms(second), second.failed) == ("GET redis-2.local:7002", (3, 9), "")
    assert [(event.name, event.attributes) for event in root.moments] == [
        ("slotway.moved", {"slotway.slot": 93, "slotway.node": "127.0.0.1:7001"}),
        (
            "slotway.resent",
            {"slotway.slot": 93, "slotway.node": "redis-2.local:7002", "slotway.held_ms": 0.0},
        ),
    ]
    assert root.failed == ""


def test_how_long_a_piece_was_held_is_told_when_it_is_sent_again() -> None:
    root = make(
        a_get(
            FakeEvent(0.001, "sent", 1, 93),
            FakeEvent(0.002, "lost", 1, 93),
            FakeEvent(0.003, "uncovered", -1, 93),
            FakeEvent(0.502, "resent", 2, 93),
            FakeEvent(0.503, "sent", 2, 93),
            FakeEvent(0.504, "answered", 2, 93),
            duration_s=0.504,
        )
    )

    assert [event.name for event in root.moments] == [
        "slotway.lost",
        "slotway.uncovered",
        "slotway.resent",
    ]
    assert root.moments[2].attributes["slotway.held_ms"] == 500.0
    assert root.children[0].failed == "lost"
    assert "db.response.status_code" not in root.children[0].attributes


def test_an_error_reply_is_the_status_of_the_request_and_of_its_node() -> None:
    root = make(a_get(error=b"WRONGTYPE"))

    assert root.failed == root.children[0].failed == "WRONGTYPE"
    assert root.attributes["db.response.status_code"] == "WRONGTYPE"


def test_a_client_that_left_ends_what_was_still_asked() -> None:
    root = make(a_get(FakeEvent(0.001, "sent", 1, 93), FakeEvent(0.010, "left"), is_answered=False))

    assert root.failed == root.children[0].failed == "left"
    assert ms(root.children[0]) == (1, 10)


def test_each_part_of_a_split_request_has_a_span_and_its_own_events() -> None:
    root = make(
        FakeSample(
            command=b"mget",
            road="split",
            parts=(FakePart(93, 2), FakePart(6000, 2)),
            events=(
                FakeEvent(0.001, "sent", 1, 93),
                FakeEvent(0.001, "sent", 2, 6000),
                FakeEvent(0.002, "ask", 1, 93),
                FakeEvent(0.002, "resent", 2, 93),
                FakeEvent(0.003, "answered", 2, 6000),
                FakeEvent(0.003, "sent", 2, 93),
                FakeEvent(0.008, "answered", 2, 93),
            ),
        )
    )

    first, second = root.children
    assert (first.name, first.kind, first.attributes) == (
        "MGET part",
        Kind.INTERNAL,
        {"slotway.slot": 93},
    )
    assert [span.name for span in first.children] == [
        "MGET 127.0.0.1:7001",
        "MGET redis-2.local:7002",
    ]
    assert [event.name for event in first.moments] == ["slotway.ask", "slotway.resent"]
    assert (ms(first), ms(second)) == ((0, 8), (0, 3))
    assert second.moments == root.moments == []


def test_what_the_proxy_answers_itself_has_one_span() -> None:
    root = make(FakeSample(command=b"config|get", road="punt"))

    assert (root.name, root.children) == ("CONFIG GET", [])


def test_a_span_stays_small_whatever_was_asked() -> None:
    split = make(
        FakeSample(
            parts=tuple(FakePart(slot, 1) for slot in range(1000)),
            events=tuple(FakeEvent(0.001, "sent", 1, slot) for slot in range(1000)),
        )
    )
    restless = make(a_get(*(FakeEvent(0.001, "tryagain", 1, 93) for _ in range(1000))))

    assert sum(span.kind is Kind.INTERNAL for span in all_of(split)) == PARTS_SHOWN
    assert len(restless.moments) == EVENTS_SHOWN
    assert split.attributes["slotway.parts"] == 1000


@pytest.mark.parametrize(
    ("address", "peer"),
    [("[::1]:50007", ("::1", 50007)), ("", (None, None))],
)
def test_the_peer_is_the_client(address: str, peer: tuple[object, object]) -> None:
    found = make(a_get(client=FakeClient(address=address))).attributes

    assert (found.get("network.peer.address"), found.get("network.peer.port")) == peer
