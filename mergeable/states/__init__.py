"""Shelf 1: states, one family a file."""

from mergeable.registry import register
from mergeable.state import State
from mergeable.states.collections import Counter, Set
from mergeable.states.combinators import Dict, Keyed, Tuple
from mergeable.states.comoments import CoMoments
from mergeable.states.confusion import ConfusionMatrix
from mergeable.states.covariance import Covariance
from mergeable.states.estimate import Estimate
from mergeable.states.extremes import ArgMax, ArgMin, Max, Min
from mergeable.states.frequent_items import FrequentItems
from mergeable.states.held import Held, state
from mergeable.states.histogram import Histogram
from mergeable.states.moments import Mean, Moments
from mergeable.states.rank_quantiles import RankQuantiles
from mergeable.states.rows import Rows
from mergeable.states.sums import Count, Sum

__all__ = [
    "ArgMax",
    "ArgMin",
    "CoMoments",
    "ConfusionMatrix",
    "Count",
    "Counter",
    "Covariance",
    "Dict",
    "Estimate",
    "FrequentItems",
    "Histogram",
    "Keyed",
    "Max",
    "Mean",
    "Min",
    "Moments",
    "RankQuantiles",
    "Rows",
    "Set",
    "Sum",
    "Tuple",
    "state",
]

_STATES: tuple[type[State], ...] = (
    ArgMax,
    ArgMin,
    CoMoments,
    ConfusionMatrix,
    Count,
    Counter,
    Covariance,
    Dict,
    FrequentItems,
    Held,
    Histogram,
    Keyed,
    Max,
    Mean,
    Min,
    Moments,
    RankQuantiles,
    Rows,
    Set,
    Sum,
    Tuple,
)
for _state in _STATES:
    register(_state)
