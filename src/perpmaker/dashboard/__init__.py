"""Browser pages and their server; speaks only to the control API."""
