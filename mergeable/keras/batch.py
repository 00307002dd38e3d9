"""A batch on its way from a step to the host: flat tensors, and how to put them together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class Batch:
    """The arguments of one ``update_state``: a structure of tensors, and of what is not a tensor.

    Dicts, tuples, ragged and sparse tensors are taken apart into dense tensors. Arrays and lists of numbers or strings
    become tensors, lists of floats as float64. Python numbers, strings and None stay as they are. ``tensors`` are the dense
    tensors, ``layout`` puts such tensors together again, ``first`` is the first argument as it came.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.first = next(iter(tf.nest.flatten((args, dict(kwargs)))), None)
        structure = _tensors((args, dict(kwargs)))
        leaves = tf.nest.flatten(structure, expand_composites=True)
        self.tensors: list[tf.Tensor] = [leaf for leaf in leaves if tf.is_tensor(leaf)]
        self.layout = Layout(structure, leaves)


class Layout:
    """How the tensors of a batch are put together again. It holds none of them, so it keeps no graph alive."""

    def __init__(self, structure: Any, leaves: Sequence[Any]) -> None:
        self._structure = tf.nest.map_structure(_without_tensors, structure)
        self._leaves = [None if tf.is_tensor(leaf) else leaf for leaf in leaves]
        self._places = [i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf)]

    def arguments(self, tensors: Sequence[tf.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the update with these tensors."""
        leaves = list(self._leaves)
        for i, tensor in zip(self._places, tensors, strict=True):
            leaves[i] = tensor
        args, kwargs = tf.nest.pack_sequence_as(self._structure, leaves, expand_composites=True)
        return args, kwargs


def _without_tensors(value: Any) -> Any:
    if tf.is_tensor(value):
        return None if isinstance(value, tf.Tensor) else tf.type_spec_from_value(value)
    return value


def is_empty(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether every array among the arguments has no rows: what a replica gets when the last batch is short."""
    leaves = [leaf for leaf in tf.nest.flatten((args, dict(kwargs))) if tf.is_tensor(leaf)]
    rows = [int(leaf.shape[0]) for leaf in leaves if leaf.shape.rank]
    return bool(rows) and not any(rows)


def to_numpy(value: Any) -> Any:
    """Return the structure with dense eager tensors as NumPy arrays."""
    return tf.nest.map_structure(lambda t: t.numpy() if isinstance(t, tf.__internal__.EagerTensor) else t, value)


def _tensors(value: Any) -> Any:
    if isinstance(value, tf.Variable):
        return value.read_value()
    if hasattr(value, "numpy") and hasattr(value, "value") and not tf.is_tensor(value):  # a variable of Keras 3
        return tf.convert_to_tensor(value)
    if isinstance(value, np.ndarray | np.generic):
        return tf.convert_to_tensor(value)
    if isinstance(value, list) and not any(isinstance(v, Mapping | tuple | np.ndarray) or tf.is_tensor(v) for v in value):
        array = np.asarray(value)  # raises where the rows of a list differ in length
        return tf.convert_to_tensor(array if array.size or array.dtype != object else array.astype(np.float64))
    if isinstance(value, Mapping):
        return {key: _tensors(value[key]) for key in value}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_tensors, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_tensors, value))
    return value
