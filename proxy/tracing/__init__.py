"""Sampled requests as OpenTelemetry traces."""
