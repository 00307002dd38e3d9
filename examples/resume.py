"""How does an evaluation on several workers go on after it was killed?

Save the metric with the step, on every worker, and restore the first one's file on all. Here 3 are killed, and 2 go on.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ)
try:
    import tensorflow as tf
    from sklearn import datasets
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install 'mergeable[demo]'")
import mergeable as mg
from mergeable.strategies import multi_worker


class Ink(mg.PyMetric):
    ink = mg.Moments()

    def update_state(self, images):
        self.ink.update((images.numpy() ** 0.5).mean(axis=1))

    def result(self):
        return self.ink.std


if __name__ == "__main__" and "TF_CONFIG" in os.environ:
    signal.alarm(600)  # ends a worker, whatever it waits for
    strategy = multi_worker.connect()
    rank, size, images = strategy.cluster_resolver.task_id, strategy.num_replicas_in_sync, datasets.load_digits().data
    with strategy.scope():
        metric, done = Ink(), tf.Variable(0)
    checkpoint = tf.train.Checkpoint(metric=metric, done=done)
    checkpoint.restore(tf.train.latest_checkpoint(f"{sys.argv[1]}/0"))
    update = tf.function(lambda images: strategy.run(metric.update_state, [images]), reduce_retracing=True)
    for start in range(int(done.numpy()), len(images), 150):
        update(tf.constant(images[start : start + 150][rank::size]))
        done.assign(start + 150)
        if start == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.save(f"{sys.argv[1]}/{rank}/saved")
    print(float(metric.result()), "is the deviation of", metric.coverage)
elif __name__ == "__main__":
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        for size, run, killed_at in ((3, "cut", 900), (2, "cut", -1), (1, "whole", -1)):
            hosts = [f"127.0.0.1:{p.getsockname()[1]}" for p in [socket.create_server(("127.0.0.1", 0)) for _ in range(size)]]
            tasks = [json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}}) for i in range(size)]
            command = [sys.executable, __file__, f"{folder}/{run}", str(killed_at)]
            workers = [subprocess.Popen(command, env=os.environ | {"TF_CONFIG": task}, stdout=-1, text=True) for task in tasks]
            shown.append("".join(worker.communicate()[0] for worker in workers))
            print(f"{size} worker(s):", shown[-1] or f"ended by signal {-workers[0].returncode}\n", sep="\n", end="")
    sys.exit("They differ." if float(shown[1].split()[0]) != float(shown[2].split()[0]) else 0)
