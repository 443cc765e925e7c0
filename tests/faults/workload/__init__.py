"""Several kinds of client, whose every value says who wrote it and which write it was."""
