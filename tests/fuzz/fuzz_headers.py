"""Target: PROXY protocol headers, versions 1 and 2, byte by byte and held against a plain reading.

Judged: until the header is whole there is no verdict, and whatever comes behind changes none; the
ends are those of the plainest reading, and what is shown of them is one word.
"""

from __future__ import annotations

from hostile_headers import hostile_header
from lots import Lots
from plain_headers import read_header

from proxy.dataplane.proxy_header import LIMIT_BYTES, BadHeaderError, Header, Place, parse_header


def verdict(wire: bytes) -> Header | str | None:
    """Return the header, why it is none, or None: nobody can tell yet."""
    try:
        return parse_header(wire)
    except BadHeaderError as problem:
        return str(problem)


def read_headers(data: bytes) -> None:
    """Give a header piece by piece, as the door does, and then with something behind it."""
    lots = Lots(data)
    wire = hostile_header(lots)
    behind = lots.rest()
    places = sorted({lots.below(len(wire) + 1) for _ in range(3)} | {0, 1, len(wire) // 2})

    whole = verdict(wire + behind)
    before = [verdict(wire[:place]) for place in places]

    if whole is None:
        assert verdict(wire + bytes(LIMIT_BYTES)) is not None, "it would wait for ever"
    for place, said in zip(places, before, strict=True):
        assert said is None or isinstance(whole, str) == isinstance(said, str)
        if isinstance(said, Header):
            assert said == whole
            assert said.length <= place
    if isinstance(whole, Header):
        _judge(wire + behind, whole)
    else:
        assert whole is None or whole.isprintable()
        plain = read_header(wire + behind)
        # The plain reading does not look at what is behind the addresses.
        assert plain is None or "TLV" in (whole or "") or "checksum" in (whole or ""), whole


def _judge(wire: bytes, header: Header) -> None:
    assert 0 < header.length <= min(len(wire), LIMIT_BYTES)
    ends = (header.source, header.destination)
    for end in filter(None, ends):
        assert str(end).isprintable()
        assert " " not in str(end)
    if header.source is not None and header.source.port is None:
        return  # a Unix socket
    plain = read_header(wire)
    assert plain is not None
    assert plain[0] == header.length
    if plain[1] is None:
        assert ends == (None, None)
    else:
        assert ends == tuple(Place(*end) for end in plain[1])
