"""Redis Cluster as values: slots, addresses, the map of the cluster, refusals. Pure."""
