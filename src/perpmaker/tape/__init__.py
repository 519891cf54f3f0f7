"""Recorded data: columnar tapes, the recorder's live files, readers and importers of other people's recordings."""
