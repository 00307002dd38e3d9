"""Shelf 1: states, one family a file."""

from mergeable.registry import register
from mergeable.state import State
from mergeable.states.bootstrap import Bootstrap
from mergeable.states.collections import Counter, Set, TopK
from mergeable.states.combinators import Dict, Tuple
from mergeable.states.confusion import ConfusionMatrix
from mergeable.states.count_min import CountMin
from mergeable.states.deduplicated import Deduplicated
from mergeable.states.extremes import ArgMax, ArgMin, Max, Min
from mergeable.states.first_last import First, Last
from mergeable.states.held import Held, state
from mergeable.states.histogram import Histogram
from mergeable.states.hyperloglog import HyperLogLog
from mergeable.states.keyed import Keyed
from mergeable.states.moments import Mean, Moments
from mergeable.states.nested import Nested
from mergeable.states.rows import Rows
from mergeable.states.samples import BottomK, WeightedBottomK
from mergeable.states.sliced import Sliced
from mergeable.states.sums import Count, Sum
from mergeable.states.windowed import Windowed

__all__ = [
    "ArgMax",
    "ArgMin",
    "Bootstrap",
    "BottomK",
    "ConfusionMatrix",
    "Count",
    "CountMin",
    "Counter",
    "Deduplicated",
    "Dict",
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
    "Sliced",
    "Sum",
    "TopK",
    "Tuple",
    "WeightedBottomK",
    "Windowed",
    "state",
]

_STATES: tuple[type[State], ...] = (
    *(Bootstrap, Deduplicated, Nested, Sliced, Windowed),
    *(ArgMax, ArgMin, ConfusionMatrix, Count, Counter, Dict, Held, Histogram, Keyed, Max, Mean, Min, Moments, Rows, Set, Sum),
    Tuple,
    *(BottomK, CountMin, First, HyperLogLog, Last, TopK, WeightedBottomK),
)
for _state in _STATES:
    register(_state)
