"""A worker that does not come is named on every other one, in time, and nothing is harmed."""

import json
import re
import socket
import subprocess
import sys
import time

import pytest

from mergeable.strategies.multi_worker.arrival import answers
from mergeable.strategies.multi_worker.workers import INLINE_BYTES, _listening
from tests.effort import HANG
from tests.strategies.processes import ROOT, Job, free_ports, values

ALL = {"total": 6.0, "givers": 3.0}
LATE = "came too late: the others had waited at most 3 s and given up"


def heard(shown):
    """Return the kind and the text of an error that a program has shown."""
    kind, text = shown
    return kind, re.sub(r" \(127\.0\.0\.1:\d+\)", "", text)


@pytest.fixture(scope="module")
def absences():
    return values("tests.strategies.programs:absences", 3)


def test_all_come(absences):
    """When all come, all have the result of all."""
    assert [{"total": 3.0, "givers": 3.0}] * 3 == [seen["all"] for seen in absences]


def test_a_result_on_one_worker_only(absences):
    """A worker that asks alone hears who did not come, in time; the next exchange works."""
    kind, text = heard(absences[0]["one only"])

    assert "ExchangeTimeout" == kind
    assert "expected all workers, and missed worker 1, worker 2. Nothing was merged and the states are as before." in text
    assert [ALL] * 3 == [seen["after one only"] for seen in absences]


def test_a_worker_that_is_late(absences):
    """The others hear who is missing, and the one that is late that they gave up; then all meet again."""
    shown = [heard(seen["one late"]) for seen in absences]

    assert ["ExchangeTimeout"] * 3 == [kind for kind, _ in shown]
    assert all("missed worker 2." in text for _, text in shown[:2])
    assert f"worker 2 of 3 {LATE}" in shown[2][1]
    assert [ALL] * 3 == [seen["after one late"] for seen in absences]


def test_the_first_worker_is_late(absences):
    """The same when it is the first worker, for which all others wait."""
    shown = [heard(seen["the first late"]) for seen in absences]

    assert ["ExchangeTimeout"] * 3 == [kind for kind, _ in shown]
    assert f"worker 0 of 3 {LATE}" in shown[0][1]
    assert all("missed worker 0." in text for _, text in shown[1:])
    assert [ALL] * 3 == [seen["after the first late"] for seen in absences]


@pytest.mark.parametrize(
    ("how", "victim", "word"),
    [
        ("kill", 2, "missed"),
        ("kill", 0, "missed"),
        ("kill in a swap", 2, "lost"),
        ("raise", 1, "missed"),
        ("stop", 1, "missed"),
    ],
)
def test_a_worker_that_is_lost(how, victim, word):
    """A worker that was killed, also while bytes travel, that raised, or that is stopped, is named on every survivor."""
    with Job("tests.strategies.programs:deaths", 3, victim, how) as job:
        seen = [job.workers[rank].value(job.deadline) for rank in range(3) if rank != victim]

    for first, *lost in seen:
        assert {"total": 3.0, "givers": 3.0} == first
        for i, shown in enumerate(lost):
            kind, text = heard(shown)
            assert "ExchangeTimeout" == kind
            assert f"{word if i == 0 else 'missed'} worker {victim}" in text
            assert "The states are as before." in text or "the states are as before." in text


def test_peers_that_nobody_can_reach():
    """``connect`` names the peers that do not answer, where TensorFlow would go on waiting."""
    ports = free_ports(3)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}})
    code = """
import mergeable
from mergeable.strategies import multi_worker
try:
    multi_worker.connect(timeout_seconds=1)
except mergeable.ExchangeTimeout as error:
    print(error)
"""
    with socket.create_server(("127.0.0.1", ports[0])):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={"TF_CONFIG": config, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANG,
            check=True,
        )

    assert (
        f"multi_worker.connect: worker 1 (127.0.0.1:{ports[1]}) waited 1 s, expected all peers of TF_CONFIG, and could not reach "
        f"worker 2 (127.0.0.1:{ports[2]}). Start them, or correct their addresses."
    ) == run.stdout.strip()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_connect_listens_where_it_is_named(host):
    """While ``connect`` waits for peers, this process listens at the address that TF_CONFIG names, and at no other."""
    (port,) = free_ports(1)
    try:
        with _listening(f"{host}:{port}") as sockets:
            places = {listening.getsockname()[0] for listening in sockets}
            assert answers(f"{host}:{port}")
            assert answers(f"127.0.0.2:{port}") is False
    except OSError:
        pytest.skip("this machine has no such address")

    assert places <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-name.invalid"])
def test_connect_listens_everywhere_where_the_name_is_not_its_own(host):
    """Where peers reach this process by an address that it does not have, it listens at all that it has."""
    (port,) = free_ports(1)
    with _listening(f"{host}:{port}"):
        assert answers(f"127.0.0.1:{port}")


@pytest.fixture(scope="module")
def connected():
    return values("tests.strategies.programs:connected", 3, chief=True)


def test_a_chief_and_workers_connect(connected):
    """Where all peers come, one of them later, ``connect`` gives the strategy; a chief is the first worker of an exchange."""
    order = "[(0, 'chief'), (1, 'worker'), (2, 'worker')]"

    assert [(rank, order) for rank in range(3)] == [seen[:2] for seen in connected]


def test_bytes_on_the_wire(connected):
    """A few bytes need one small collective a swap; a megabyte comes in its length, and not once for every worker."""
    small, wide = zip(*(reports for *_, reports in connected), strict=True)
    swaps, states_received = [3, 2, 1], [2, 1, 1]  # the first two merge, then the first and the last, and the second hears

    assert [(("order",), n * INLINE_BYTES, n * INLINE_BYTES) for n in swaps] == list(small)
    for (_, _, received), n, states in zip(wide, swaps, states_received, strict=True):
        assert 0 <= received - states * 2**20 < n * INLINE_BYTES + 2000  # names, origins and a few words


def test_without_the_store(monkeypatch):
    """Where TensorFlow has no key-value store, workers do not wait for each other before they swap."""
    from mergeable.strategies.multi_worker import arrival

    monkeypatch.delattr(arrival.context.Context, "get_config_key_value")
    began = time.monotonic()
    arrival.Arrival(0, ["a:1", "b:2"]).meet("a test")

    assert time.monotonic() - began < arrival.Arrival.timeout
