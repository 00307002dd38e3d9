"""Strategies and models for the tests with Keras."""

import functools

import numpy as np
import pytest
import tensorflow as tf

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


@pytest.fixture(params=STRATEGIES)
def strategy(request):
    """A context to build and compile in: no strategy, or the scope of one."""
    return STRATEGIES[request.param]() or tf.distribute.get_strategy()


@pytest.fixture(params=["none", "mirrored-2", "mirrored-4"])
def replicated(request):
    """Without a strategy, and with 2 and 4 replicas."""
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
