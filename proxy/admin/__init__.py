"""The port for people and monitoring: health, metrics, views as JSON, the dashboard."""
