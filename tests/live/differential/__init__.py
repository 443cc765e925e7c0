"""The same bytes to a standalone server and to the proxy: the same bytes back."""
