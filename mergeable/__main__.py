"""``python -m mergeable`` is the command ``mergeable``."""

from mergeable.cli import main

if __name__ == "__main__":  # processes that merge load this file too
    main()
