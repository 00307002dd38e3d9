"""How do I get an exact metric under ParameterServerStrategy, where workers come and go?

Schedule steps, join, read the result: the metric is in the coordinator, and each step counts once. Here the servers are processes
of this machine. On hosts that have a TF_CONFIG each, take ``TFConfigClusterResolver``, and let its ``task_type`` decide who serves.
"""

import os
import socket
import sys
from multiprocessing import get_context, parent_process

os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_FAIL_FAST": "use_caller"} | os.environ)

try:
    import tensorflow as tf
    from sklearn import datasets, metrics
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

import mergeable as mg


class Auroc(mg.PyMetric):
    rows = mg.Rows("label", "score")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002  # Keras passes it
        self.rows.update(y_true.numpy().ravel(), y_pred.numpy().ravel())

    def result(self):
        return metrics.roc_auc_score(*self.rows.result().values())


def serve(cluster, job, task):
    _server = tf.distribute.Server(cluster, job_name=job, task_index=task, protocol="grpc")
    if parent := parent_process():
        parent.join()  # as long as the coordinator; on a host of its own, _server.join()


if __name__ == "__main__":
    ports = [probe.getsockname()[1] for probe in [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]]
    cluster = tf.train.ClusterSpec({"worker": [f"127.0.0.1:{port}" for port in ports[:2]], "ps": [f"127.0.0.1:{ports[2]}"]})
    for server in [("worker", 0), ("worker", 1), ("ps", 0)]:
        get_context("spawn").Process(target=serve, args=(cluster, *server), daemon=True).start()
    strategy = tf.distribute.ParameterServerStrategy(tf.distribute.cluster_resolver.SimpleClusterResolver(cluster))
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        auroc, model = Auroc(), tf.keras.Sequential([tf.keras.Input((30,)), tf.keras.layers.Dense(1, "sigmoid")])
        model.compile(tf.keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=[auroc])
    x, y = datasets.load_breast_cancer(return_X_y=True)
    batches = list(tf.data.Dataset.from_tensor_slices(((x - x.mean(0)) / x.std(0), y[:, None])).batch(32))
    train = tf.function(lambda batch: strategy.run(model.train_step, (batch,)))
    test = tf.function(lambda batch: strategy.run(model.test_step, (batch,)))
    for step in (train, test, train, test):
        auroc.reset_state()
        for batch in batches:
            coordinator.schedule(step, args=(batch,))
        coordinator.join()
        print("training:  " if step is train else "evaluation:", auroc)
    print("one pass:  ", alone := metrics.roc_auc_score(y, [score for x, _ in batches for score in model(x)]))
    sys.exit("The two differ." if auroc.result() != alone else 0)
