"""The epoll set: whose each descriptor is, what is watched for, when it is closed."""

from proxy.dataplane.router import Router

class Sockets(Router):
    """The part of an engine that owns descriptors."""
