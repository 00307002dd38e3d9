"""Inside and outside of a metric: whether the user's code calls a verb, or somebody else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mergeable.metric import Metric


def hosted(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a verb of a metric callable from both sides.

    Called from outside, it goes through the metric's dispatch, which finds the slot, takes the lock and undoes a failure.
    Called from inside, by the dispatch or by ``super()``, it is the method as written.
    """
    verb = method.__name__

    @functools.wraps(method)
    def call(self: Metric, *args: Any, **kwargs: Any) -> Any:
        if self._is_inside:
            return method(self, *args, **kwargs)
        return getattr(self, f"_dispatch_{verb}")(*args, **kwargs)

    call.__hosted__ = True  # type: ignore[attr-defined]  # a mark of ours, so that no method is wrapped twice
    return call
