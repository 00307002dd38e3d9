"""A save that is killed at any point leaves the old file or the new one, whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mergeable as mg
from tests.effort import HANG, tries
from tests.snapshot.test_snapshot import spread

ROOT = Path(__file__).parents[2]
KILLS = tries(4, 60)  # the next test kills at every line
SAVER = """
import itertools, sys
sys.path.insert(0, sys.argv[1])
import mergeable as mg

class Wide(mg.Metric):
    cells = mg.Count(shape=(30_000,))
    last = mg.Max()
    def update_state(self, n):
        self.cells.update([n] * 30_000)
        self.last += n
    def result(self):
        return self.last.result()

metric = Wide()
for n in itertools.count(int(sys.argv[3])):
    metric.reset_state()
    metric.update_state(n)
    metric.snapshot({"n": n}).save(sys.argv[2])
"""


def test_killed_while_it_saves(tmp_path):
    """A process that saves all the time is killed many times, at many moments: the file is whole before, at and after each."""
    path = tmp_path / "state.mg"

    def saved():
        back = mg.load(path)
        n = back.metadata[0]["n"]
        assert {n} == set(back.states["cells"].result().tolist())
        assert float(n) == back.states["last"].result()
        return n

    for i in range(KILLS):
        first = 1_000_000 * i
        process = subprocess.Popen([sys.executable, "-c", SAVER, str(ROOT), str(path), str(first)])
        deadline = time.monotonic() + HANG
        while not path.exists() or saved() < first:  # it has not saved yet
            assert time.monotonic() < deadline
        time.sleep(0.0037 * i % 0.05)
        process.kill()
        assert -signal.SIGKILL == process.wait(timeout=HANG)
        assert first <= saved() < first + 1_000_000


STEPS = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import mergeable as mg
from mergeable.snapshot import disk
from tests.snapshot.test_snapshot import spread

path = sys.argv[2]
spread().snapshot({"n": 0}).save(path)
watched = {getattr(part, "__wrapped__", part).__code__ for part in (disk.write, disk._replace, disk._unfinished, disk._locked)}
for step in range(200):  # the child is killed at the next line that it would run in a save
    child = os.fork()
    if not child:
        newer = spread(([9.0], ["z"])).snapshot({"n": step + 1})
        left = step

        def at_each_line(frame, event, arg):
            global left
            if frame.f_code not in watched:
                return None
            if event == "line":
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
            return at_each_line

        sys.settrace(at_each_line)
        newer.save(path)
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(step, "ended" if os.WIFEXITED(status) else "killed", mg.load(path).metadata[0]["n"], flush=True)
    if os.WIFEXITED(status):
        break
"""


def test_killed_at_each_line_of_a_save(tmp_path):
    """Killed before each of its lines, a save leaves the file of before until it is the new one, and both are whole."""
    command = [sys.executable, "-c", STEPS, str(ROOT), str(tmp_path / "state.mg")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG)
    lines = [line.split() for line in run.stdout.splitlines()]
    is_new = [int(n) == int(step) + 1 for step, _, n in lines]

    assert ["killed"] * (len(lines) - 1) + ["ended"] == [how for _, how, _ in lines]
    assert 10 < len(lines) < 100
    assert sorted(is_new) == is_new  # first the old file, and from one line on the new one
    assert {True, False} == set(is_new)
    assert 1 == len({n for (_, _, n), new in zip(lines, is_new, strict=True) if not new})
    assert ["state.mg"] == [path.name for path in tmp_path.iterdir()]  # the last one has removed what the killed ones left


@pytest.mark.parametrize("step", ["write", "flush", "fsync", "replace"])
def test_stopped_at_each_step(tmp_path, monkeypatch, step):
    """An error at any step of a save leaves the old file, and nothing beside it."""
    spread().snapshot().save(tmp_path / "a.mg")
    before = (tmp_path / "a.mg").read_bytes()
    newer = spread(([9.0], ["z"])).snapshot()

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        opened = Path.open

        class File:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *error):
                self.file.close()

            def __getattr__(self, name):
                return fail if name == step else getattr(self.file, name)

        def hindered(path, mode="r", **options):
            file = opened(path, mode, **options)
            return File(file) if mode == "xb" else file

        monkeypatch.setattr(Path, "open", hindered)
    with pytest.raises(OSError, match="No space left"):
        newer.save(tmp_path / "a.mg")

    assert before == (tmp_path / "a.mg").read_bytes()
    assert ["a.mg"] == [path.name for path in tmp_path.iterdir()]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    """Saving into a folder that does not exist says which."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        spread().snapshot().save(tmp_path / "nowhere" / "a.mg")


def test_others_may_read_it(tmp_path):
    """The file has the permissions of any new file of this user."""
    spread().snapshot().save(tmp_path / "a.mg")
    (tmp_path / "plain").write_bytes(b"")

    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "a.mg").stat().st_mode
