"""What a metric held, kept and given back: into any number of replicas and processes."""

from __future__ import annotations

from typing import Any

from mergeable.canonical import canonical_bytes
from mergeable.errors import IncompatibleStates
from mergeable.metric import RESTORED, Metric
from mergeable.parameters import differences, is_plain
from mergeable.slot import Slot


def kept(metric: Metric, version: str) -> dict[str, Any]:
    """Return what a metric holds in all processes of its job, as a tree of plain values and states."""
    whole = metric._whole()
    slot = whole._folded_slot()
    return {
        "mergeable": version,
        "metric": type(metric).__qualname__,
        "arguments": _plain_arguments(metric),
        "parameters": {name: state.parameters for name, state in slot.states.items()},
        "states": slot.states,
        "coverage": dict(slot.contributions),
        "undeclared": whole._undeclared_values(),
    }


def restore(metric: Metric, content: dict[str, Any]) -> None:
    """Give a metric what ``kept`` returned, whatever it held; it goes into a slot of its own, before all replicas.

    Constructor arguments that are plain values must be as they were; what else a constructor takes cannot be compared.

    Raises:
        IncompatibleStates: it is of another metric, other states or other parameters; nothing changes.
    """
    who = f"{type(metric).__name__}: restoring what mergeable {content['mergeable']} saved"
    how = "Build the metric as it was when it was saved."
    if content["metric"] != type(metric).__qualname__:
        raise IncompatibleStates(f"{who}: got a {content['metric']}, expected a {type(metric).__qualname__}.")
    states = {name: state.empty() for name, state in metric._states.items()}
    if states.keys() != content["states"].keys():
        raise IncompatibleStates(f"{who}: the states are {sorted(states)} here and {sorted(content['states'])} there.")
    for name, here in _plain_arguments(metric).items():
        there = content["arguments"].get(name, here)  # an argument that is new had no other value
        if canonical_bytes(here) != canonical_bytes(there):
            raise IncompatibleStates(f"{who}: {name} is {here!r} here and {there!r} there. {how}")
    for name, state in states.items():
        kinds = type(state).__qualname__, type(content["states"][name]).__qualname__
        if kinds[0] != kinds[1]:
            raise IncompatibleStates(f"{who}: state {name!r} is a {kinds[0]} here and a {kinds[1]} there. {how}")
        for difference in differences(state.parameters, content["parameters"][name]).values():
            raise IncompatibleStates(f"{who}: state {name!r}: {difference}. {how}")
        state.become(content["states"][name])
    with metric._lock:
        metric._dispatch_reset_state()
        metric.__dict__["_slots"] = {RESTORED: Slot(states, content["coverage"])}
        metric.__dict__.update(content["undeclared"])
        metric._undeclared.update(content["undeclared"])
        metric._membership.updated()


def _plain_arguments(metric: Metric) -> dict[str, Any]:
    """Return the constructor's arguments that are plain values, but for labels."""
    return {name: value for name, value in metric._arguments.items() if name not in ("name", "dtype") and is_plain(value)}
