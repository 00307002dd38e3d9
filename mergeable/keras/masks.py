"""Masks of layers: a step of a sequence that is padding has weight 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mergeable.keras.batch import Arguments, as_sent
from mergeable.metric.arguments import found, places


def folded(update: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Return the arguments of ``update`` with the mask of its predictions folded into ``sample_weight``, as Keras's own metrics do.

    The predictions are ``y_pred``, or the second argument, or the only one. Where they are a dict or a list, the weights have its
    structure.
    """
    y_pred, sample_weight = places(update)
    predicted = found(y_pred, args, kwargs)
    if all(_mask(part) is None for part in tf.nest.flatten(predicted)):
        return args, kwargs
    weights = _folded(predicted, found(sample_weight, args, kwargs))
    position, name = sample_weight
    if name not in kwargs and position < len(args):
        return (*args[:position], weights, *args[position + 1 :]), kwargs
    return args, {**kwargs, name: weights}


def _folded(predicted: Any, weights: Any) -> Any:
    if isinstance(predicted, Mapping):
        return {
            key: _folded(part, weights[key] if isinstance(weights, Mapping) else weights) for key, part in predicted.items()
        }
    if isinstance(predicted, list | tuple):
        each = weights if isinstance(weights, list | tuple) and len(weights) == len(predicted) else [weights] * len(predicted)
        return tuple(map(_folded, predicted, each))
    mask = _mask(predicted)
    return weights if mask is None else _where(tf.cast(mask, tf.bool), weights)


def _where(mask: tf.Tensor, weights: Any) -> tf.Tensor:
    """Return the weights where the mask is true, and 0 elsewhere; the one that has fewer axes has one value for each row of the other."""
    if weights is None:
        return tf.cast(mask, tf.float32)
    weights = as_sent(np.asarray(weights) if isinstance(weights, int | float) else weights)
    weights = tf.cast(weights, tf.float32) if weights.dtype == tf.bool else weights  # tf_keras passes the mask itself
    ranks = tf.rank(mask), tf.rank(weights)
    mask, weights = _with_axes(mask, ranks[1] - ranks[0]), _with_axes(weights, ranks[0] - ranks[1])
    return tf.where(mask, weights, tf.zeros([], weights.dtype))


def _with_axes(tensor: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, tf.concat([tf.shape(tensor), tf.ones([tf.maximum(n, 0)], tf.int32)], 0))


def _mask(value: Any) -> Any:
    return getattr(value, "_keras_mask", None)
