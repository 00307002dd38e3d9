"""Serialization of constructor arguments for Keras: functions and objects by Keras's own means, containers as they were."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import tensorflow as tf

from mergeable.wording import shown

_KIND, _ITEMS = "mergeable", "items"
_KINDS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict}


@final
class _Written(dict[str, Any]):
    """What a file holds of a value, and, as long as no file came between, the value itself."""

    def __init__(self, form: Mapping[str, Any], value: Any) -> None:
        super().__init__(form)
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> _Written:
        return self

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def written(value: Any) -> Any:
    """Return an argument as JSON can hold it, where Keras has a form for it, else as it is: Keras says so when it saves it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value) is list:
        return [written(item) for item in value]
    if type(value) is dict and all(type(key) is str for key in value) and not _is_form(value):
        return {key: written(item) for key, item in value.items()}
    kind = type(value).__name__
    if type(value) is _KINDS.get(kind):  # a list would come back, or keys that are strings
        items = [[written(key), written(item)] for key, item in value.items()] if kind == "dict" else [*map(written, value)]
        return _Written({_KIND: kind, _ITEMS: items}, value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return _Written({_KIND: "array", _ITEMS: [value.dtype.str, value.tolist()]}, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a lambda is refused when it is read, if it is ever written
            form = tf.keras.utils.serialize_keras_object(value)
            if isinstance(form, str) and callable(value):  # tf_keras, on the way into a SavedModel
                form = {"class_name": "function", "config": tf.keras.utils.get_registered_name(value)}
    except Exception:  # Keras has no form for it
        return value
    return _Written(form, value) if isinstance(form, dict) else value


def read(value: Any) -> Any:
    """Return the argument that ``written`` gave, before or after a file.

    Raises:
        TypeError: Keras does not know a function, or the class of an object.
    """
    if isinstance(value, _Written):
        return value.value
    if isinstance(value, list):
        return [read(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not _is_form(value):
        return {key: read(item) for key, item in value.items()}
    if _KIND in value:
        kind, items = value[_KIND], read(value[_ITEMS])
        if kind == "array":
            return np.array(items[1], items[0])
        return _KINDS[kind](map(tuple, items) if kind == "dict" else items)
    return _known(value)


def _is_form(value: dict[str, Any]) -> bool:
    return value.keys() == {_KIND, _ITEMS} or {"class_name", "config"} <= value.keys()


def _known(form: dict[str, Any]) -> Any:
    """Return the function or object of a form of Keras's."""
    found = tf.keras.utils.get_registered_object(form["config"]) if form["class_name"] == "function" else None
    try:
        return found or tf.keras.utils.deserialize_keras_object(form)
    except Exception as error:
        name = form["config"] if form["class_name"] == "function" else form["class_name"]
        raise TypeError(
            f"PyMetric.from_config: got {shown(name)}, expected a function or a class that Keras knows ({error}). Import what defines it, "
            "and decorate it with keras.saving.register_keras_serializable, or pass it to load_model in custom_objects."
        ) from error
