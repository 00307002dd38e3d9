"""The demo is true: one process and eight say the same, what it refuses is refused, and what it says to try works."""

import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mergeable as mg
from mergeable import demo
from mergeable.cli import group
from tests.effort import HANG


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the demo wrote, and the folder above its files."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "mergeable", "demo", "--folder", "trial"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True, cwd=folder)
    assert "" == done.stderr
    return done.stdout, folder


def test_the_demo_is_pretty_and_true(shown):
    """Eight processes wrote eight shards; merged they are one process to the bit, which the mean of them is not."""
    text, _ = shown
    lines = text.splitlines()
    rows = {line[:18].strip(): line[18:].split() for line in lines[4:15]}
    shards = [rows[f"shards/{i}.mg"] for i in range(8)]

    assert len(lines) <= 35
    assert 8 == len({process for process, *_ in shards})
    assert "285" == rows["all.mg, merged"][0] == rows["one process"][1] == str(sum(int(n) for _, n, *_ in shards))
    assert rows["all.mg, merged"][1:] == rows["one process"][2:]
    assert not set(rows["all.mg, merged"][1:]) & set(rows["the mean of them"])
    assert "the states of all.mg and of one process: the same bits" in lines
    assert "a shard given twice: refused" in lines
    assert "came twice, in shards/3.mg and in shards/3.mg" in text
    assert "a shard with one bit flipped: refused" in lines
    assert "  damaged.mg: " in text
    assert "NOT" not in text


def test_the_values_are_those_of_scikit_learn(shown):
    """AUROC, accuracy and log loss of the merged file are scikit-learn's on all rows at once."""
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    merged = mg.load(shown[1] / "trial" / "all.mg")
    rows = merged.states["rows"].result()
    label, probability = rows["benign"], rows["probability"]
    result = merged.result(demo.Diagnosis)

    assert 0.9 < result["auroc"] < 1
    assert roc_auc_score(label, probability) == pytest.approx(result["auroc"], rel=1e-14)
    assert accuracy_score(label, probability >= 0.5) == pytest.approx(result["accuracy"], rel=1e-14)
    assert log_loss(label, probability) == pytest.approx(result["log loss"], rel=1e-12)


def test_what_it_says_to_try_works(shown, monkeypatch):
    """Each command that the demo ends with runs on its files, and the merged file is the demo's, to the byte."""
    text, folder = shown
    monkeypatch.chdir(folder)
    before = Path("trial/all.mg").read_bytes()
    commands = [line.strip() for line in text.partition("Try next:")[2].splitlines() if line.strip()]
    outputs = {}
    for command in commands:
        arguments = shlex.split(command)[1:]
        if arguments[0] == "check":
            arguments += ["--examples", "2"]
        done = CliRunner().invoke(group.mergeable, arguments)
        outputs[arguments[0]] = done.output
        assert (1 if "damaged" in command else 0) == done.exit_code, done.output
    assert demo.commands("trial") == commands
    assert ["merge", "show", "inspect", "verify", "plot", "check"] == list(outputs)
    assert before == Path("trial/all.mg").read_bytes()
    assert "auroc     0.99" in outputs["show"]
    assert b"\x89PNG" == Path("trial/roc.png").read_bytes()[:4]


def test_without_a_folder_nothing_is_left(tmp_path, monkeypatch):
    """Without --folder the files are gone, and what to try begins with a demo that keeps them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run", lambda folder, *_: bool((folder / "x").write_text("x")))
    done = CliRunner().invoke(group.mergeable, ["demo"])

    assert 0 == done.exit_code
    assert "Try next:\n  mergeable demo --folder trial\n  mergeable merge trial/shards -o trial/all.mg\n" in done.output
    assert [] == list(tmp_path.iterdir())


def test_a_demo_that_were_not_so_fails(tmp_path, monkeypatch):
    """Where anything is not as it should be, the demo says so and exits with 1."""
    monkeypatch.setattr(demo, "run", lambda *_: False)
    done = CliRunner().invoke(group.mergeable, ["demo", "--folder", str(tmp_path)])

    assert 1 == done.exit_code
    assert "mergeable: demo: something above is not as it should be." in done.output


def test_without_scikit_learn_the_demo_is_one_sentence():
    """Where scikit-learn is missing, the demo says what to install."""
    code = "import sys; sys.modules['sklearn'] = None; sys.argv = ['mergeable', 'demo']; from mergeable.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=False)

    assert (1, "mergeable: demo needs scikit-learn: pip install 'mergeable[plot]'\n") == (done.returncode, done.stderr)


def test_showing_the_demo_needs_no_scikit_learn(shown):
    """The metric of the demo is found by ``-m mergeable.demo``, and loads neither scikit-learn nor TensorFlow."""
    code = (
        "import sys; sys.argv = ['mergeable', 'show', 'trial/all.mg', '-m', 'mergeable.demo']\n"
        "from mergeable.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=True, cwd=shown[1])

    assert "accuracy  0.97" in done.stdout
    assert not {"sklearn", "tensorflow", "matplotlib"} & set(done.stdout.splitlines()[-1].split())


def test_an_interrupt_ends_the_demo(tmp_path):
    """Ctrl-C while processes evaluate gives 130 and one word."""
    command = [sys.executable, "-m", "mergeable", "demo", "--folder", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        while not (tmp_path / "shards" / "0.mg").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=HANG)

    assert (130, b"mergeable: interrupted\n") == (process.returncode, err)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 1], [0.1, 0.9], 1.0),
        ([0, 1], [0.9, 0.1], 0.0),
        ([0, 1, 1, 0], [0.5] * 4, 0.5),
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ([1, 1], [0.1, 0.2], math.nan),
        ([], [], math.nan),
    ],
)
def test_auroc(labels, scores, expected):
    """The area is the share of pairs in order; equal scores count half, and without pairs it is NaN."""
    assert expected == pytest.approx(demo.auroc(np.array(labels), np.array(scores)), nan_ok=True)


def test_an_empty_shard_has_a_result():
    """A process without rows has NaN, and merges as nothing."""
    empty = demo.evaluate(([0.0] * 30, 0.0), np.zeros((0, 30)), np.zeros(0, np.int64))

    assert all(math.isnan(value) for value in empty.result().values())
