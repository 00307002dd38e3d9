"""Classes of TensorFlow and Keras that metrics derive from, as type checkers see them.

Keras is Keras 3, or tf_keras where TF_USE_LEGACY_KERAS is set. Neither ships types, and a base class that a checker does not know would
let every misspelt attribute pass.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import tensorflow as tf

M = TypeVar("M", bound="KerasMetric")

if TYPE_CHECKING:  # the names that both versions have

    class KerasMetric:
        """A metric of Keras's."""

        name: str

        def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Take a batch, and return the result."""

        @property
        def dtype(self) -> Any:
            """The type of its variables."""

        @property
        def variables(self) -> Sequence[Any]:
            """Its variables."""

        def get_config(self) -> dict[str, Any]:
            """Return the constructor's arguments."""
            ...

        @classmethod
        def from_config(cls: type[M], config: dict[str, Any]) -> M:
            """Return a metric with the constructor's arguments of a configuration."""
            ...

    class PythonState:
        """What TensorFlow's checkpoints hold of an object of Python's."""

else:
    KerasMetric = tf.keras.metrics.Metric
    PythonState = tf.train.experimental.PythonState


class _Blank(KerasMetric):
    def update_state(self, *args: Any, **kwargs: Any) -> None: ...

    def result(self) -> None: ...


@functools.cache
def keras_names() -> frozenset[str]:
    """Return the attributes that Keras's constructor sets."""
    blank = object.__new__(_Blank)
    KerasMetric.__init__(blank, name="names")
    return frozenset(vars(blank))
