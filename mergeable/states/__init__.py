"""Shelf 1: states, one family a file."""

from mergeable.registry import register
from mergeable.state import State
from mergeable.states.collections import Counter, Set, TopK
from mergeable.states.combinators import Dict, Keyed, Tuple
from mergeable.states.confusion import ConfusionMatrix
from mergeable.states.count_min import CountMin
from mergeable.states.estimate import Estimate
from mergeable.states.extremes import ArgMax, ArgMin, Max, Min
from mergeable.states.first_last import First, Last
from mergeable.states.held import Held, state
from mergeable.states.histogram import Histogram
from mergeable.states.hyperloglog import HyperLogLog
from mergeable.states.moments import Mean, Moments
from mergeable.states.rows import Rows
from mergeable.states.samples import BottomK, WeightedBottomK
from mergeable.states.sums import Count, Sum

__all__ = [
    "ArgMax",
    "ArgMin",
    "BottomK",
    "ConfusionMatrix",
    "Count",
    "CountMin",
    "Counter",
    "Dict",
    "Estimate",
    "First",
    "Histogram",
    "HyperLogLog",
    "Keyed",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Moments",
    "Rows",
    "Set",
    "Sum",
    "TopK",
    "Tuple",
    "WeightedBottomK",
    "state",
]

_STATES: tuple[type[State], ...] = (
    *(ArgMax, ArgMin, ConfusionMatrix, Count, Counter, Dict, Held, Histogram, Keyed, Max, Mean, Min, Moments, Rows, Set, Sum),
    Tuple,
    *(BottomK, CountMin, First, HyperLogLog, Last, TopK, WeightedBottomK),
)
for _state in _STATES:
    register(_state)
