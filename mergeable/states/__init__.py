"""Shelf 1: states, one family a file."""

from mergeable.registry import register
from mergeable.state import State
from mergeable.states.bootstrap import Bootstrap
from mergeable.states.calibration import Calibration
from mergeable.states.collections import Counter, Set
from mergeable.states.combinators import Dict, Tuple
from mergeable.states.confusion import ConfusionMatrix
from mergeable.states.deduplicated import Deduplicated
from mergeable.states.extremes import ArgMax, ArgMin, Max, Min
from mergeable.states.held import Held, state
from mergeable.states.histogram import Histogram
from mergeable.states.keyed import Keyed
from mergeable.states.log_linear import LogLinearHistogram
from mergeable.states.moments import Mean, Moments
from mergeable.states.nested import Nested
from mergeable.states.rows import Rows
from mergeable.states.scores import ScoreHistogram
from mergeable.states.sliced import Sliced
from mergeable.states.sums import Count, Sum
from mergeable.states.windowed import Windowed

__all__ = [
    "ArgMax",
    "ArgMin",
    "Bootstrap",
    "Calibration",
    "ConfusionMatrix",
    "Count",
    "Counter",
    "Deduplicated",
    "Dict",
    "Histogram",
    "Keyed",
    "LogLinearHistogram",
    "Max",
    "Mean",
    "Min",
    "Moments",
    "Rows",
    "ScoreHistogram",
    "Set",
    "Sliced",
    "Sum",
    "Tuple",
    "Windowed",
    "state",
]

_STATES: tuple[type[State], ...] = (
    *(Bootstrap, Deduplicated, Nested, Sliced, Windowed),
    *(ArgMax, ArgMin, ConfusionMatrix, Count, Counter, Dict, Held, Histogram, Keyed, Max, Mean, Min, Moments, Rows, Set, Sum),
    *(Calibration, LogLinearHistogram, ScoreHistogram, Tuple),
)
for _state in _STATES:
    register(_state)
