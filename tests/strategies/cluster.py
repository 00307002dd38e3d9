"""Real servers on this machine, workers and a parameter server; the process that starts them is their coordinator."""

import multiprocessing
import os
import sys
import traceback

from tests.strategies.processes import free_ports


class Cluster:
    """Servers that end with the block, or with this process; a worker may be killed and started again."""

    def __init__(self, workers=2, servers=1):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers + servers)]
        self.spec = {"worker": addresses[:workers], "ps": addresses[workers:]}
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tensorflow"])  # it is loaded once, and a server starts in no time
        self.running = {}

    def __enter__(self):
        for job, addresses in self.spec.items():
            for task in range(len(addresses)):
                self.start(job, task)
        return self

    def start(self, job, task):
        """Start the process of a server."""
        self.running[job, task] = self.context.Process(target=_serve, args=(self.spec, job, task), daemon=True)
        self.running[job, task].start()

    def kill(self, job, task):
        """End a server at once, without a chance to clean up."""
        process = self.running.pop((job, task))
        process.kill()
        process.join()

    def restart(self, job, task):
        """Kill a server and start it again at its address."""
        self.kill(job, task)
        self.start(job, task)

    def strategy(self):
        """Return the strategy of which this process is the coordinator."""
        import tensorflow as tf

        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(tf.train.ClusterSpec(self.spec), rpc_layer="grpc")
        return tf.distribute.ParameterServerStrategy(resolver)

    def __exit__(self, kind, *_):
        if kind:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)  # at its end TensorFlow would wait for a worker that is still away
        for name in list(self.running):
            self.kill(*name)


def _serve(spec, job, task):
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(4)
    _server = tf.distribute.Server(tf.train.ClusterSpec(spec), job_name=job, task_index=task, protocol="grpc")
    multiprocessing.parent_process().join()
    os._exit(0)
