"""How do I train on several workers, and get the metric that one process would give?

This starts three workers on this machine. On hosts of your own, start the same file once on each, with TF_CONFIG, and it starts
nothing: TF_CONFIG='{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'. Under Slurm,
use connect(cluster_resolver=tf.distribute.cluster_resolver.SlurmClusterResolver()).
"""

import json
import os
import socket
import subprocess
import sys

os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ)

try:
    import keras
    import numpy as np
    import tensorflow as tf
    from sklearn import datasets, metrics
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

import mergeable as mg
from mergeable.strategies import multi_worker


class Accuracy(mg.PyMetric):
    matrix = mg.ConfusionMatrix(10)

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002  # Keras passes it
        self.matrix.update(np.ravel(y_true), np.argmax(y_pred, axis=1))

    def result(self):
        matrix = self.matrix.result()
        return matrix.trace() / max(1, matrix.sum())


if __name__ == "__main__" and "TF_CONFIG" in os.environ:
    strategy = multi_worker.connect()  # before TensorFlow does anything else
    keras.utils.set_random_seed(1)  # the same on every worker
    x, y = datasets.load_digits(return_X_y=True)
    data = tf.data.Dataset.from_tensor_slices((x / 16, y)).batch(64)  # Keras gives each worker its share of the rows
    with strategy.scope():
        accuracy, model = Accuracy(), keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=[accuracy])
    multi_worker.enable_fit(model)  # Keras 3 by itself fails under this strategy
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    model.evaluate(data, verbose=0)
    alone = metrics.accuracy_score(y, np.argmax(model(x / 16), axis=1))
    print(f"worker {strategy.cluster_resolver.task_id}: {accuracy}; one pass: {alone}")
    sys.exit("The two differ." if accuracy.result() != alone else 0)
elif __name__ == "__main__":
    ports = [probe.getsockname()[1] for probe in [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(3)]
    workers = [subprocess.Popen([sys.executable, __file__], env=os.environ | {"TF_CONFIG": task}) for task in tasks]
    sys.exit(max(worker.wait() for worker in workers))
