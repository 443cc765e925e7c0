"""What the proxy knows of itself and its traffic: for PROXY, the admin port and the page."""
