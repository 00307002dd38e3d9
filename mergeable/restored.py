"""What a metric held, kept and given back: into any number of replicas and processes."""

from __future__ import annotations

from typing import Any

from mergeable.errors import IncompatibleStates
from mergeable.metric import RESTORED, Metric
from mergeable.parameters import differences
from mergeable.slot import Slot


def kept(metric: Metric, version: str) -> dict[str, Any]:
    """Return what a metric holds in all processes of its job, as a tree of plain values and states."""
    whole = metric._whole()
    slot = whole._folded_slot()
    return {
        "mergeable": version,
        "metric": type(metric).__qualname__,
        "parameters": {name: state.parameters for name, state in slot.states.items()},
        "states": slot.states,
        "coverage": dict(slot.contributions),
        "undeclared": whole._undeclared_values(),
    }


def restore(metric: Metric, content: dict[str, Any]) -> None:
    """Give a metric what ``kept`` returned, whatever it held; it goes into a slot of its own, before all replicas.

    Raises:
        IncompatibleStates: it is of another metric, other states or other parameters; nothing changes.
    """
    who = f"{type(metric).__name__}: restoring what mergeable {content['mergeable']} saved"
    if content["metric"] != type(metric).__qualname__:
        raise IncompatibleStates(f"{who}: got a {content['metric']}, expected a {type(metric).__qualname__}.")
    states = {name: state.empty() for name, state in metric._states.items()}
    if states.keys() != content["states"].keys():
        raise IncompatibleStates(f"{who}: the states are {sorted(states)} here and {sorted(content['states'])} there.")
    for name, state in states.items():
        for difference in differences(state.parameters, content["parameters"][name]).values():
            raise IncompatibleStates(f"{who}: state {name!r}: {difference}. Build the metric as it was when it was saved.")
        state.become(content["states"][name])
    with metric._lock:
        metric._dispatch_reset_state()
        metric.__dict__["_slots"] = {RESTORED: Slot(states, content["coverage"])}
        metric.__dict__.update(content["undeclared"])
        metric._undeclared.update(content["undeclared"])
        metric._membership.updated()
