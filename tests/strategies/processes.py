"""Real processes on this machine: a job of workers, each with a time limit, and what they print when one fails."""

import importlib
import json
import multiprocessing
import os
import pickle
import random
import socket
import tempfile
import time
from pathlib import Path

from tests.effort import HANG

ROOT = Path(__file__).parent.parent.parent
COPIES = multiprocessing.get_context("forkserver")
COPIES.set_forkserver_preload(["tensorflow", "tf_keras"])
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the copies


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
    """A process that runs a function of a module of the tests: ``"tests.strategies.programs:name"``.

    It is a copy of one that has imported TensorFlow, and nothing more, which is what takes most of the time otherwise.
    """

    def __init__(self, program, arguments, environment, folder):
        self.report = Path(folder) / f"{time.time_ns()}-{random.random()}"
        self.log = self.report.with_suffix(".log")
        self.process = COPIES.Process(target=_run, args=(program, arguments, environment, self.report, self.log))
        self.process.start()

    @property
    def output(self):
        """What the process has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def end(self):
        """End the process at once, without a chance to clean up."""
        self.process.kill()
        self.process.join()

    def code(self, deadline):
        """Return the status that the process ends with, or raise with its output when its time is over."""
        self.process.join(max(0.1, deadline - time.monotonic()))
        if self.process.exitcode is None:
            raise AssertionError(f"process {self.process.pid} ran past its time:\n{self.output[-6000:]}")
        return self.process.exitcode

    def value(self, deadline):
        """Return what the program returned, or raise with its output when it failed or its time is over."""
        while not self.report.exists() and self.process.is_alive() and time.monotonic() < deadline:
            self.process.join(0.02)
        if not self.report.exists():
            code = self.code(deadline)
            raise AssertionError(f"process {self.process.pid} ended with {code}:\n{self.output[-6000:]}")
        return pickle.loads(self.report.read_bytes())


def _run(program, arguments, environment, report, log):
    """Run a program in this process."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    os.chdir(ROOT)
    module, _, function = program.partition(":")
    value = getattr(importlib.import_module(module), function)(*arguments)
    report.with_suffix(".part").write_bytes(pickle.dumps(value))
    report.with_suffix(".part").rename(report)
    time.sleep(HANG)  # others may still read what this one has sent; the test ends it


class Job:
    """Workers that know each other by ``TF_CONFIG``; all are dead when the block ends."""

    def __init__(self, program, size, *arguments, environment=None, chief=False):
        self.program, self.size, self.arguments = program, size, arguments
        self.deadline = time.monotonic() + HANG
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
            worker.end()
        self.folder.cleanup()


def values(program, size, *arguments, **options):
    """Run a program in every worker of a job and return what each gives."""
    with Job(program, size, *arguments, **options) as job:
        return job.values()
