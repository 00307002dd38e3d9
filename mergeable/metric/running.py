"""Running the user's code of a verb: which states it sees under their names, and in which metric.

Not its job: to find the states, or to undo what failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from mergeable.metric.attempt import Named
from mergeable.metric.intake import Intake
from mergeable.part import Part, States
from mergeable.state.access import freeze

_NO_NAMES: Mapping[str, Any] = {}


class Running(Intake):
    """A metric whose verbs are the user's."""

    result: Callable[[], Any]
    _verb: str | None  # whose code runs, where one's does

    def _run(
        self,
        verb: str,
        code: Callable[..., Any],
        view: States,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] = _NO_NAMES,
    ) -> Any:
        """Return ``code(*args, **kwargs)``, the user's code of a verb, which sees these states under their names."""
        state = self.__dict__
        outer = state["_view"], state["_verb"]
        state["_verb"] = verb
        state["_view"] = view
        try:
            return code(*args, **kwargs)
        finally:
            state["_view"], state["_verb"] = outer

    def _still(self: Any) -> Any:
        """Return a metric that holds what this one holds now, and that nobody else has."""
        return self._twin({replica: slot.copied() for replica, slot in self._slots.items()}, self._undeclared_values())

    def _stand_in(self, states: States) -> Any:
        """Return a metric for one call of the user's code on states that are not this metric's: what it sets is gone with it."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        own = {"_slots": {0: Part(states)}, "_lock": threading.RLock(), "_undeclared": set(), "_cached": set()}
        twin.__dict__.update(own, _inlet=None, _view=None, _attempt=None)
        return twin

    @final
    def _folded_result(self) -> Any:
        """Run the user's ``result`` on the merged states."""
        return self._enter(self._read_result)

    def _read_result(self) -> Any:
        with Named(self, "result"):
            return self._read_on(frozen(self._fold()))

    @final
    def _read_on(self, states: States) -> Any:
        """Run the user's ``result`` on these states."""
        return self._enter(self._run_read, self.result, states)

    def _run_read(self, read: Callable[[], Any], states: States) -> Any:
        return self._run("result", read, states)

    def _result_when_empty(self) -> Any:
        """Run the user's ``result`` on empty states, to learn its structure."""
        return self._read_on({name: state.empty() for name, state in self._states.items()})


def frozen(states: States) -> States:
    """Return states that refuse changes from now on."""
    freeze(*states.values())
    return states
