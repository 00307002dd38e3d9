"""Metrics in plain Python that merge: the same bits from one process, many replicas and many files.

A state is an empty value and an associative merge. A metric names its states on its class, and says what one batch and one result
are, as for one process and one pass over the data. Copies, files, replicas and workers follow from that declaration.

Example:
    >>> import mergeable as mg
    >>> class Accuracy(mg.Metric):  # or mg.PyMetric, which is a Keras metric
    ...     right = mg.Count()
    ...     rows = mg.Count()
    ...     def update_state(self, y_true, y_pred):
    ...         self.right += sum(t == p for t, p in zip(y_true, y_pred))
    ...         self.rows += len(y_true)
    ...     def result(self):
    ...         return self.right / self.rows
    >>> monday, tuesday = Accuracy(), Accuracy()
    >>> monday.update_state([1, 0, 1], [1, 1, 1])
    >>> tuesday.update_state([0], [0])
    >>> print(mg.merge([monday.snapshot(), tuesday.snapshot()]).result(Accuracy))
    0.75

``mergeable.states`` and ``mergeable.metrics`` are ready-made, ``mergeable.keras`` has the metrics of Keras, ``mergeable.strategies`` are
the ways in which replicas and processes meet, ``mergeable.laws`` tests states and metrics of your own, ``mergeable.plot`` draws.
"""

from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING, Any

from mergeable import metrics as metrics  # which registers them, so that files of them are read
from mergeable import moved as _moved  # noqa: F401 - finds the modules that older pickles name
from mergeable.coverage import Contribution as Contribution
from mergeable.coverage import Coverage as Coverage
from mergeable.errors import DuplicateOrigin as DuplicateOrigin
from mergeable.errors import ExchangeTimeout as ExchangeTimeout
from mergeable.errors import IncompatibleStates as IncompatibleStates
from mergeable.errors import MergeableError as MergeableError
from mergeable.errors import ReadOnlyState as ReadOnlyState
from mergeable.errors import SnapshotError as SnapshotError
from mergeable.errors import UndeclaredState as UndeclaredState
from mergeable.errors import UnsupportedStrategy as UnsupportedStrategy
from mergeable.metric import Metric as Metric
from mergeable.metric.collection import MetricCollection as MetricCollection
from mergeable.numeric.estimate import Estimate as Estimate
from mergeable.registry import register as register
from mergeable.snapshot import Snapshot as Snapshot
from mergeable.snapshot import load as load
from mergeable.snapshot.merging import merge as merge
from mergeable.state import State as State
from mergeable.states import ArgMax as ArgMax
from mergeable.states import ArgMin as ArgMin
from mergeable.states import Bootstrap as Bootstrap
from mergeable.states import BottomK as BottomK
from mergeable.states import Calibration as Calibration
from mergeable.states import CoMoments as CoMoments
from mergeable.states import ConfusionMatrix as ConfusionMatrix
from mergeable.states import Count as Count
from mergeable.states import Counter as Counter
from mergeable.states import CountMin as CountMin
from mergeable.states import Covariance as Covariance
from mergeable.states import Deduplicated as Deduplicated
from mergeable.states import Dict as Dict
from mergeable.states import First as First
from mergeable.states import FrequentItems as FrequentItems
from mergeable.states import Histogram as Histogram
from mergeable.states import HyperLogLog as HyperLogLog
from mergeable.states import Keyed as Keyed
from mergeable.states import Last as Last
from mergeable.states import LogLinearHistogram as LogLinearHistogram
from mergeable.states import Max as Max
from mergeable.states import Mean as Mean
from mergeable.states import Min as Min
from mergeable.states import Moments as Moments
from mergeable.states import RankQuantiles as RankQuantiles
from mergeable.states import Rows as Rows
from mergeable.states import ScoreHistogram as ScoreHistogram
from mergeable.states import Set as Set
from mergeable.states import Sliced as Sliced
from mergeable.states import Sum as Sum
from mergeable.states import TopK as TopK
from mergeable.states import Tuple as Tuple
from mergeable.states import WeightedBottomK as WeightedBottomK
from mergeable.states import Windowed as Windowed
from mergeable.states import state as state
from mergeable.version import __version__ as __version__

if TYPE_CHECKING:
    from mergeable.keras import PyMetric as PyMetric
else:

    def __getattr__(name: str) -> Any:
        """Load Keras when ``PyMetric`` is first asked for."""
        if name == "PyMetric":
            from mergeable.keras import PyMetric

            return PyMetric
        raise AttributeError(f"module 'mergeable' has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Return the public names."""
        return __all__


__all__ = sorted(  # noqa: PLE0605 - each name stands once, above
    name for name, value in globals().items() if getattr(value, "__module__", "").startswith("mergeable.")
)
if _find_spec("tensorflow"):
    __all__ += ["PyMetric"]
