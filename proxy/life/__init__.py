"""The life of one proxy process: what it says at its start, learns, may change, and how it ends."""
