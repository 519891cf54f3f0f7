"""perpmaker trades perpetual futures on GRVT."""

__version__ = "0.1.0"
