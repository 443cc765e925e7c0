"""What the proxy writes to standard error: lines about itself, and about requests if asked."""

from proxy.logs.keys import KeyWords
from proxy.logs.setup import configure_logging, current_level, requested_lines, set_level

__all__ = ["KeyWords", "configure_logging", "current_level", "requested_lines", "set_level"]
