"""The declaration of a metric: its empty states and arguments, and the checks that two metrics may merge.

Not its job: to hold what updates bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

from mergeable.errors import IncompatibleStates, UndeclaredState, UnsupportedStrategy
from mergeable.part import States
from mergeable.registry import name_of
from mergeable.state.access import check_mergeable
from mergeable.state.parameters import differences
from mergeable.wording import shown, some


@final
class Declaration:
    """The class of a metric, its empty states by name, and its constructor's arguments. Equal programs have equal ones."""

    __slots__ = ("arguments", "kind", "states")

    def __init__(self, kind: type, states: States, arguments: dict[str, Any]) -> None:
        self.kind, self.states, self.arguments = kind, states, arguments

    def parameters(self, attributes: Mapping[str, Any], labels: frozenset[str]) -> dict[str, Any]:
        """Return the arguments and the plain attributes on which a result may depend: all but labels."""
        return {name: value for name, value in {**self.arguments, **attributes}.items() if name not in labels}

    def check_mergeable(self, other: Declaration, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
        """Raise ``IncompatibleStates`` unless both have one class, equal parameters (``mine``, ``theirs``) and equal states."""
        who = f"{self.kind.__name__}.merge_state"
        if other.kind is not self.kind:
            again = ""
            if name_of(other.kind) == name_of(self.kind):
                again = " The class was defined again in between; merge_state([metric.snapshot()]) goes by its name."
            raise IncompatibleStates(f"{who}: got a {other.kind.__name__}, expected another {self.kind.__name__}.{again}")
        for name, difference in sorted(differences(mine, theirs).items()):
            raise IncompatibleStates(
                f"{who}: {difference}. Metrics merge only with equal parameters; if {name} changes with the data, declare it: "
                f"{name} = mergeable.state(...)."
            )
        if self.states.keys() != other.states.keys():
            raise IncompatibleStates(
                f"{who}: the states are {shown(sorted(self.states))} here and {shown(sorted(other.states))} there."
            )
        for name, state in self.states.items():
            try:
                check_mergeable(state, other.states[name])
            except IncompatibleStates as error:
                raise IncompatibleStates(f"{who}: state {shown(name)}: {error}") from None

    def check_commutative(self, where: str) -> None:
        """Raise ``UnsupportedStrategy`` where a state needs an order of updates that nothing keeps."""
        ordered = sorted(name for name, state in self.states.items() if not state.commutative)
        if ordered:
            raise UnsupportedStrategy(
                f"{self.kind.__name__}: got states that are not commutative ({some(ordered)}) under {where}, where updates come "
                "in any order, expected commutative ones. Use states such as Counter, Set or Keyed, or train under a strategy that "
                "keeps the order."
            )


def check_declared(kind: type, undeclared: Iterable[str]) -> None:
    """Raise ``UndeclaredState`` where metrics of a class hold values in attributes that are not declared."""
    names = sorted(set(undeclared))
    if names:
        raise UndeclaredState(
            f"{kind.__name__}.merge_state: got values in attributes that are not declared as states: {some(names)}. "
            f"Nothing says how they merge. Declare them, as in {names[0]} = mergeable.Sum() on the class, define "
            "merge_state, or list in scratch those that no result depends on."
        )
