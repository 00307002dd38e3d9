"""Strategies and models for the tests with Keras."""

import functools
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.effort import LONG

BRIEF = os.environ.get("TF_USE_LEGACY_KERAS") == "1" and not LONG
"""Whether the tests with tf_keras leave out what the tests with Keras 3 have shown."""

ALIKE = [pathlib.Path(__file__).with_name(f"test_{name}.py") for name in ("packing", "queue", "schedule", "laws")]
"""Files about the host's half of a metric. Which Keras there is matters to those of their tests that run a model."""


def pytest_collection_modifyitems(config, items):
    """Leave out what is the same with either Keras."""
    if not BRIEF:
        return
    left = [item for item in items if item.path in ALIKE and {"through", "trained"}.isdisjoint(item.fixturenames)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]


STRATEGIES = {
    "none": lambda: None,
    "one-device": lambda: tf.distribute.OneDeviceStrategy("CPU:0"),
    "mirrored-1": lambda: mirrored(1),
    "mirrored-2": lambda: mirrored(2),
    "mirrored-4": lambda: mirrored(4),
    "central-storage-2": lambda: central_storage(2),
}


@functools.cache
def mirrored(replicas):
    """Return one strategy for each number of replicas; several of a kind in one process would mix up their collectives."""
    devices = [f"CPU:{i}" for i in range(replicas)]
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


@functools.cache
def central_storage(replicas):
    return tf.distribute.experimental.CentralStorageStrategy([f"CPU:{i}" for i in range(replicas)], "CPU:0")


@pytest.fixture(params=["none", "mirrored-2"] if BRIEF else STRATEGIES)
def strategy(request):
    """A context to build and compile in: no strategy, or the scope of one."""
    return STRATEGIES[request.param]() or tf.distribute.get_strategy()


@pytest.fixture(params=["none", "mirrored-2", "mirrored-4"] if LONG else ["none", "mirrored-2"])
def replicated(request):
    """Without a strategy, and with 2 replicas; also with 4 where the tests are long. Each other strategy is in ``strategy``."""
    return STRATEGIES[request.param]() or tf.distribute.get_strategy()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def through():
    """Return a model without weights that passes its input on, so that every strategy predicts the same bits."""

    def build(strategy, metrics=None, width=1, **options):
        keras = tf.keras
        with strategy.scope():
            model = keras.Sequential([keras.layers.Input((width,)), keras.layers.Activation("linear")])
            model.compile(loss="mse", metrics=metrics, **options)
        return model

    return build


@pytest.fixture
def trained():
    """Return a model with weights, compiled for training."""

    def build(strategy, metrics=None, **options):
        keras = tf.keras
        with strategy.scope():
            model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
            model.compile(optimizer="sgd", loss="mse", metrics=metrics, **options)
        return model

    return build
