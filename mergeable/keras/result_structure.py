"""The structure of a result (nesting, shapes, dtypes), which a step must know before it runs."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mergeable.wording import shown

_WHOLE = 2**53


class Structure:
    """The nesting, shapes and dtypes of a metric's result, taken from an example: a number, an array, or dicts of them.

    Numbers are float64 (whole numbers too, so that an empty metric may say 0 and a full one 0.5); strings are strings. Of a dict that
    was ``declared``, a result may leave out keys, whose values are then NaN, and have others, which are left out.

    Raises:
        TypeError: the example holds what is neither a number, a string nor an array of them.
    """

    def __init__(self, who: str, example: Any, *, declared: bool = False) -> None:
        self.who = who
        self.example = example
        self._is_open = declared and isinstance(example, Mapping)
        leaves = [self._leaf(value) for value in tf.nest.flatten(example)]
        self.dtypes = [tf.as_dtype(leaf.dtype) if leaf.dtype.kind == "f" else tf.string for leaf in leaves]
        self.shapes = [leaf.shape for leaf in leaves]
        self._is_number = type(example) in (int, float)

    def flatten(self, result: Any) -> list[np.ndarray]:
        """Return the result's values in order; a result of another structure is refused."""
        if type(result) in (int, float) and self._is_number and abs(result) <= _WHOLE:  # as most are
            return [np.asarray(result, np.float64)]
        if self._is_open:
            result = with_keys(self.example, result, others=False)
        try:
            tf.nest.assert_same_structure(self.example, result)
            leaves = [self._leaf(value) for value in tf.nest.flatten(result)]
            if [leaf.shape for leaf in leaves] != self.shapes:
                raise ValueError
            if [leaf.dtype.kind == "f" for leaf in leaves] != [dtype == tf.float64 for dtype in self.dtypes]:
                raise ValueError
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{self.who}.result: got {shown(result)}, expected the structure and shapes of {shown(self.example)}, which an empty "
                "metric gives; a step must know them before it runs. Return one structure always, or declare the right one "
                "on the class: empty_result = ...; of a dict, keys that it does not name are shown at the end of an epoch."
            ) from (error if str(error) else None)
        return leaves

    def placeholder(self) -> list[np.ndarray]:
        """Return values of this structure for a result that nobody reads."""
        return [
            np.full(shape, np.nan if dtype == tf.float64 else b"")
            for dtype, shape in zip(self.dtypes, self.shapes, strict=True)
        ]

    @property
    def key(self) -> Hashable:
        """What structures of equal flat values share."""
        return tuple(zip(self.dtypes, self.shapes, strict=True))

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """The shape of all numbers in one array: that of a single number, or a vector."""
        return () if self.shapes == [()] else (sum(math.prod(shape) for shape in self.shapes),)

    def packed(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """Return flat values as one array."""
        return np.concatenate([np.empty(0), *(leaf.reshape(-1) for leaf in leaves)]).reshape(self.packed_shape)

    def unpacked(self, array: tf.Tensor) -> list[tf.Tensor]:
        """Return the tensors whose numbers an array holds."""
        if not self.packed_shape:
            return [array]
        if not self.shapes:
            return []
        parts = tf.split(array, [math.prod(shape) for shape in self.shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    @property
    def is_numeric(self) -> bool:
        """Whether there is nothing but numbers."""
        return all(dtype == tf.float64 for dtype in self.dtypes)

    def pack(self, tensors: Sequence[tf.Tensor]) -> Any:
        """Return tensors of known shapes in the structure."""
        for tensor, shape in zip(tensors, self.shapes, strict=True):
            tensor.set_shape(shape)
        return tf.nest.pack_sequence_as(self.example, list(tensors))

    def _leaf(self, value: Any) -> np.ndarray:
        array = np.asarray(value)
        if array.dtype.kind in "iu" and np.abs(array.astype(np.float64)).max(initial=0) > _WHOLE:
            raise ValueError(f"{self.who}.result: got {shown(value)}, expected whole numbers up to 2**53 in a step.")
        if array.dtype.kind in "biuf":
            return array.astype(np.float64)
        if array.dtype.kind in "US":
            return array
        raise TypeError(
            f"{self.who}.result: got {shown(value)} ({type(value).__name__}), expected a number, a string, an array, or a dict, "
            "list or tuple of them; a step can show nothing else. Return the rest from a method of its own."
        )


def with_keys(example: Any, result: Any, *, others: bool) -> Any:
    """Return the result with all keys that the dicts of an example have, NaN where it lacks one, and with ``others`` or without."""
    if not isinstance(example, Mapping) or not isinstance(result, Mapping):
        return result
    known = {
        key: with_keys(part, result[key], others=others)
        if key in result
        else tf.nest.map_structure(lambda leaf: np.full(np.shape(leaf), np.nan), part)
        for key, part in example.items()
    }
    return {**known, **{key: part for key, part in result.items() if others and key not in known}}


def as_tensors(result: Any) -> Any:
    """Return the result with its numbers and arrays as eager tensors, float64 or int64; other things stay as they are."""

    def convert(value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            return value
        with tf.device("/cpu:0"):
            return tf.constant(array.astype(np.float64) if array.dtype.kind == "f" else array)

    return tf.nest.map_structure(convert, result)
