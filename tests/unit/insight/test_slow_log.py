"""The slow log: a ring of samples, shown with what is known of each."""

from __future__ import annotations

from types import SimpleNamespace

from proxy.insight.slow_log import SlowLog


def sample(command: bytes, *, is_sampled: bool = True, **other: object) -> SimpleNamespace:
    """Return a slow request of one part."""
    client = SimpleNamespace(address="127.0.0.1:5000", state=SimpleNamespace(name=b"worker"))
    kinds = ("sent", "moved", "resent", "sent", "lost", "resent", "sent", "answered")
    fields = {
        "client": client,
        "command": command,
        "arguments": (command.upper(), b"k"),
        "parts": (SimpleNamespace(node=1, sent_s=10.0, answered_s=10.25),),
        "events": tuple(SimpleNamespace(kind=kind) for kind in kinds) if is_sampled else (),
        "is_sampled": is_sampled,
        "duration_s": 0.5,
        "began_unix_s": 1_700_000_000.0,
        "error": b"",
    }
    return SimpleNamespace(**{**fields, **other})


def make_log(length: int = 3) -> SlowLog:
    return SlowLog(length, lambda: 10.0, lambda number: f"node {number}" if number < 5 else None)


def test_an_entry_has_the_whole_time_and_the_slowest_nodes_share() -> None:
    log = make_log()
    parts = (
        SimpleNamespace(node=1, sent_s=10.0, answered_s=10.1),
        SimpleNamespace(node=2, sent_s=10.0, answered_s=10.4),
        SimpleNamespace(node=1, sent_s=None, answered_s=None),
        SimpleNamespace(node=9, sent_s=10.0, answered_s=10.2),
    )
    log.add(sample(b"mget", parts=parts, error=b"IOERR"))

    (entry,) = log.view().entries

    assert (round(entry.took_ms), round(entry.backend_ms or 0)) == (500, 400)
    assert entry.nodes == ("node 1", "node 2")
    assert (entry.client, entry.client_name) == ("127.0.0.1:5000", b"worker")
    assert (entry.args, entry.error) == ((b"MGET", b"k"), "IOERR")


def test_what_was_sent_again_is_a_redirect_or_a_retry_if_it_was_looked_at() -> None:
    log = make_log()
    log.add(sample(b"get"))
    log.add(sample(b"get", is_sampled=False))

    unsampled, sampled = log.view().entries

    assert (sampled.redirects, sampled.retries) == (1, 1)
    assert (unsampled.redirects, unsampled.retries) == (None, None)


def test_what_the_proxy_answered_itself_has_no_nodes_share() -> None:
    log = make_log()
    log.add(sample(b"proxy|clients", parts=()))

    (entry,) = log.view().entries

    assert (entry.backend_ms, entry.nodes) == (None, ())


def test_the_newest_are_kept_and_shown_first() -> None:
    log = make_log()
    for number in range(5):
        log.add(sample(b"get", duration_s=float(number)))

    view = log.view(2)

    assert [entry.number for entry in view.entries] == [4, 3]
    assert [entry.number for entry in log.view().entries] == [4, 3, 2]
    assert (view.total, view.threshold_ms) == (5, 10.0)


def test_a_reset_forgets_them_but_not_how_many_there_were() -> None:
    log = make_log()
    log.add(sample(b"get"))
    log.reset()
    log.add(sample(b"get"))

    view = log.view()

    assert (view.total, [entry.number for entry in view.entries], log.seen) == (1, [1], 2)


def test_another_length_keeps_the_newest() -> None:
    log = make_log()
    for _ in range(3):
        log.add(sample(b"get"))

    log.resize(2)

    assert [entry.number for entry in log.view().entries] == [2, 1]
