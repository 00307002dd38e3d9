"""A metric as a state, so that what is made of states can be made of metrics."""

from __future__ import annotations

from typing import Any, final

from mergeable import registry
from mergeable.errors import UndeclaredState
from mergeable.parameters import is_plain, same
from mergeable.slot import Slot
from mergeable.state import State
from mergeable.states.batch import Place, weights_among
from mergeable.states.combinators import Product, cells_of, described


@final
class Nested(Product[str]):
    """The states of a metric as one state: what ``metric.as_state()`` returns, and ``Keyed(metric)`` holds for each key.

    ``update(...)`` runs the metric's ``update_state``, ``result()`` its ``result``. The metric itself stays as it is, and may hold
    updates of its own. Empty: every state empty. Exact, commutative, idempotent and bounded where every state is.
    Memory: that of the states.

    Raises:
        UndeclaredState: the metric sets attributes that are not declared, of which every key would need its own.

    Example:
        >>> import mergeable as mg
        >>> class Accuracy(mg.Metric):
        ...     right = mg.Mean()
        ...     def update_state(self, y_true, y_pred):
        ...         self.right.update(y_true == y_pred)
        ...     def result(self):
        ...         return self.right.result()
        >>> by_country = mg.Keyed(Accuracy())
        >>> by_country.update(["de", "fr", "de"], [1, 0, 1], [1, 0, 0])
        >>> by_country.result()
        {'de': 0.5, 'fr': 1.0}
    """

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._hold({name: state.empty() for name, state in metric._states.items()})

    @property
    def parameters(self) -> dict[str, Any]:
        """The metric's class, its constructor's arguments, what else must agree, and its states."""
        given = {name: value for name, value in self._metric._arguments.items() if name not in registry.LABELS}
        every = self._metric._parameters()
        others = {name: value for name, value in every.items() if name not in given or not same(value, given[name])}
        return {
            "metric": registry.name_of(type(self._metric)),
            "arguments": given,
            "attributes": others,
            "states": super().parameters,
        }

    def _recipe(self) -> Any:
        return Nested, (self._metric,)  # which holds nothing, so that all share one

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Nested:
        """Return the empty state of such a metric, whose class must be registered."""
        name, arguments = parameters["metric"], parameters["arguments"]
        metric = registry.found(name) if type(name) is str else None
        if metric is None or not hasattr(metric, "as_state") or not is_plain(arguments):
            raise registry.NotRegistered("found a metric whose class is not registered", str(name))
        made: Nested = registry.built(metric, arguments).as_state()
        return made

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Those of all states that such a metric has, whatever else is said of them."""
        return sum(cells_of(described(part)) for part in cls.of(parameters)._parts.values())

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Run the metric's ``update_state``: all states take the batch, or none."""
        with self._all_or_nothing(), _Running(self._metric, self._parts, "update_state") as metric:
            metric.update_state(*args, **kwargs)
            check_nothing_undeclared(metric)

    def _place_of_weights(self) -> Place | None:
        return weights_among(type(self._metric).update_state)

    def result(self) -> Any:
        """Run the metric's ``result``."""
        return self.read_by(self._metric)

    def read_by(self, metric: Any) -> Any:
        """Run the ``result`` of this metric, or of another one whose states these are too."""
        merged = {name: self._parts[name] for name in metric._states}
        if not self.__dict__.get("_frozen"):  # what is frozen is a copy already
            merged = {name: state.empty() for name, state in merged.items()}
            self.flush()
            for name, state in merged.items():
                state.merge_part(self._parts[name])
                state.freeze()
        with _Running(metric, merged, "result"):
            return metric.result()


class _Running:
    """Run the metric's code on these states; attributes that it sets, which all keys would share, are gone afterwards."""

    __slots__ = ("_before", "_inside", "_metric", "_states")

    def __init__(self, metric: Any, states: dict[str, State], verb: str) -> None:
        self._metric, self._states, self._inside = metric, states, metric._inside(states, verb)

    def __enter__(self) -> Any:
        self._inside.__enter__()
        self._before = dict(self._metric.__dict__)
        self._metric.__dict__["_slots"] = {0: Slot(self._states)}  # of which its code may make copies
        return self._metric

    def __exit__(self, *_: object) -> None:
        metric = self._metric
        metric.__dict__.clear()
        metric.__dict__.update(self._before)
        metric._undeclared.clear()
        metric._cached.clear()
        self._inside.__exit__()


def check_nothing_undeclared(metric: Any) -> None:
    """Raise ``UndeclaredState`` where a metric holds values that are no states."""
    undeclared = sorted(metric._undeclared)
    if undeclared:
        raise UndeclaredState(
            f"{type(metric).__name__}.as_state: got values in attributes that are not declared as states: {', '.join(undeclared[:10])}, "
            f"expected none, because every key or replicate needs its own. Declare them, as in {undeclared[0]} = mergeable.Sum() on "
            "the class, or list in scratch those that no result depends on."
        )
