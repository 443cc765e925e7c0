"""What every command is, where its keys stand, and which road it takes (pure)."""
