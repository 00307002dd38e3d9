"""Names in Keras's logs: every value of a result has a name of its own, and arrays are arrays.

Keras puts the values of a dict among its logs by their innermost keys alone, where equal ones overwrite one another, and leaves
lists of tensors as they are. So where Keras itself asks for a result, for its logs, it gets one flat dict of numbers and arrays: the
name under which it files the metric, and the keys, joined by ``_``. Everybody else gets the result as it was returned.
"""

from __future__ import annotations

import collections
import functools
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mergeable.keras import loop
from mergeable.keras.options import Options
from mergeable.keras.result_structure import as_tensors, with_keys
from mergeable.keras.step_values import declared_result
from mergeable.metric.internals import internals
from mergeable.wording import shown, some

_ENDS = ("_get_metrics_result_or_logs", "_validate_and_get_metrics_result")  # of Keras 3, of tf_keras

_names: set[str] = set()  # that logs have shown results under


class _Asker(NamedTuple):
    """Keras, asking for its logs: what it files the metric as, the names that are taken, and, at a loop's end, a step's logs.

    ``ended`` are these where they may get other names. A metric that is an attribute of a model and compiled is asked twice.
    """

    name: str
    is_listed_twice: bool
    taken: set[str]
    last: dict[str, Any] | None
    ended: dict[str, Any] | None


def as_logged(face: Any, metric: Any, options: Options, result: Any, kept: dict[str | None, Any]) -> Any:
    """Return a result of tensors as Keras's logs are to show it, where Keras asks; in a step of the user's own lists become arrays.

    What was ``kept`` for replicas that asked before is given to all: tf_keras would add up several.

    Raises:
        ValueError: two values would have one name.
    """
    _watch_progress()
    asker = _asker(face)
    name = None if asker is None else asker.name
    if name not in kept:
        kept[name] = _logged(metric, options, result, asker)
    if asker is not None and asker.last is not None and internals(metric).queue in loop.late:
        _refresh(asker.last, asker.name, kept[name])
    return kept[name]


def _refresh(last: dict[str, Any], name: str, value: Any) -> None:
    """Put the values of now into a step's logs, which Keras shows where it finds other names in them than it expects."""
    values = {name: value, **(value if isinstance(value, Mapping) else {})}
    for key in values.keys() & last.keys():
        last[key] = tf.nest.map_structure(np.asarray, values[key])


def _logged(metric: Any, options: Options, result: Any, asker: _Asker | None) -> Any:
    if asker is None:
        if isinstance(result, Mapping | list | tuple) and loop.is_in_step():
            _warn_of_lost(metric, result)
            return _with_arrays(result)
        return result
    if tf.executing_eagerly():
        result = as_tensors(with_keys(declared_result(metric, options), result, others=True))
    if not isinstance(result, Mapping):
        result = _with_arrays(result)
    if not isinstance(result, Mapping | list | tuple):
        _names.add(asker.name)
        return result
    logs: dict[str, Any] = {}
    named = list(_named(metric, asker.name, result))
    is_known = asker.is_listed_twice and asker.taken.issuperset(name for name, _ in named)  # it has been asked before
    for name, value in named:
        if name in logs or (name in asker.taken and not is_known):
            raise ValueError(
                f"{type(metric).__name__}.result (metric {shown(metric.name)}): got two values of the name {shown(name)} in Keras's logs, expected names "
                "of their own. Rename a key or a metric, or give a collection a prefix."
            )
        logs[name] = value
    _names.update(logs)
    if asker.ended is not None:
        declared = declared_result(metric, options)
        _rename(asker.ended, asker.name, logs, nothing_known=isinstance(declared, Mapping) and not declared)
    return logs


def _rename(ended: dict[str, Any], name: str, logs: Mapping[str, Any], *, nothing_known: bool) -> None:
    """Let a step's logs have the names of a dict's values, as Keras expects of its own: they may be known only now."""
    filed = ended.get(name)
    was_dict = isinstance(filed, Mapping)  # which a step of the user's own put there
    was_number = filed is not None and _is_number(filed) and bool(np.isnan(filed))  # as far as any step knew
    if name not in logs and (was_dict or was_number):
        del ended[name]
    if was_dict or was_number or nothing_known or logs.keys() & ended.keys():
        ended.update({new: value for new, value in logs.items() if new not in ended})


def _asker(face: Any) -> _Asker | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and loop.library(frame) in ("mergeable", "tensorflow"):  # which decorates the verb
        frame = frame.f_back
    if frame is None or loop.library(frame) not in ("keras", "tf_keras"):
        return None
    known, ended = frame.f_locals, None
    outer = frame.f_back
    if frame.f_code.co_name == "get_metrics_result":
        collected, siblings, name, before = known.get("return_metrics", {}), known["self"].metrics, face.name, ""
        listed = [one for other in siblings for one in (other, *getattr(other, "metrics", ()))]
        is_listed_twice = sum(face is one for one in listed) > 1
        taken = set(_names_in(collected))
        last = _last_logs(outer)
        if last is not None and not is_listed_twice and collected.keys() <= last.keys():
            ended = last
    elif frame.f_code.co_name == "result" and type(known.get("self")).__name__ == "CompileMetrics":
        collected, siblings, is_listed_twice = known.get("results", {}), getattr(known.get("mls"), "metrics", ()), False
        name = known.get("name", face.name)
        before = name.removesuffix(face.name) if name.endswith(face.name) else ""
        taken = {*_names_in(collected), *_names_in(outer.f_locals.get("return_metrics", {}) if outer is not None else {})}
        last = _last_logs(None if outer is None else outer.f_back)
    else:
        return None
    return _Asker(
        name, is_listed_twice, taken | {f"{before}{other.name}" for other in siblings if other is not face}, last, ended
    )


def _last_logs(frame: FrameType | None) -> dict[str, Any] | None:
    """Return the logs of the last step of a loop that ends in this frame."""
    logs = frame.f_locals.get("logs") if frame is not None and frame.f_code.co_name in _ENDS else None
    return logs if isinstance(logs, dict) else None


def _names_in(logs: Mapping[str, Any]) -> Iterator[str]:
    for name, value in logs.items():
        yield from value if isinstance(value, dict) else (name,)


def _named(metric: Any, name: str, result: Any) -> Iterator[tuple[str, Any]]:
    if not getattr(metric, "names_values", False):
        yield from _flat(name, result)
        return
    before = name.removesuffix(metric.name) if name.endswith(metric.name) else ""  # of an output, or of weighted metrics
    for key, value in result.items():
        yield from _flat(f"{before}{key}", value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    parts: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        parts = value.items()
    elif hasattr(value, "_fields"):
        parts = value._asdict().items()
    else:
        value = _with_arrays(value)
        if not isinstance(value, list | tuple):
            yield name, value
            return
        parts = enumerate(value)
    for key, part in parts:
        yield from _flat(f"{name}_{key}", part)


def _with_arrays(value: Any) -> Any:
    """Return the structure with tensors in the place of lists of numbers of one shape."""
    if isinstance(value, Mapping):
        return {key: _with_arrays(part) for key, part in value.items()}
    if not isinstance(value, list | tuple) or hasattr(value, "_fields"):
        return value
    parts = [_with_arrays(part) for part in value]
    if not all(tf.is_tensor(part) and part.dtype != tf.string for part in parts) or len({tuple(p.shape) for p in parts}) > 1:
        return type(value)(parts)
    if len({part.dtype for part in parts}) > 1:
        parts = [tf.cast(part, tf.float64) for part in parts]
    with tf.device("/cpu:0"):
        return tf.stack(parts) if parts else tf.zeros([0], tf.float64)


def _warn_of_lost(metric: Any, result: Any) -> None:
    """Tell of what Keras 3's logs lose of a dict that a step of the user's own puts there."""
    keys = collections.Counter(_innermost(result)) if hasattr(tf.keras, "version") else {}  # tf_keras keeps dicts whole
    lost = [str(key) for key, times in keys.items() if times > 1]
    if lost:
        warnings.warn(
            f"{type(metric).__name__}.result (metric {shown(metric.name)}): a step of your own reads a dict with several values under {some(lost)}. "
            "Keras 3 puts the values of a dict among its logs by their innermost keys, and keeps one of each. Return what "
            "self.get_metrics_result() gives, where each has a name of its own, or name them yourself.",
            UserWarning,
            stacklevel=2,
        )


def _innermost(value: Any, key: Any = None) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _innermost(part, name)
    else:
        yield key


@functools.cache  # from the first result that Keras may show
def _watch_progress() -> None:
    """Have Keras's progress bar show values of dicts as they are, not averaged over steps, and no array as one number."""
    bar: Any = tf.keras.utils.Progbar
    original = bar.update
    if hasattr(original, "__mergeable__"):
        return

    @functools.wraps(original)
    def update(self: Any, current: Any, values: Any = None, finalize: Any = None) -> Any:
        shown, ours = [], set()
        for whole, result in values or ():
            for name, value in _flat(whole, result) if isinstance(result, Mapping) else [(whole, result)]:
                if isinstance(result, Mapping) or str(name).removeprefix("val_") in _names:
                    ours.add(name)
                if name not in ours or _is_number(value):
                    shown.append((name, value))
        if isinstance(getattr(self, "stateful_metrics", None), set):
            self.stateful_metrics |= ours
        return original(self, current, shown, finalize)

    update.__mergeable__ = True  # type: ignore[attr-defined]  # so that a reload does not wrap it twice
    bar.update = update


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "biuf"
