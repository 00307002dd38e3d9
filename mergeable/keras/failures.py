"""An exception in a metric surfaces as itself.

TensorFlow turns what a callback raises into an ``UnknownError`` with the text of a traceback. Here the callback leaves the
exception under a token, and where TensorFlow makes its error from that status, the exception itself comes out. The place is
not public: where it is missing, TensorFlow's error comes, and its text begins with ours.
"""

from __future__ import annotations

import collections
import re
import secrets
from typing import Any

from tensorflow.python.eager import core

_TOKEN = re.compile(r"\[mergeable-([0-9a-f]{16})\]")
_waiting: collections.OrderedDict[str, Exception] = collections.OrderedDict()
_KEPT = 16


class HostFailure(Exception):
    """What a callback raises in place of the user's exception."""


def passed_on(error: Exception) -> HostFailure:
    """Keep the exception for ``_status_to_exception`` and return what to raise in its place."""
    token = secrets.token_hex(8)
    _waiting[token] = error
    while len(_waiting) > _KEPT:
        _waiting.popitem(last=False)
    notes = " ".join(getattr(error, "__notes__", ()))
    return HostFailure(f"{type(error).__name__}: {error} {notes} [mergeable-{token}]")


def _install() -> None:
    original = getattr(core, "_status_to_exception", None)
    if original is None or hasattr(original, "__mergeable__"):
        return

    def status_to_exception(status: Any) -> Any:
        found = _TOKEN.search(getattr(status, "message", "") or "")
        error = _waiting.pop(found.group(1), None) if found else None
        return original(status) if error is None else error

    status_to_exception.__mergeable__ = True  # type: ignore[attr-defined]  # so that a reload does not wrap it twice
    core._status_to_exception = status_to_exception


_install()
