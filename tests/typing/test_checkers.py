"""Type checkers in users' code: the right passes, the misspelt does not, and each error names its line."""

import json
import os
import pathlib
import re
import subprocess
import sys

from tests.effort import HANG

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "typing"
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))

MYPY = f"""
[mypy]
strict = true
follow_imports = silent
ignore_missing_imports = true

[mypy-{",".join(["readme", *(path.stem for path in PROGRAMS)])}]
disallow_untyped_defs = false
disallow_incomplete_defs = false
disallow_untyped_calls = false
"""

PYRIGHT = {
    "typeCheckingMode": "standard",
    "extraPaths": [str(ROOT)],
    "stubPath": "stubs",
    "reportUninitializedInstanceVariable": True,  # or ``self.totl += 1`` declares an attribute, to pyright
    "useLibraryCodeForTypes": False,  # TensorFlow, Keras and scikit-learn have no types, and much code
    "reportMissingImports": False,
    "reportMissingModuleSource": False,
}


def code_of(document):
    """Return the code blocks of a document as a module in which every line has the number that it has there."""
    lines, inside = [], False
    for line in document.read_text().splitlines():
        inside = inside and line != "```"
        lines.append(line if inside else "")
        inside = inside or line == "```python"
    return "\n".join(lines) + "\n"


def users_code(folder):
    """Fill a folder as a user's: the samples, the examples, and the README's code."""
    for source in [SAMPLES / "good.py", SAMPLES / "bad.py", *PROGRAMS]:
        (folder / source.name).write_text(source.read_text())
    (folder / "readme.py").write_text(code_of(ROOT / "README.md"))


def expected(checker):
    """Return the lines on which the sample of mistakes says that this checker finds one."""
    lines = (SAMPLES / "bad.py").read_text().splitlines()
    found = [n for n, line in enumerate(lines, 1) if checker in re.findall(r"\w+", line.partition("# error: ")[2])]
    assert len(found) > 10
    return {("bad.py", n) for n in found}


def run(folder, *command):
    """Run a checker in a folder that does not hold the package, as users have theirs."""
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False, cwd=folder, env=environment)


def test_mypy(tmp_path):
    """mypy, in its strict mode, finds the mistakes and nothing else; examples and the README go without annotations."""
    users_code(tmp_path)
    (tmp_path / "mypy.ini").write_text(MYPY)

    files = sorted(path.name for path in tmp_path.glob("*.py"))
    done = run(tmp_path, "mypy", "--config-file=mypy.ini", "--cache-dir=cache", "--no-pretty", "--no-color-output", *files)
    errors = re.findall(r"^([\w.]+):(\d+): error: ", done.stdout, re.MULTILINE)

    assert expected("mypy") == {(name, int(line)) for name, line in errors}, done.stdout + done.stderr


def test_pyright(tmp_path):
    """Pyright finds the mistakes and nothing else."""
    users_code(tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(PYRIGHT))
    stub = tmp_path / "stubs" / "tensorflow" / "__init__.pyi"  # in the place of pyright's own, which has gaps
    stub.parent.mkdir(parents=True)
    stub.write_text("def __getattr__(name: str): ...\n")

    done = run(tmp_path, "pyright", "--outputjson", "--project", str(tmp_path), "--pythonpath", sys.executable)
    found = [each for each in json.loads(done.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    errors = {(pathlib.Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found}

    assert expected("pyright") == errors, "\n".join(f"{each['file']}: {each['message']}" for each in found)


def test_the_readme_keeps_its_line_numbers(tmp_path):
    """A checker names a line of the README by its own number."""
    page = tmp_path / "page.md"
    page.write_text("text\n```python\nimport a\n```\ntext\n```\nno code\n```\n")

    assert "\n\nimport a\n\n\n\n\n\n" == code_of(page)
