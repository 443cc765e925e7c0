"""The slow and clever half: connections, the map, retries, what a punt means."""
