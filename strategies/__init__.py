"""Shelf 3: strategies, one way that replicas meet a file."""

if __name__ != "mergeable.strategies":
    raise ImportError(f"import mergeable.strategies, not {__name__}: one file under two names makes two classes of each.")
