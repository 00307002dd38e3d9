"""What every test process needs: no GPU, a quiet TensorFlow, four logical CPU devices for real strategies, and patience."""

import os
import signal

import hypothesis

from tests.effort import LONG

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# In the background of a shell interrupts are ignored, also by the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

DEVICES = 4

hypothesis.settings.register_profile(  # a slow machine is no failure
    "patient", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(config, items):
    """Leave out long tests, and split the CPU into logical devices before TensorFlow starts, where a test needs it."""
    if not LONG:
        left = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    if any({"keras", "strategies"} & set(item.path.parts) for item in items):
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        if not tf.config.get_logical_device_configuration(cpu):
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
