"""Flattening: the arguments of an update as dense tensors, and the layout that rebuilds the arguments from tensors."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mergeable.metric.arguments import shape_readers
from mergeable.numeric.conversion import as_items, as_lossless
from mergeable.numeric.inputs import as_array

_EagerTensor: Any = tf.__internal__.EagerTensor
_DENSE = (_EagerTensor, np.ndarray)

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Those of one update: by their place, and by their names."""


class Batch:
    """The arguments of one ``update_state``: a structure of tensors, and of what is not a tensor.

    Dicts, tuples, ragged and sparse tensors are taken apart into dense tensors. Arrays and lists of numbers or strings
    become tensors, lists of floats as float64. Python numbers, strings and None stay as they are. ``tensors`` are the dense
    tensors, ``layout`` puts such tensors together again, ``first`` is the first argument as it came.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.first = next(iter(tf.nest.flatten((args, dict(kwargs)))), None)
        structure = as_sent((args, dict(kwargs)))
        leaves = tf.nest.flatten(structure, expand_composites=True)
        self.tensors: list[tf.Tensor] = [leaf for leaf in leaves if tf.is_tensor(leaf)]
        self.layout = Layout(structure, leaves)


class Layout:
    """How the tensors of a batch are put together again. It holds none of them, so it keeps no graph alive.

    ``is_dense`` tells whether there are neither ragged nor sparse tensors, ``joins`` whether there is nothing but dense tensors and None.
    """

    def __init__(self, structure: Any, leaves: Sequence[Any]) -> None:
        args, kwargs = structure
        self._structure = tf.nest.map_structure(_without_tensors, structure)
        self._leaves = [None if tf.is_tensor(leaf) else leaf for leaf in leaves]
        self._places = [i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf)]
        self._args, self._names = len(args), sorted(kwargs)
        self.is_dense = not any(isinstance(leaf, tf.TypeSpec) for leaf in tf.nest.flatten(self._structure))
        self.joins = self.is_dense and bool(self._places) and all(leaf is None for leaf in self._leaves)
        self._is_flat = all(map(operator.is_, leaves, [*args, *map(kwargs.get, self._names)])) and len(leaves) == len(
            [*args, *kwargs]
        )

    def arguments(self, tensors: Sequence[Any]) -> Arguments:
        """Return the arguments of the update with these tensors, or, where it ``is_dense``, with arrays in their place."""
        leaves = list(self._leaves)
        for i, tensor in zip(self._places, tensors, strict=True):
            leaves[i] = tensor
        if self._is_flat:  # as most are: nothing is inside of another thing
            return tuple(leaves[: self._args]), dict(zip(self._names, leaves[self._args :], strict=True))
        args, kwargs = tf.nest.pack_sequence_as(self._structure, leaves, expand_composites=True)
        return args, kwargs

    def is_alike(self, other: Layout) -> bool:
        """Return whether another layout puts the same tensors together to the same arguments."""
        mine = self._places, self._args, self._names, self._leaves
        theirs = other._places, other._args, other._names, other._leaves
        try:
            tf.nest.assert_same_structure(self._structure, other._structure)
            specs = tf.nest.flatten(self._structure) == tf.nest.flatten(other._structure)
        except (TypeError, ValueError):
            return False
        return bool(specs) and mine[:3] == theirs[:3] and [*map(_exactly, mine[3])] == [*map(_exactly, theirs[3])]


def _exactly(leaf: Any) -> tuple[type, Any]:
    """Return a value that is equal for equal leaves alone: 0.0 is not -0.0, and 1 is not True."""
    return type(leaf), repr(leaf) if isinstance(leaf, float) else leaf


def _without_tensors(value: Any) -> Any:
    if tf.is_tensor(value):
        return None if isinstance(value, tf.Tensor) else tf.type_spec_from_value(value)
    return value


def is_empty(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether every array among the arguments has no rows: what a replica gets when the last batch is short."""
    found = False
    for value in (*args, *kwargs.values()):
        for leaf in (value,) if isinstance(value, _DENSE) else tf.nest.flatten(value):
            if isinstance(leaf, np.ndarray) or tf.is_tensor(leaf):
                shape = _shape(leaf)
                if len(shape) and shape[0]:
                    return False
                found = found or bool(len(shape))
    return found


def _shape(array: Any) -> Any:
    if isinstance(array, _EagerTensor):
        return array._shape_tuple()  # noqa: SLF001 - ``shape`` takes an eager tensor longer
    return array.shape


shape_readers[_EagerTensor] = _shape


def to_numpy(value: Any) -> Any:
    """Return the structure with dense eager tensors as NumPy arrays."""
    if isinstance(value, _EagerTensor):
        return value.numpy()
    if type(value) in (tuple, list):
        return type(value)(map(to_numpy, value))
    if type(value) is dict:
        return {name: to_numpy(part) for name, part in value.items()}
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes):
        return tf.nest.map_structure(to_numpy, value)
    return value


def as_sent(value: Any) -> Any:
    """Return the structure with what stands for a tensor as one: arrays, variables, and lists of numbers or strings."""
    if isinstance(value, tf.Variable):
        return value.read_value()
    if hasattr(value, "numpy") and hasattr(value, "value") and not tf.is_tensor(value):  # a variable of Keras 3
        return tf.convert_to_tensor(value)
    if isinstance(value, np.ndarray | np.generic):
        return tf.convert_to_tensor(as_lossless(value, "update_state"))
    if isinstance(value, list) and not any(isinstance(v, Mapping | tuple | np.ndarray) or tf.is_tensor(v) for v in value):
        array = as_items(value, "update_state")
        is_text = array.dtype != object or all(isinstance(item, str | bytes) for item in array.flat)
        return tf.convert_to_tensor(array if is_text else as_array(array, "update_state"))
    if isinstance(value, Mapping):
        return {key: as_sent(value[key]) for key in value}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(as_sent, value))
    if isinstance(value, list | tuple):
        return type(value)(map(as_sent, value))
    return value
