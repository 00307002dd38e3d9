"""Real processes on this machine: a job of workers, each with a time limit, and what they print when one fails."""

import json
import os
import pickle
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def free_ports(n):
    """Return ports of 127.0.0.1 where nobody listens, other ones in each process of the tests."""
    found, block = [], 20_000 + 1500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
    while len(found) < n:
        port = block + random.randrange(1500)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


class Worker:
    """A process that runs a function of a module of the tests: ``"tests.strategies.programs:name"``."""

    def __init__(self, program, arguments, environment, folder):
        self.report = Path(folder) / f"{time.time_ns()}-{random.random()}"
        self.log = self.report.with_suffix(".log").open("w+b")
        code = (
            "import importlib, pickle, sys; name, arguments, report = sys.argv[1:]; module, _, function = name.partition(':'); "
            "value = getattr(importlib.import_module(module), function)(*eval(arguments)); "
            "open(report, 'wb').write(pickle.dumps(value))"
        )
        quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, program, repr(arguments), str(self.report)],
            env={**os.environ, **quiet, **environment},
            cwd=ROOT,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self):
        """What the process has printed."""
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def kill(self):
        """End the process at once, without a chance to clean up."""
        self.process.kill()

    def value(self, deadline):
        """Return what the program returned, or raise with its output when it failed or its time is over."""
        try:
            code = self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.process.pid} ran past its time:\n{self.output[-6000:]}") from None
        assert code == 0, f"process {self.process.pid} ended with {code}:\n{self.output[-6000:]}"
        return pickle.loads(self.report.read_bytes())


class Job:
    """Workers that know each other by ``TF_CONFIG``; all are dead when the block ends."""

    def __init__(self, program, size, *arguments, limit=100, environment=None, chief=False):
        self.program, self.size, self.arguments = program, size, arguments
        self.deadline = time.monotonic() + limit
        self.environment = environment or {}
        addresses = [f"127.0.0.1:{port}" for port in free_ports(size)]
        self.cluster = {"chief": addresses[:1], "worker": addresses[1:]} if chief else {"worker": addresses}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.workers = [self.start(rank) for rank in range(self.size)]
        return self

    def start(self, rank):
        """Start the process of a worker."""
        job, index = [(job, index) for job, addresses in self.cluster.items() for index in range(len(addresses))][rank]
        config = {"cluster": self.cluster, "task": {"type": job, "index": index}}
        environment = {"TF_CONFIG": json.dumps(config), **self.environment}
        return Worker(self.program, self.arguments, environment, self.folder.name)

    def values(self):
        """Return what every worker's program returned."""
        return [worker.value(self.deadline) for worker in self.workers]

    def __exit__(self, *_):
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.wait()
            worker.log.close()
        self.folder.cleanup()


def values(program, size, *arguments, **options):
    """Run a program in every worker of a job and return what each gives."""
    with Job(program, size, *arguments, **options) as job:
        return job.values()
