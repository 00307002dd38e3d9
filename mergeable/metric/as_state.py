"""A metric as a state, for the states that are built on others: a metric for each key, slice or replicate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from mergeable import registry
from mergeable.errors import UndeclaredState
from mergeable.metric.internals import internals
from mergeable.metric.operations import parameters, read_on, stand_in
from mergeable.metric.user_code import run_verb
from mergeable.state.access import freeze, is_frozen, merge_unchecked
from mergeable.state.parameters import compares_by_value, same
from mergeable.state.signature import Place, weights_among
from mergeable.states.combinators import Product, cells_of, parts_of, signature_of
from mergeable.wording import some


@registry.register
@final
class Nested(Product[str]):
    """The states of a metric as one state: ``metric.as_state()`` returns it, and ``Keyed(metric)`` holds one for each key.

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

    _parts_stand_alone = True

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._hold({name: state.empty() for name, state in internals(metric).declaration.states.items()})

    @property
    def parameters(self) -> dict[str, Any]:
        """The metric's class, its constructor's arguments, its other plain attributes, and the signatures of its states."""
        arguments = {
            name: value for name, value in internals(self._metric).declaration.arguments.items() if name not in registry.LABELS
        }
        every = parameters(self._metric)
        others = {name: value for name, value in every.items() if name not in arguments or not same(value, arguments[name])}
        return {
            "metric": registry.name_of(type(self._metric)),
            "arguments": arguments,
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
        if metric is None or not hasattr(metric, "as_state") or not compares_by_value(arguments):
            raise registry.NotRegistered("found a metric whose class is not registered", str(name))
        made: Nested = registry.built(metric, arguments).as_state()
        return made

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return how many numbers all states of the metric allocate."""
        return sum(cells_of(signature_of(part)) for part in parts_of(cls.of(parameters)).values())

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Run the metric's ``update_state``: all states take the batch, or none."""
        metric = stand_in(self._metric, self._parts)
        with self._all_or_nothing():
            internals(metric).enter(run_verb, metric, "update_state", self._parts, args, kwargs)
            check_nothing_undeclared(metric)

    def _update_of(self) -> tuple[type, Callable[..., Any]]:
        return type(self._metric), type(self._metric).update_state

    def _place_of_weights(self) -> Place | None:
        return weights_among(type(self._metric).update_state)

    def result(self) -> Any:
        """Run the metric's ``result``."""
        return read_by(self, self._metric)


def metric_of(nested: Nested) -> Any:
    """Return the metric whose code a nested state runs; the metric does not hold the updates."""
    return nested._metric


def read_by(nested: Nested, metric: Any) -> Any:
    """Run the ``result`` of a metric on the states of a nested one, among which its own are."""
    parts = parts_of(nested)
    merged = {name: parts[name] for name in internals(metric).declaration.states}
    if not is_frozen(nested):  # a frozen state is a copy already
        merged = {name: state.empty() for name, state in merged.items()}
        nested.flush()
        for name, state in merged.items():
            merge_unchecked(state, parts[name])
        freeze(*merged.values())
    return read_on(stand_in(metric, merged), merged)


def check_nothing_undeclared(metric: Any) -> None:
    """Raise ``UndeclaredState`` where a metric holds values that are no states."""
    undeclared = sorted(internals(metric).undeclared)
    if undeclared:
        raise UndeclaredState(
            f"{type(metric).__name__}.as_state: got values in attributes that are not declared as states: {some(undeclared)}, "
            f"expected none, because every key or replicate needs its own. Declare them, as in {undeclared[0]} = mergeable.Sum() on "
            "the class, or list in scratch those that no result depends on."
        )
