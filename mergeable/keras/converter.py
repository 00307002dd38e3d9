"""The conversion of batches: a metric's update gets eager tensors on the CPU, or NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from mergeable.keras.batch import is_empty, to_numpy
from mergeable.metric.internals import nothing
from mergeable.metric.operations import skip_update, update


@final
class Converter:
    """How the tensors of a batch become arguments of ``update_state``: as they are, or ``to_arrays``."""

    def __init__(self, *, to_arrays: bool) -> None:
        self.to_arrays = to_arrays

    def update(
        self, metric: Any, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any], then: Callable[[], None] = nothing
    ) -> None:
        """Update the metric with one batch; a batch without rows, as replicas get when the last batch is short, is left out."""
        if is_empty(args, kwargs):
            skip_update(metric)
            then()
        elif self.to_arrays:
            update(metric, replica, to_numpy(args), to_numpy(kwargs), then=then)
        else:
            update(metric, replica, args, kwargs, then=then)

    def update_joined(  # noqa: PLR0917 - each belongs to the updates
        self,
        metric: Any,
        replica: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        updates: int,
        then: Callable[[], None],
    ) -> bool:
        """Run one update with the rows of several, if the metric says that this does what they do; return whether it ran."""
        joins = self.to_arrays and metric.joins and not is_empty(args, kwargs)
        if joins:
            update(metric, replica, to_numpy(args), to_numpy(kwargs), updates, then=then)
        return joins


TENSORS = Converter(to_arrays=False)
ARRAYS = Converter(to_arrays=True)
