"""The epoll set: whose each descriptor is, what is watched for, when it is closed."""

from proxy.dataplane.hedge import Hedger

class Sockets(Hedger):
    """The part of an engine that owns descriptors."""
