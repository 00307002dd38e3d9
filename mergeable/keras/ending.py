"""The exit status of a program whose metric failed while Python shut down.

Python prints what a function of ``atexit`` raises, and ends with the status that it had. It ends with 120, as its documentation says of
``sys.exit``, where a standard stream cannot be flushed in the end: so one of them refuses its last flush.
"""

from __future__ import annotations

import sys
from typing import Any


def end_as_failed() -> None:
    """Let this program, which is about to end, end with the status 120 instead of its own."""
    for name in ("stderr", "stdout"):
        stream = getattr(sys, name)
        if isinstance(stream, _Unflushed):
            return
        if stream is not None and not stream.closed:
            setattr(sys, name, _Unflushed(stream))
            return


class _Unflushed:
    """A stream whose last flush, when no code but the interpreter's own runs any more, says that it failed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def flush(self) -> None:
        self._stream.flush()
        if sys.is_finalizing():
            raise OSError("a metric failed while the program ended")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
