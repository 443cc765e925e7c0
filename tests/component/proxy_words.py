"""Ask for PROXY's values in both protocols."""

from __future__ import annotations

from raw_client import RawClient

from proxy.resp.decode import decode


def pairs(flat: list[object]) -> dict[object, object]:
    """Return RESP2's flat array of names and values as a map."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def ask(client: RawClient, *args: str | bytes | int) -> dict[bytes, object]:
    """Return the map that a RESP3 client gets."""
    found = decode(await client.call("PROXY", *args))
    assert isinstance(found, dict), found
    return found
