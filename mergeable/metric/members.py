"""The members of a collection: metrics by name, plain descriptions of them, and who reads whose states.

Not its job: to know what a collection does with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mergeable import registry
from mergeable.errors import IncompatibleStates
from mergeable.holder import host_of
from mergeable.metric.arguments import accepts
from mergeable.metric.as_state import Nested
from mergeable.metric.internals import internals
from mergeable.metric.metric import Metric
from mergeable.metric.operations import configured
from mergeable.registry import default_name
from mergeable.state.access import check_mergeable
from mergeable.states.combinators import parts_of
from mergeable.wording import short, shown, some

_WHO = "MetricCollection"


def named(metrics: Any) -> dict[str, Metric]:
    """Return the members by name, of a mapping of names to metrics or their descriptions, or a list of metrics."""
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    elif isinstance(metrics, Iterable) and not isinstance(metrics, str | bytes | Metric):
        pairs = [(_name(metric), metric) for metric in metrics]
    else:
        raise TypeError(
            f"{_WHO}: got {shown(metrics)}, expected a list of metrics, or a mapping of names to them. Write [metric]."
        )
    members: dict[str, Metric] = {}
    for name, metric in pairs:
        is_described = isinstance(metrics, Mapping) and isinstance(metric, Mapping)
        if not is_described and not isinstance(metric, Metric):
            raise TypeError(
                f"{_WHO}: got {shown(metric)} among the metrics, expected metrics of mergeable. Derive it from mergeable.Metric or "
                "mergeable.PyMetric, or list it beside the collection."
            )
        if not isinstance(name, str) or not name:
            raise TypeError(f"{_WHO}: got the name {shown(name)}, expected a text. Name the metric.")
        if name in members:
            raise ValueError(
                f"{_WHO}: got two metrics of the name {shown(name)}, expected distinct names. Give one another name, or pass a mapping of "
                "names to metrics."
            )
        members[name] = built(name, metric) if is_described else metric
    if not members:
        raise ValueError(f"{_WHO}: got no metrics, expected at least one. List those that take the same batches.")
    return members


def _name(metric: Any) -> Any:
    """Return a metric's name; of one that Keras has named and numbered, the name without the number."""
    name = getattr(metric, "name", "")
    if isinstance(metric, Metric) and host_of(metric) is metric and internals(metric).declaration.arguments.get("name") is None:
        default = default_name(type(metric))
        return default if re.fullmatch(rf"{re.escape(default)}_\d+", name) else name
    return name


def described(metric: Metric) -> dict[str, Any]:
    """Return the description of a metric for ``built``: its class, by name, and its constructor's arguments."""
    arguments = {name: value for name, value in internals(metric).declaration.arguments.items() if name not in registry.LABELS}
    return {"metric": registry.name_of(type(metric)), "arguments": arguments}


def built(name: str, description: Any, *, own: bool = False) -> Metric:
    """Return a new metric as described, of a registered class: the description may be a file's.

    ``own`` says that it is the program's own configuration, which may also name classes that are defined and not registered.

    Raises:
        NotRegistered: there is no such class here. TypeError: it is no description.
    """
    kind, arguments = (description.get(key) if isinstance(description, Mapping) else None for key in ("metric", "arguments"))
    if not isinstance(kind, str) or not isinstance(arguments, Mapping):
        raise TypeError(
            f"{_WHO}: got {shown(description)} as {shown(name)}, expected a metric, or a description with its class as 'metric' and a dict "
            "of its 'arguments'. Pass the metric."
        )
    cls = registry.found(kind)
    if cls is None and own:
        cls = {registry.name_of(found): found for found in registry.subclasses(Metric)}.get(kind)
    if cls is None or not issubclass(cls, Metric):
        raise registry.NotRegistered(
            f"{_WHO}: got the description of a {short(kind)} as {shown(name)}, expected the name of a metric class that is registered "
            f"here{' or defined' if own else ''}. Import the module that defines it{'' if own else ', decorate it with mergeable.register'}, "
            "or pass the metric; a description does not decide what is imported.",
            kind,
        )
    label = {"name": name} if accepts(cls.__init__, "name") else {}
    return configured(cls, {**arguments, **label}) if own else registry.built(cls, arguments, **label)


def check_reads(reads: Any, members: Mapping[str, Nested]) -> None:
    """Raise unless every reader's states are, by name, class and parameters, among those of a member that keeps its own."""
    if not isinstance(reads, Mapping):
        raise TypeError(
            f"{_WHO}: got reads={shown(reads)}, expected a mapping of names to names, as in reads={{'kappa': 'accuracy'}}."
        )
    for reader, owner in reads.items():
        who = f"{_WHO}: {shown(reader)} reads {shown(owner)}"
        for name in (reader, owner):
            if name not in members:
                raise ValueError(
                    f"{who}: got no metric of the name {shown(name)}, expected one of {some(members)}. Correct reads."
                )
        if owner in reads:
            raise ValueError(
                f"{who}, which reads {shown(reads[owner])}: expected a metric that keeps states of its own. Let {shown(reader)} read that one."
            )
        states, wanted = parts_of(members[owner]), parts_of(members[reader])
        for name, state in wanted.items():
            if name not in states:
                raise IncompatibleStates(
                    f"{who}: got the states {some(states)}, expected {some(wanted)} among them. Declare them alike in both, or leave "
                    f"{shown(reader)} out of reads."
                )
            try:
                check_mergeable(states[name], state, "reads")
            except IncompatibleStates as error:
                raise IncompatibleStates(f"{who}: state {shown(name)}: {error}") from None
