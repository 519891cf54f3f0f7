"""The trained regime model: what it looks at, its file, and what the market maker makes of it."""
