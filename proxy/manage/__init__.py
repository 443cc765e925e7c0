"""Cluster management for people: create, inspect, reshard, repair."""
