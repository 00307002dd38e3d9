"""The check of the caller: a metric of one Keras refuses calls by the other Keras."""

from __future__ import annotations

import sys

from mergeable.keras.loop import library

_KERASES = {
    "keras": ("Keras 3", "leave TF_USE_LEGACY_KERAS unset"),
    "tf_keras": ("tf_keras", "set TF_USE_LEGACY_KERAS=1"),
}
"""What they are called, and how a program chooses them before it imports TensorFlow."""


def check_caller(who: str, base: type) -> None:
    """Raise unless the metric of this Keras base class is called by its own Keras, or by no Keras.

    A model of the other Keras takes it for a function of one batch, and shows the mean of its running results.

    Raises:
        TypeError: the other Keras calls it.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and library(frame) in ("mergeable", "tensorflow"):
        frame = frame.f_back
    mine, caller = base.__module__.split(".")[0], library(frame)
    if caller in _KERASES and caller != mine:
        (mine, _), (other, choice) = _KERASES[mine], _KERASES[caller]
        raise TypeError(
            f"{who}: got a call by {other}, expected one by {mine}, whose metric this is: {other} takes it for a function of one batch, "
            f"would average its results, and never reset it. For models of {other}, {choice} in the environment before TensorFlow is "
            f"imported; or build the model with {mine}."
        )
