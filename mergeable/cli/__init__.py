"""The command ``mergeable``: files of snapshots merged, shown, verified and drawn, and states tested, from a shell.

Each command is a file here, and ``group`` lists them. What they share is in ``command`` (errors as sentences, exit statuses),
``options``, ``files``, ``named``, ``values``, ``printing`` and ``progress``.

Not its job: to do what no function of the library does.
"""

import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> None:
    """Run the command that ``sys.argv`` names and exit: 0 good, 1 failed, 2 wrong usage, 128 + n as by the signal n."""
    signal.signal(signal.SIGTERM, _end)
    try:
        try:
            import click  # noqa: F401 - only whether they are there
            import rich  # noqa: F401
        except ImportError as error:
            sys.exit(f"The mergeable command needs {error.name}: pip install 'mergeable[cli]'")
        from mergeable.cli.group import mergeable

        mergeable(prog_name="mergeable")
    except KeyboardInterrupt:
        _end(signal.SIGINT)


def _end(number: int, _frame: object = None) -> NoReturn:
    """Let what is open be closed, and exit as the signal would have."""
    sys.exit(128 + number)
