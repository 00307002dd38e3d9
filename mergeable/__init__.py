"""Metrics in plain Python that merge: the same bits from one process, many replicas and many files."""

from typing import TYPE_CHECKING, Any

from mergeable.coverage import Contribution, Coverage
from mergeable.errors import (
    DuplicateOrigin,
    ExchangeTimeout,
    IncompatibleStates,
    MergeableError,
    ReadOnlyState,
    SnapshotError,
    UndeclaredState,
    UnsupportedStrategy,
)
from mergeable.metric import Metric
from mergeable.state import State
from mergeable.states import *  # noqa: F403  # the shelf lists its names itself
from mergeable.states import __all__ as _states

if TYPE_CHECKING:
    from mergeable.keras import PyMetric

__version__ = "0.1.0"
__all__ = [
    "Contribution",
    "Coverage",
    "DuplicateOrigin",
    "ExchangeTimeout",
    "IncompatibleStates",
    "MergeableError",
    "Metric",
    "PyMetric",
    "ReadOnlyState",
    "SnapshotError",
    "State",
    "UndeclaredState",
    "UnsupportedStrategy",
]
__all__ += _states


def __getattr__(name: str) -> Any:
    """Load Keras when ``PyMetric`` is first asked for."""
    if name == "PyMetric":
        from mergeable.keras import PyMetric

        return PyMetric
    raise AttributeError(f"module 'mergeable' has no attribute {name!r}")
