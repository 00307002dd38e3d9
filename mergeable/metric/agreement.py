"""What must agree before metrics merge, and what a metric must declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mergeable.errors import IncompatibleStates, UndeclaredState, UnsupportedStrategy
from mergeable.registry import name_of
from mergeable.state import access
from mergeable.state.parameters import differences
from mergeable.wording import shown, some

if TYPE_CHECKING:
    from mergeable.metric.metric import Metric


def check_mergeable(metric: Metric, other: Metric) -> None:
    """Raise ``IncompatibleStates`` unless the metrics have one class, equal parameters and equal states."""
    who = f"{type(metric).__name__}.merge_state"
    if type(other) is not type(metric):
        again = ""
        if name_of(type(other)) == name_of(type(metric)):
            again = " The class was defined again in between; merge_state([metric.snapshot()]) goes by its name."
        raise IncompatibleStates(f"{who}: got a {type(other).__name__}, expected another {type(metric).__name__}.{again}")
    for name, difference in sorted(differences(metric._parameters(), other._parameters()).items()):
        raise IncompatibleStates(
            f"{who}: {difference}. Metrics merge only with equal parameters; if {name} changes with the data, declare it: "
            f"{name} = mergeable.state(...)."
        )
    if metric._states.keys() != other._states.keys():
        raise IncompatibleStates(
            f"{who}: the states are {shown(sorted(metric._states))} here and {shown(sorted(other._states))} there."
        )
    for name, state in metric._states.items():
        try:
            access.check_mergeable(state, other._states[name])
        except IncompatibleStates as error:
            raise IncompatibleStates(f"{who}: state {shown(name)}: {error}") from None


def check_declared(*metrics: Metric) -> None:
    """Raise ``UndeclaredState`` where metrics hold values in attributes that are not declared."""
    undeclared = sorted({name for metric in metrics for name in metric._undeclared})
    if undeclared:
        raise UndeclaredState(
            f"{type(metrics[0]).__name__}.merge_state: got values in attributes that are not declared as states: {some(undeclared)}. "
            f"Nothing says how they merge. Declare them, as in {undeclared[0]} = mergeable.Sum() on the class, define "
            "merge_state, or list in scratch those that no result depends on."
        )


def check_commutative(metric: Metric, where: str) -> None:
    """Raise ``UnsupportedStrategy`` where a state needs an order of updates that nothing keeps."""
    ordered = sorted(name for name, state in metric._states.items() if not state.commutative)
    if ordered:
        raise UnsupportedStrategy(
            f"{type(metric).__name__}: got states that are not commutative ({some(ordered)}) under {where}, where updates come "
            "in any order, expected commutative ones. Use states such as Counter, Set or Keyed, or train under a strategy that "
            "keeps the order."
        )
