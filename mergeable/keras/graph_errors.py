"""Errors across a graph: an exception in a metric surfaces as itself.

TensorFlow turns the exception of a callback into an ``UnknownError`` with the text of a traceback. Here the callback leaves the
exception under a token, and the one place where TensorFlow runs a graph function raises it again. The place,
``Context.call_function``, is not public: where it is missing, TensorFlow's error comes, and its text begins with ours. ``loop`` is
told there who calls.
"""

from __future__ import annotations

import collections
import functools
import re
import secrets
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context

from mergeable.keras import loop

_TOKEN = re.compile(r"\[mergeable-([0-9a-f]{16})\]")
_waiting: collections.OrderedDict[str, Exception] = collections.OrderedDict()
_KEPT = 16


class HostFailure(Exception):
    """The exception that a callback raises in place of the user's."""


def passed_on(error: Exception) -> HostFailure:
    """Keep the exception for whoever runs the graph, and return what to raise in its place."""
    token = secrets.token_hex(8)
    _waiting[token] = error
    while len(_waiting) > _KEPT:
        _waiting.popitem(last=False)
    notes = " ".join(getattr(error, "__notes__", ()))
    return HostFailure(f"[mergeable-{token}] {type(error).__name__}: {error} {notes}")  # a remote worker cuts long texts


@functools.cache
def watch_calls() -> None:
    """Have TensorFlow's calls of graphs raise what callbacks leave, from now on: when the first callback goes into a graph."""
    original = getattr(context.Context, "call_function", None)
    if original is None or hasattr(original, "__mergeable__"):
        return

    @functools.wraps(original)
    def call_function(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if not loop.late or loop.is_in_loop():
                return original(self, *args, **kwargs)
            with loop.Elsewhere():
                return original(self, *args, **kwargs)
        except tf.errors.OpError as failure:
            found = _TOKEN.search(str(failure))
            error = _waiting.pop(found.group(1), None) if found else None
            if error is None:
                raise
        raise error

    call_function.__mergeable__ = True  # type: ignore[attr-defined]  # so that a reload does not wrap it twice
    context.Context.call_function = call_function
    loop.is_watched = True
