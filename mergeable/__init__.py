"""Metrics in plain Python that merge: the same bits from one process, many replicas and many files."""

from typing import TYPE_CHECKING, Any

from mergeable import (
    metrics,  # noqa: F401 - registers them, so that files of them are read
    moved,  # noqa: F401 - finds what older pickles name
)
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
from mergeable.metric.collection import MetricCollection
from mergeable.numeric.estimate import Estimate
from mergeable.registry import register
from mergeable.snapshot import Snapshot, load
from mergeable.snapshot.merging import merge
from mergeable.state import State
from mergeable.states import (
    ArgMax,
    ArgMin,
    Bootstrap,
    BottomK,
    Calibration,
    CoMoments,
    ConfusionMatrix,
    Count,
    Counter,
    CountMin,
    Covariance,
    Deduplicated,
    Dict,
    First,
    FrequentItems,
    Histogram,
    HyperLogLog,
    Keyed,
    Last,
    LogLinearHistogram,
    Max,
    Mean,
    Min,
    Moments,
    RankQuantiles,
    Rows,
    ScoreHistogram,
    Set,
    Sliced,
    Sum,
    TopK,
    Tuple,
    WeightedBottomK,
    Windowed,
    state,
)
from mergeable.version import __version__  # noqa: F401 - the usual name

if TYPE_CHECKING:
    from mergeable.keras import PyMetric

__all__ = [
    "ArgMax",
    "ArgMin",
    "Bootstrap",
    "BottomK",
    "Calibration",
    "CoMoments",
    "ConfusionMatrix",
    "Contribution",
    "Count",
    "CountMin",
    "Counter",
    "Covariance",
    "Coverage",
    "Deduplicated",
    "Dict",
    "DuplicateOrigin",
    "Estimate",
    "ExchangeTimeout",
    "First",
    "FrequentItems",
    "Histogram",
    "HyperLogLog",
    "IncompatibleStates",
    "Keyed",
    "Last",
    "LogLinearHistogram",
    "Max",
    "Mean",
    "MergeableError",
    "Metric",
    "MetricCollection",
    "Min",
    "Moments",
    "PyMetric",
    "RankQuantiles",
    "ReadOnlyState",
    "Rows",
    "ScoreHistogram",
    "Set",
    "Sliced",
    "Snapshot",
    "SnapshotError",
    "State",
    "Sum",
    "TopK",
    "Tuple",
    "UndeclaredState",
    "UnsupportedStrategy",
    "WeightedBottomK",
    "Windowed",
    "load",
    "merge",
    "register",
    "state",
]


def __getattr__(name: str) -> Any:
    """Load Keras when ``PyMetric`` is first asked for."""
    if name == "PyMetric":
        from mergeable.keras import PyMetric

        return PyMetric
    raise AttributeError(f"module 'mergeable' has no attribute {name!r}")
