"""A collection: several metrics as one.

Not its job: to know what its members compute, or how their states are kept.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from typing import Any, ClassVar, final

from mergeable.metric.arguments import with_weights_it_takes
from mergeable.metric.as_state import Nested, metric_of, read_by
from mergeable.metric.declaration import Declaration
from mergeable.metric.internals import ATTRIBUTE, Internals, internals
from mergeable.metric.members import built, check_reads, described, named
from mergeable.metric.metric import Metric
from mergeable.metric.operations import result_when_empty, twin
from mergeable.metric.user_code import note
from mergeable.part import Part
from mergeable.registry import register
from mergeable.wording import shown, some


@register
@final
class MetricCollection(Metric):
    """Several metrics as one: one batch for all, one dict of results, one snapshot, and in Keras one call of the host a step.

    ``metrics`` is a list of metrics, or a mapping of names to them. They are templates: what they hold stays theirs and is not
    taken along. ``update_state`` gives every member the batch as it came, and Keras metrics eager tensors, as they are used to:
    all take it, or none. ``result()`` is one flat dict in the order of the members: ``prefix`` and the member's name, to the value.
    A member whose result is a dict has a key for each value, ``name_key``; a collection among the members has the keys that it has.

    Members share states where you declare it: ``reads={"kappa": "accuracy"}`` says that the metric "kappa" is computed from the
    states of the metric "accuracy". Its own ``update_state`` is not called, and nothing is kept twice.

    ``collection["kappa"]`` is a member as a metric of its own, with a copy of what the collection holds of it now in this process.

    Empty: every member empty. Exact, commutative and bounded where every state is. Memory: that of the members' states.

    Raises:
        TypeError: what came is no metric of mergeable. ValueError: there are no metrics, two have one name, ``reads`` names no
            metric or one that reads itself; two values have one key, as far as results on empty states tell.
        IncompatibleStates: a metric reads states that the other one has not, or with other parameters.
        UndeclaredState: a member holds values in attributes that are not declared, or has a ``merge_state`` of its own.

    Example:
        >>> import mergeable as mg
        >>> class Accuracy(mg.Metric):
        ...     matrix = mg.ConfusionMatrix(2)
        ...     def update_state(self, y_true, y_pred):
        ...         self.matrix.update(y_true, y_pred)
        ...     def result(self):
        ...         matrix = self.matrix.result()
        ...         return float(matrix.trace() / matrix.sum())
        >>> class Recall(Accuracy):
        ...     def result(self):
        ...         return float(self.matrix.result()[1, 1] / self.matrix.result()[1].sum())
        >>> metrics = mg.MetricCollection([Accuracy(), Recall()], reads={"recall": "accuracy"})
        >>> metrics.update_state([0, 1, 1, 1], [0, 1, 0, 0])
        >>> metrics.result()
        {'accuracy': 0.5, 'recall': 0.3333333333333333}
        >>> metrics["recall"]
        <Recall recall = 0.3333333333333333 (1 update, 4 rows, replica 0)>
    """

    names_values: ClassVar[bool] = True
    """The keys of the result are names already: Keras's logs show the values under them, and not under the collection's name too."""

    def __init__(
        self,
        metrics: Iterable[Metric] | Mapping[str, Any],
        *,
        reads: Mapping[str, str] | None = None,
        prefix: str = "",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not isinstance(prefix, str):
            raise TypeError(
                f"MetricCollection: got prefix={shown(prefix)}, expected a text. Write prefix='val_', for instance."
            )
        members: dict[str, Any] = {member: metric.as_state() for member, metric in named(metrics).items()}
        reads = {} if reads is None else reads
        check_reads(reads, members)
        self.prefix = prefix
        self.reads = dict(reads)
        self._readers = {member: _reader(members[member], members[owner]) for member, owner in reads.items()}
        for member, state in members.items():
            if member not in reads:
                self.add_state(_key(member), state)
        descriptions = {member: described(metric_of(state)) for member, state in members.items()}
        internals(self).declaration.arguments = {"metrics": descriptions, "reads": self.reads, "prefix": prefix, "name": name}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result_when_empty(self)  # two names that are one are refused now, and not when there is much to lose

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Give every member the batch; a ``sample_weight`` that is None goes to the members that take weights."""
        received: dict[Any, Any] = {}
        for member in self:
            if member in self.reads:
                continue
            state, metric = self._member(member)
            if metric._received not in received:
                received[metric._received] = metric._received(args, kwargs)
            batch = received[metric._received]
            if batch is not None:
                try:
                    state.update(*batch[0], **with_weights_it_takes(type(metric).update_state, batch[1]))
                except Exception as error:
                    note(error, metric, "update_state")
                    raise

    def result(self) -> dict[str, Any]:
        """Return the values of all members in one flat dict."""
        return self._joined(self._read)

    def keys(self) -> KeysView[str]:
        """Return the names of the members, as ``dict`` expects it: ``dict(collection)`` are the members by name."""
        members: dict[str, Any] = internals(self).declaration.arguments["metrics"]
        return members.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __getitem__(self, name: str) -> Any:
        if name not in list(self):
            raise KeyError(f"MetricCollection[{shown(name)}]: got a name of no metric, expected one of {some(self)}.")
        return internals(self).enter(self._copied, name)

    def _copied(self, name: str) -> Any:
        key = _key(self.reads.get(name, name))
        part = internals(self).slots.folded()
        state: Any = part.states[key]
        metric = copy.deepcopy(self._readers[name] if name in self.reads else metric_of(state))
        mine = internals(metric)
        mine.slots.parts = {0: Part({name: state[name] for name in mine.declaration.states}, part.coverage)}
        return metric

    @property
    def joins(self) -> bool:  # type: ignore[override]  # of this collection, and not of the class
        """Whether every member takes the rows of several batches at once."""
        return all(self._member(name)[1].joins for name in self)

    # What a member is: the state that the collection keeps for it, or for the one that it reads, and the metric that reads that.

    def _member(self, name: str) -> tuple[Nested, Any]:
        state: Nested = getattr(self, _key(self.reads.get(name, name)))
        return state, self._readers[name] if name in self.reads else metric_of(state)

    def _read(self, name: str) -> Any:
        state, metric = self._member(name)
        try:
            return read_by(state, metric)
        except Exception as error:
            note(error, metric, "result")
            raise

    def _example(self, name: str) -> Any:
        """Return an example of a member's result: its structure on empty states, or one number where it fails there."""
        _, metric = self._member(name)
        example = getattr(metric, "empty_result", None)
        if example is not None:
            return example
        try:
            return result_when_empty(twin(metric))
        except Exception:  # users' results on nothing raise anything
            return 0.0

    def _joined(self, read: Callable[[str], Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for member in self:
            _, metric = self._member(member)
            value = read(member)
            for key, part in value.items() if isinstance(metric, MetricCollection) else _flat(member, value):
                full = f"{self.prefix}{key}"
                if full in values:
                    raise ValueError(
                        f"MetricCollection.result: got two values of the name {shown(full)}, of {shown(sources[full])} and of {shown(member)}, "
                        "expected one. Pass a mapping with other names of the metrics, or give a collection in it a prefix."
                    )
                values[full], sources[full] = part, member
        return values

    def _result_on_nothing(self) -> dict[str, Any]:
        return self._joined(self._example)

    @classmethod
    def _configured(cls, arguments: Mapping[str, Any]) -> MetricCollection:
        members = {name: built(name, description, own=True) for name, description in arguments["metrics"].items()}
        return cls(**{**arguments, "metrics": members})

    def _parameters(self) -> dict[str, Any]:
        return {**super()._parameters(), "_readers": {name: m.as_state().parameters for name, m in self._readers.items()}}


def _key(member: str) -> str:
    """Return the name of a member's state, which no attribute of a metric has."""
    return f"metrics[{member}]"


def _reader(state: Any, owner: Any) -> Metric:
    """Return the metric of a nested state, with the states of the owner in the place of its own: a pickle holds these once."""
    metric: Metric = metric_of(state)
    mine, states = internals(metric).declaration, internals(metric_of(owner)).declaration.states
    known = Declaration(mine.kind, {name: states[name] for name in mine.states}, mine.arguments)
    metric.__dict__[ATTRIBUTE] = Internals(known)
    return metric


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(f"{name}_{key}", part)
    else:
        yield name, value
