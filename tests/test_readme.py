"""The README is true: its code runs, its commands exist, its figures are those of the docstrings."""

import os
import pathlib
import re
import subprocess
import sys

import mergeable as mg
from tests.effort import HANG

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_code_blocks_run(tmp_path):
    """All code blocks run, one after another, as a reader would type them."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = tmp_path / "tour.py"
    script.write_text("\n\n".join(blocks) + "\nprint('the end of the tour')\n")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=HANG, check=False)

    assert 0 == run.returncode, run.stderr[-3000:]
    assert "the end of the tour" in run.stdout
    assert "parameters differ: edges is (0.0, 1.0, 2.0) here and (0.0, 1.0, 3.0) there" in run.stdout
    assert len(blocks) >= 7


def test_commands_exist():
    """The two commands are targets of the Makefile, and CI runs the second."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert {"demo", "test", "lint", "bench"} <= set(targets)
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make demo" in README
    assert "make test" in README


def test_every_state_is_in_the_table():
    """The table of states names every state."""
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    named = {name.removeprefix("mg.").partition("(")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}

    states = {name for name in mg.__all__ if isinstance(getattr(mg, name), type) and issubclass(getattr(mg, name), mg.State)}
    assert (states - {"State"}) | {"state"} == named


def test_paths_named_in_the_documents_exist():
    """Files that the README and CONTRIBUTING name are there."""
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:examples|tests|mergeable|strategies|benchmarks)/[\w./]*)`", text))

    assert paths
    assert [] == [path for path in paths if not (ROOT / path).exists()]


def test_shell_commands_run(tmp_path):
    """The commands of the shell block run, in its order."""
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "states.py").write_text("from tests.register import Longest\n")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (block,) = [text for language, text in blocks if not language and text.startswith("mergeable ")]
    lines = [line.partition("#")[0].split() for line in block.splitlines()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in lines:
        batches = ["--batches", "tests.register:TEXT_LISTS"] if line[1] == "check" else []
        command = [sys.executable, "-m", *line, *batches]
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANG, check=False)
        assert 0 == run.returncode, (line, run.stderr)

    assert ["demo", "merge", "show", "verify", "inspect", "plot", "check"] == [line[1] for line in lines]
    assert {"all.mg", "roc.png", "trial"} <= {path.name for path in tmp_path.iterdir()}
