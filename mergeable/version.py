"""The version of this library, which files and exchanges name."""

__version__ = "0.1.0"
