"""Judges of a history: pure functions from what clients were told to what is wrong with it."""
