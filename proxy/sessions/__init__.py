"""What belongs to one client: its state, and the commands the proxy answers itself."""
