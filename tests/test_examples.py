"""The programs that a user sees run, and say what they should."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mergeable import states

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(program, *arguments):
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FORCE_COLOR")}
    environment = kept | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}  # tables come out alike everywhere
    command = [sys.executable, program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=240, check=False)


def check_digits(out):
    cells = [[cell.strip() for cell in line.split("│")] for line in out.splitlines() if line.startswith("│")]
    rows = {row[1]: row[2:6] for row in cells}
    assert rows.keys() == {"batch_jaccard", "jaccard", "auroc", "f1", "precision", "recall", "hard", "hard ids"}
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


CHECKS = {"digits": check_digits, "own_metric": check_own_metric, "merge_shards": check_merge_shards}


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


def test_benchmark_has_a_row_for_every_state():
    """A state that is exported is also measured."""
    done = run(ROOT / "benchmarks" / "updates.py", "--quick")
    assert done.returncode == 0, done.stderr
    names = {line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")}
    assert set(states.__all__) <= names
