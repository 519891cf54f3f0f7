"""Recorded data: readers and importers."""
