"""Shelf 1: states, one family a file."""

from mergeable.states.collections import Counter, Set
from mergeable.states.combinators import Dict, Keyed, Tuple
from mergeable.states.confusion import ConfusionMatrix
from mergeable.states.extremes import ArgMax, ArgMin, Max, Min
from mergeable.states.held import state
from mergeable.states.histogram import Histogram
from mergeable.states.moments import Mean, Moments
from mergeable.states.rows import Rows
from mergeable.states.sums import Count, Sum

__all__ = [
    "ArgMax",
    "ArgMin",
    "ConfusionMatrix",
    "Count",
    "Counter",
    "Dict",
    "Histogram",
    "Keyed",
    "Max",
    "Mean",
    "Min",
    "Moments",
    "Rows",
    "Set",
    "Sum",
    "Tuple",
    "state",
]
