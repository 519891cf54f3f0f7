"""Messages and client of the control API."""
