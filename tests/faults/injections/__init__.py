"""Faults by name, as context managers: on entry it has happened, on exit it is over."""
