"""The values that a step shows: the result so far, computed on the host, or NaN while ``result`` fails for want of data."""

from __future__ import annotations

import textwrap
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mergeable.keras.graph_call import TracedCall, eagerly
from mergeable.keras.options import Options
from mergeable.keras.result_structure import Structure
from mergeable.metric import operations
from mergeable.metric.internals import internals
from mergeable.wording import shown


def step_values(metric: Any, options: Options, traced: TracedCall) -> list[np.ndarray]:
    """Return the values of the result that a step shows, in the order of its structure."""
    try:
        result = step_result(metric, options)
    except Exception as error:
        if not traced.in_keras:
            raise
        return values_despite(error, metric, options, traced.structure)
    return traced.structure.flatten(result)


def step_result(metric: Any, options: Options) -> Any:
    """Return the result of the rows that a step shows: of this process, or, with ``sync="step"``, of all."""
    if options.sync == "step":
        return operations.result_alone(metric)
    internals(metric).settle()
    return operations.result_here(metric)


def values_despite(error: Exception, metric: Any, options: Options, structure: Structure) -> list[np.ndarray]:
    """Return NaN for a step whose result failed; raise an error that ``result`` did not raise, or all where the options say so."""
    if options.step_failure == "raise" or not _came_through(operations.run_result, error):
        raise error
    if type(error) not in options.warned:
        options.warned.add(type(error))
        warnings.warn(
            f"{type(metric).__name__}.result (metric {shown(metric.name)}): steps show NaN while it raises {_text(error)}; the end of an "
            'epoch and eager code raise it. Set step_failure = "raise" to have steps raise it too.',
            RuntimeWarning,
            stacklevel=2,
        )
    return structure.placeholder()


def structure_of(metric: Any, options: Options) -> Structure:
    """Return the structure of a metric's result: of the declared example, or of its result on empty states."""
    example = declared = declared_result(metric, options)
    if example is None:
        try:
            with warnings.catch_warnings(), eagerly():  # a result may compute with tensors, eager as in a step
                warnings.simplefilter("ignore")
                example = operations.result_when_empty(metric)
        except Exception:  # scikit-learn's functions and divisions by plain zeros fail on nothing; a number is usual
            example = 0.0
    return Structure(type(metric).__name__, example, declared=declared is not None)


def declared_result(metric: Any, options: Options) -> Any:
    """Return the example of the result that the Keras metric, or the metric that it holds, declares; None where there is none."""
    return getattr(metric, "empty_result", None) if options.empty_result is None else options.empty_result


def _text(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200)


def _came_through(function: Callable[..., Any], error: Exception) -> bool:
    return any(frame.f_code is function.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))
