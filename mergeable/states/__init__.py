"""Shelf 1: states, one family a file."""

from mergeable.registry import keep_label, register
from mergeable.states.bootstrap import Bootstrap
from mergeable.states.calibration import Calibration
from mergeable.states.combinators import Dict, Tuple
from mergeable.states.comoments import CoMoments
from mergeable.states.confusion import ConfusionMatrix
from mergeable.states.count_min import CountMin
from mergeable.states.counting import Counter, Set, TopK
from mergeable.states.covariance import Covariance
from mergeable.states.deduplicated import Deduplicated
from mergeable.states.extremes import ArgMax, ArgMin, Max, Min
from mergeable.states.first_last import First, Last
from mergeable.states.frequent_items import FrequentItems
from mergeable.states.histogram import Histogram
from mergeable.states.hyperloglog import HyperLogLog
from mergeable.states.keyed import Keyed
from mergeable.states.log_linear import LogLinearHistogram
from mergeable.states.moments import Mean, Moments
from mergeable.states.object_state import ObjectState, state
from mergeable.states.rank_quantiles import RankQuantiles
from mergeable.states.rows import Rows
from mergeable.states.samples import BottomK, WeightedBottomK
from mergeable.states.scores import ScoreHistogram
from mergeable.states.sliced import Sliced
from mergeable.states.sums import Count, Sum
from mergeable.states.windowed import Windowed

__all__ = [
    "ArgMax",
    "ArgMin",
    "Bootstrap",
    "BottomK",
    "Calibration",
    "CoMoments",
    "ConfusionMatrix",
    "Count",
    "CountMin",
    "Counter",
    "Covariance",
    "Deduplicated",
    "Dict",
    "First",
    "FrequentItems",
    "Histogram",
    "HyperLogLog",
    "Keyed",
    "Last",
    "LogLinearHistogram",
    "Max",
    "Mean",
    "Min",
    "Moments",
    "RankQuantiles",
    "Rows",
    "ScoreHistogram",
    "Set",
    "Sliced",
    "Sum",
    "TopK",
    "Tuple",
    "WeightedBottomK",
    "Windowed",
    "state",
]

for _state in map(globals().__getitem__, __all__):
    if isinstance(_state, type):  # ``state`` is a function
        register(_state)
keep_label(ObjectState, "Held")
