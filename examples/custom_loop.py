"""How do I use an exact metric in a training loop of my own?

Update it in the step, read it there or after the epoch, and reset it. The end shows that one replica and two give the same bits.
"""

import os
import sys

os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"} | os.environ)
try:
    import tensorflow as tf
    from sklearn import datasets, metrics, preprocessing
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

import mergeable as mg


class Auroc(mg.PyMetric):
    rows = mg.Rows("label", "score")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002  # Keras passes it
        self.rows.update(y_true.numpy().ravel(), y_pred.numpy().ravel())

    def result(self):
        return metrics.roc_auc_score(*self.rows.result().values())


def loop(strategy, replica_step, *arrays):
    step = tf.function(lambda batch: strategy.run(replica_step, batch))
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(arrays).batch(64))
    return lambda: [float(strategy.experimental_local_results(step(batch))[0]) for batch in data]


def train(x, y):
    with tf.GradientTape() as tape:
        scores = model(x)
        loss = tf.reduce_sum(tf.keras.losses.binary_crossentropy(y, scores)) / 64
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))
    return auroc(y, scores)  # update_state, then result: of all rows of both replicas


tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())  # with GPUs, MirroredStrategy()
x, y = datasets.load_breast_cancer(return_X_y=True)
with two.scope():
    auroc, optimizer = Auroc(), tf.keras.optimizers.SGD(0.1)
    model = tf.keras.Sequential([tf.keras.Input((30,)), tf.keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")])
train_epoch = loop(two, train, preprocessing.scale(x), y[:, None])
for epoch in range(3):
    print(f"epoch {epoch}: {train_epoch()[2]:.4f} after 3 steps, at the end {auroc}")
    auroc.reset_state()

scores, once, twice = model(preprocessing.scale(x)), Auroc(), Auroc()
loop(tf.distribute.get_strategy(), once, y, scores)()
loop(two, twice, y, scores)()
print(f"one replica:  {once}\ntwo replicas: {twice}")
sys.exit("The two differ." if not once.result() == twice.result() == metrics.roc_auc_score(y, scores) else 0)
