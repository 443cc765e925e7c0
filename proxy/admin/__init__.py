"""The admin port: health, metrics, what goes on as JSON, and a page to look at it."""
