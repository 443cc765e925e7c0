"""Nodes of maps that tests make up."""

from __future__ import annotations

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node


def node(name: str, address: Address, primary: str | None = None) -> Node:
    """Return a node that is well; a replica if it has a primary."""
    return Node(
        id=name,
        address=address,
        is_primary=primary is None,
        primary_id=primary,
        config_epoch=1,
        failed=False,
        link_up=True,
    )
