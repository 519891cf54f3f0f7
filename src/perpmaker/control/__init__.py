"""Messages and client of the control API: how the command line, the dashboard and bots see and steer an engine."""
