"""How do I put a scikit-learn metric into ``fit``?

Declare what adds up, take each batch into it, and call scikit-learn on the whole in ``result``.
"""

import os
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # or TensorFlow begins with a notice

try:
    import tensorflow as tf
    from sklearn.datasets import load_breast_cancer
    from sklearn.metrics import average_precision_score
    from sklearn.preprocessing import scale
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

import mergeable as mg


class AveragePrecision(mg.PyMetric):
    rows = mg.Rows("label", "score")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002  # Keras passes it
        self.rows.update(y_true.numpy().ravel(), y_pred.numpy().ravel())

    def result(self):
        label, score = self.rows.result().values()
        return average_precision_score(label, score) if label.any() else 0.0


tf.keras.utils.set_random_seed(0)
x, y = load_breast_cancer(return_X_y=True)
x = scale(x)

model = tf.keras.Sequential([tf.keras.Input((30,)), tf.keras.layers.Dense(1, "sigmoid")])
model.compile(tf.keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=[AveragePrecision(name="ap")])
model.fit(x, y, batch_size=32, epochs=3, verbose=2)

keras_value = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)["ap"]
one_pass = average_precision_score(y, model.predict(x, batch_size=32, verbose=0).ravel())
print(f"Keras, in batches of 32:   {keras_value!r}")
print(f"scikit-learn, in one pass: {float(one_pass)!r}")
sys.exit("The two differ." if keras_value != one_pass else 0)
