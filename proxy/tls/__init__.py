"""TLS: what certificates say, contexts made of files, failures in plain words."""
