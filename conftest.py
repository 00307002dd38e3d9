"""What every test process needs: no GPU, a quiet TensorFlow, and four logical CPU devices for real strategies."""

import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DEVICES = 4


def pytest_collection_modifyitems(items):
    """Split the CPU into logical devices before TensorFlow starts, where a test needs it."""
    if any({"keras", "strategies"} & set(item.path.parts) for item in items):
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        if not tf.config.get_logical_device_configuration(cpu):
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
