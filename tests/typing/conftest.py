"""The samples are read by type checkers, and not run."""

collect_ignore = ["good.py", "bad.py"]
