"""slotway: one plain Redis port in front of a whole Redis or Valkey cluster."""
