"""Real workers on loopback, for benchmarks: started together, given a time limit, and ended by the process that started them."""

import json
import os
import socket
import subprocess
import sys
import tempfile


def addresses(n):
    """Return addresses on loopback that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    found = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return found


def tell(found):
    """Tell, in a worker, what it found; once."""
    print("FOUND", json.dumps(found), flush=True)


def run(program, size, *arguments, limit=200):
    """Run a program as ``size`` workers of one TF_CONFIG, and return what each of them told, in the order of their ranks."""
    peers = addresses(size)
    processes, errors = [], [tempfile.TemporaryFile("w+") for _ in range(size)]  # noqa: SIM115  # closed below
    try:
        for rank in range(size):
            config = json.dumps({"cluster": {"worker": peers}, "task": {"type": "worker", "index": rank}})
            command = [sys.executable, program, *map(str, arguments)]
            environment = {**os.environ, "TF_CONFIG": config}
            processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors[rank], text=True))
        outputs = [process.communicate(timeout=limit)[0] for process in processes]
        told = [line.removeprefix("FOUND ") for out in outputs for line in out.splitlines() if line.startswith("FOUND ")]
        if len(told) < size:
            errors[0].seek(0)
            sys.exit(f"A worker of {program} failed. The first one's last words:\n{errors[0].read()[-2000:]}")
        return [json.loads(line) for line in told]
    finally:
        for process in processes:
            process.kill()
        for file in errors:
            file.close()
