"""The programs that a user sees run, and say what they should."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mergeable import states
from mergeable.laws import LAWS
from tests.effort import HANG

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(program, *arguments):
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FORCE_COLOR")}
    environment = kept | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}  # tables come out alike everywhere
    command = [sys.executable, program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=HANG, check=False)


def check_digits(out):
    cells = [[cell.strip() for cell in line.split("│")] for line in out.splitlines() if line.startswith("│")]
    rows = {row[1]: row[2:6] for row in cells}
    assert rows.keys() == {
        "batch_jaccard",
        "jaccard",
        "auroc",
        "report_f1",
        "report_precision",
        "report_recall",
        "hard",
        "hard ids",
    }
    assert {name for name, row in rows.items() if row[3] != "yes"} == {"batch_jaccard"}
    assert len(set(rows["batch_jaccard"][:3])) == 3
    assert len(set(rows["auroc"][:3])) == 1
    assert "450 rows, 4 origins, replicas 0, 1, 2 and 3" in " ".join(out.split())


def check_own_metric(out):
    keras, whole = [line.split(":")[1].strip() for line in out.splitlines()[-2:]]
    assert keras == whole
    assert 0.9 < float(keras) < 1


def check_merge_shards(out):
    several, one = out.splitlines()
    assert several.split("}")[0].split("{")[1] == one.split("}")[0].split("{")[1]
    assert "442 rows, 4 origins" in several


def check_merge_snapshots(out):
    several, one = out.splitlines()
    assert several.split("}")[0].split("{")[1] == one.split("}")[0].split("{")[1]
    assert "1797 rows, 8 origins" in several
    assert 0.8 < float(one.split("'accuracy': ")[1].split(",")[0]) < 1
    assert sorted(several.split("shards ")[1]) == sorted(str([*range(8)]))


def check_own_state(out):
    laws, several = out.splitlines()
    assert {"idempotence", "model"} == set(LAWS) - set(laws.split(": ")[1].split(", "))
    assert 5 == len(several.split("[")[1].split("]")[0].split(","))
    assert "442 rows, 4 origins" in several


def check_multi_worker(out):
    workers = sorted(out.splitlines())
    assert [f"worker {i}" for i in range(3)] == [line.split(":")[0] for line in workers]
    assert all("1797 rows, 3 origins, replica 0 of workers 0, 1 and 2" in line for line in workers)
    assert 1 == len({line.split(": ", 1)[1] for line in workers})
    assert 0.8 < float(workers[0].split()[-1]) < 1
    assert workers[0].split()[-1] in workers[0].split("one pass")[0]


def check_parameter_server(out):
    *steps, alone = out.splitlines()
    assert ["training", "evaluation"] * 2 == [line.split(":")[0] for line in steps]
    assert all("(18 updates, 569 rows, " in line for line in steps)
    assert alone.split()[-1] == steps[-1].split("= ")[1].split(" (")[0]
    assert 0.9 < float(alone.split()[-1]) < 1


def check_custom_loop(out):
    *epochs, one, two = out.splitlines()
    assert [f"epoch {i}" for i in range(3)] == [line.split(":")[0] for line in epochs]
    assert all("569 rows, 2 origins, replicas 0 and 1" in line for line in [*epochs, two])
    assert one.split("= ")[1].split()[0] == two.split("= ")[1].split()[0]


def check_resume(out):
    killed, resumed, whole = out.split("worker(s):")[1:]
    assert "ended by signal 9" in killed
    assert 2 == resumed.count("30 updates, 1797 rows, 5 origins, replica 0 of workers 0, 1 and 2")
    assert "12 updates, 1797 rows, replica 0" in whole
    assert {whole.split()[0]} == {line.split()[0] for line in resumed.splitlines()[1:3]}


def check_slices(out):
    *digits, same = out.splitlines()
    values = [[float(word.strip(",")) for word in line.split() if "." in word] for line in digits]
    assert 10 == len(digits)
    assert all(low <= value <= high for value, low, high in values)
    assert same.endswith(": True")


CHECKS = {name.removeprefix("check_"): check for name, check in dict(globals()).items() if name.startswith("check_")}


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(program):
    """Every example ends well and prints the lines that answer its question."""
    done = run(program)
    assert done.returncode == 0, done.stderr
    CHECKS[program.stem](done.stdout)


def test_every_check_has_an_example():
    """No example went missing while its check stayed."""
    assert {path.stem for path in EXAMPLES} == set(CHECKS)


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_asks_a_question(program):
    """An example opens with the question it answers and has at most 60 lines; the demo has more to show."""
    lines = program.read_text().splitlines()
    assert lines[0].startswith('"""')
    assert lines[0].endswith("?")
    assert len(lines) <= (180 if program.stem == "digits" else 60)


def test_sketches_are_within_their_bounds():
    """The benchmark of accuracy runs, and no error is far beyond a bound."""
    done = run(ROOT / "benchmarks" / "accuracy.py", "--quick")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[2:-1] for line in done.stdout.splitlines() if line.startswith("|") and "shard" not in line]
    numbers = [float(cell.split()[i]) for row in rows if len(row) == 7 and "." in row[0] for cell in row for i in (0, 1)]
    assert 8 * 7 * 2 == len(numbers)
    assert max(numbers) < 2


def test_benchmark_has_a_row_for_every_state():
    """A state that is exported is also measured."""
    done = run(ROOT / "benchmarks" / "updates.py", "--quick")
    assert done.returncode == 0, done.stderr
    names = {line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")}
    assert set(states.__all__) <= names


def test_without_peers_the_benchmark_says_what_to_install():
    """Where torch is missing, the benchmark beside its metrics ends with one sentence."""
    program = ROOT / "benchmarks" / "peers.py"
    code = (
        f"import runpy, sys; sys.modules['torch'] = None; sys.path.insert(0, {str(program.parent)!r}); "
        f"runpy.run_path({str(program)!r}, run_name='__main__')"
    )
    done = run("-c", code)
    assert 1 == done.returncode
    assert "This benchmark needs torch, which is not installed: pip install 'mergeable[peers]'" == done.stderr.strip()
