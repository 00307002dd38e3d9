"""Packing: a step writes the tensors of a batch into rows of bytes, and the host slices the rows of many batches at once.

A batch begins with a header of int64: the number of its place, and of each tensor its rank and shape. After it come their values, and
zeros up to whole rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np
import tensorflow as tf

ROW_BYTES = 4096
"""A batch takes a whole number of rows."""

RUN_BYTES = 1 << 20
"""Batches are taken apart together up to so many bytes, or one by one where one is larger."""

Types = Sequence[tf.DType]

Column = np.ndarray | list[tf.Tensor]
"""One tensor of each of n batches: an array (n, *shape), or, of strings and of more axes than an array has, a list."""

MOST_AXES = 32
"""An array of any NumPy has so many."""

_TYPES = {tf.bool, tf.string, tf.bfloat16, tf.half, tf.float32, tf.float64, tf.complex64, tf.complex128} | {
    tf.as_dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def can_pack(types: Types) -> bool:
    """Return whether tensors of these types can be packed."""
    return _TYPES.issuperset(types)


def pack(number: int, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the batch of a place as rows (n, ROW_BYTES) uint8."""
    plain = [_plain(tensor) for tensor in tensors]
    words: list[tf.Tensor] = [tf.constant([number], tf.int64)]
    for tensor in plain:
        words += [tf.reshape(tf.cast(tf.rank(tensor), tf.int64), [1]), tf.shape(tensor, tf.int64)]
    parts = [tf.reshape(tf.bitcast(part, tf.uint8), [-1]) for part in (tf.concat(words, 0), *plain)]
    whole = tf.concat([*parts, tf.zeros(ROW_BYTES, tf.uint8)], 0)
    size = tf.size(whole, tf.int64) // ROW_BYTES * ROW_BYTES
    return tf.reshape(tf.slice(whole, tf.constant([0], tf.int64), tf.reshape(size, [1])), [-1, ROW_BYTES])


@final
class Packed:
    """Batches in rows (n, ROW_BYTES) of bytes, which are taken apart from any of them on: from the one that begins at a byte."""

    def __init__(self, rows: np.ndarray) -> None:
        self._bytes = rows.reshape(-1)
        self._words = self._bytes.view(np.int64)

    def __len__(self) -> int:
        """The number of bytes."""
        return self._bytes.size

    def number(self, start: int) -> int:
        """Return the number of the place of a batch."""
        return int(self._words[start // 8])

    def columns(self, begin: int, types: Types) -> tuple[list[Column], int]:
        """Return the tensors of the next n batches, which are of one place and of equal shapes, each of them as a column.

        ``types`` are those of the tensors of the place. The other value is where the batch behind them begins.
        """
        at = begin // 8 + 1
        shapes: list[tuple[int, ...]] = []
        for _ in types:
            start, at = at + 1, at + 1 + int(self._words[at])
            shapes.append(tuple(self._words[start:at].tolist()))
        header = at * 8 - begin
        kinds = [np.dtype(np.uint8 if kind == tf.string else kind.as_numpy_dtype) for kind in types]
        sizes = [math.prod(shape) * kind.itemsize for shape, kind in zip(shapes, kinds, strict=True)]
        stride = ((header + sum(sizes)) // ROW_BYTES + 1) * ROW_BYTES
        most = max(1, min((self._bytes.size - begin) // stride, RUN_BYTES // stride))
        batches = self._bytes[begin : begin + most * stride].reshape(most, stride)
        same = (batches[:, :header] == batches[0, :header]).all(axis=1)
        n = most if same.all() else int(same.argmin())
        found: list[Column] = []
        start = header
        for kind, dtype, shape, size in zip(types, kinds, shapes, sizes, strict=True):
            column = batches[:n, start : start + size].copy()
            if kind == tf.string:
                found.append([tf.io.parse_tensor(row.tobytes(), tf.string) for row in column])
            elif len(shape) < MOST_AXES:
                found.append(column.reshape(-1).view(dtype).reshape(n, *shape))
            else:
                found.append([tf.reshape(tf.constant(row.view(dtype)), shape) for row in column])
            start += size
        return found, begin + n * stride


def as_tensors(column: Column) -> list[tf.Tensor]:
    """Return what a column holds of each batch as an eager tensor."""
    if isinstance(column, list):
        return column
    if len(column) == 1:  # as large batches are, which need no second copy
        return [tf.constant(column[0])]
    tensors: list[tf.Tensor] = tf.unstack(tf.constant(column))
    return tensors


def _plain(tensor: tf.Tensor) -> tf.Tensor:
    """Return a tensor whose bits are bytes."""
    if tensor.dtype == tf.string:
        return tf.io.decode_raw(tf.io.serialize_tensor(tensor), tf.uint8)
    return tf.cast(tensor, tf.uint8) if tensor.dtype == tf.bool else tensor
