"""``slotway demo``: a cluster, the proxy in front of it, and a tour of what a client sees."""

from proxy.demo.demo import run_demo

__all__ = ["run_demo"]
