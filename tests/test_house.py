"""The house itself: the arrows between rooms, the light import, the public names, and one name for each shelf."""

import ast
import functools
import importlib
import importlib.util
import inspect
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

import mergeable as mg
from tests.effort import HANG

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "mergeable"

# The rooms from the lowest to the highest: one may import from those before it, and from its own.
ROOMS = [
    "version",
    "errors",
    "wording",
    "registry",
    "moved",
    "strategy",
    "state",
    "encoding",
    "coverage",
    "part",
    "holder",
    "numeric",
    "states",
    "plot",
    "snapshot",
    "metric",
    "metrics",
    "laws",
    "exchange",
    "strategies",
    "keras",
    "demo",
    "cli",
    "__main__",
    "__init__",
]

PUBLIC = [
    "ArgMax",
    "ArgMin",
    "Bootstrap",
    "BottomK",
    "Calibration",
    "CoMoments",
    "ConfusionMatrix",
    "Contribution",
    "Count",
    "CountMin",
    "Counter",
    "Covariance",
    "Coverage",
    "Deduplicated",
    "Dict",
    "DuplicateOrigin",
    "Estimate",
    "ExchangeTimeout",
    "First",
    "FrequentItems",
    "Histogram",
    "HyperLogLog",
    "IncompatibleStates",
    "Keyed",
    "Last",
    "LogLinearHistogram",
    "Max",
    "Mean",
    "MergeableError",
    "Metric",
    "MetricCollection",
    "Min",
    "Moments",
    "PyMetric",
    "RankQuantiles",
    "ReadOnlyState",
    "Rows",
    "ScoreHistogram",
    "Set",
    "Sliced",
    "Snapshot",
    "SnapshotError",
    "State",
    "Sum",
    "TopK",
    "Tuple",
    "UndeclaredState",
    "UnsupportedStrategy",
    "WeightedBottomK",
    "Windowed",
    "load",
    "merge",
    "register",
    "state",
]


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(source):
    """Return the rooms of this package that a source imports anywhere, also for types alone."""
    return {name.split(".")[1] for name in imported(source)}


def imported(source):
    """Return the dotted names of this package that a source imports anywhere: modules, and what it takes from them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("mergeable.")}


def upward(path_room, source):
    return {name for name in imported_rooms(source) if name in ROOMS and ROOMS.index(name) > ROOMS.index(path_room)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down(path):
    """No room imports from a higher floor, and every room has a floor."""
    assert set() == upward(room(path), path.read_text())


def test_the_arrow_test_can_fail():
    """An import of a metric in a state would be found, wherever it stands."""
    assert {"metric"} == upward("states", "def f():\n    from mergeable.metric.metric import Metric\n")
    assert {"keras"} == upward("metric", "import mergeable.keras.py_metric\n")
    assert {"keras"} == upward("metric", "from mergeable import keras\n")


def circle(arrows):
    """Return modules that import one another in a circle, or None."""
    done = set()

    def walk(name, trail):
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name not in done:
            for other in sorted(arrows.get(name, ())):
                found = walk(other, [*trail, name])
                if found:
                    return found
            done.add(name)
        return None

    return next(filter(None, (walk(name, []) for name in sorted(arrows))), None)


def test_no_module_imports_itself_in_a_circle():
    """No chain of imports leads back to its beginning, also where an import is late or only for types."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules()}
    arrows = {}
    for name, path in names.items():
        found = imported(path.read_text())
        arrows[name] = {known for full in found for known in (full, full.rpartition(".")[0]) if known in names}

    assert circle(arrows) is None


def test_the_circle_test_can_fail():
    """A circle is found wherever it begins."""
    assert ["b", "c", "b"] == circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    assert circle({"a": {"b", "c"}, "b": {"c"}}) is None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_frameworks_have_their_rooms(path):
    """Only the rooms with Keras and the strategies import TensorFlow, only the one that draws what it draws with."""
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    tops = {name.split(".")[0] for name in names}

    assert not tops & {"tensorflow", "keras", "tf_keras"} or room(path) in ("keras", "strategies")
    assert not tops & {"sklearn"} or room(path) in ("plot", "demo")
    assert not tops & {"rich", "click"} or room(path) in ("cli", "demo")


def test_keras_knows_no_strategy_by_name():
    """The rooms with Keras ask the shelf for the strategy in force, and import none of its files."""
    for path in (PACKAGE / "keras").glob("*.py"):
        assert "mergeable.strategies." not in path.read_text(), path


def loaded_by(code):
    """Return the names of the modules that a fresh process has loaded after the code."""
    code += "\nimport sys; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG, cwd=ROOT)
    return set(run.stdout.split())


def heavy(modules):
    return {name.split(".")[0] for name in modules} & {
        "tensorflow",
        "keras",
        "tf_keras",
        "hypothesis",
        "sklearn",
        "matplotlib",
        "datasketches",
    }


@functools.cache
def starred():
    """Return the names that ``from mergeable import *`` brings, and the names of the modules that it loads."""
    code = """
    before = {*globals(), "before"}
    from mergeable import *
    names = sorted(globals().keys() - before)
    import sys
    print(*names, "|", *sorted(sys.modules))
    """
    names, modules = " ".join(names_in(textwrap.dedent(code))).split(" | ")
    return names.split(), {*modules.split()}


def test_import_is_light():
    """``import mergeable``, a metric and its merge load no framework."""
    code = """
    import mergeable as mg
    class M(mg.Metric):
        total = mg.Sum()
        def update_state(self, x):
            self.total += x
        def result(self):
            return self.total.result()
    a, b = M(), M()
    a.update_state([1.0]); b.update_state([2.0]); a.merge_state([b]); assert a.result() == 3.0
    """

    assert set() == heavy(loaded_by(textwrap.dedent(code)))


def test_the_import_test_can_fail():
    """A process that has ``PyMetric`` has loaded TensorFlow and Keras."""
    assert {"tensorflow", "keras"} <= heavy(starred()[1])


def test_without_tensorflow_the_error_is_one_sentence():
    """Where TensorFlow is missing, ``PyMetric`` says what to install, and all else works."""
    code = """
    import sys
    sys.modules["tensorflow"] = None
    import mergeable as mg
    mg.Sum().update([1.0])
    try:
        mg.PyMetric
    except ImportError as error:
        print("TEXT", error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=HANG, cwd=ROOT
    )

    assert "TEXT mergeable.PyMetric needs TensorFlow: pip install 'mergeable[tensorflow]'" == run.stdout.strip()


def test_without_hypothesis_the_error_is_one_sentence():
    """Where hypothesis is missing, the laws say what to install."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\ntry:\n    import mergeable.laws\nexcept ImportError as e:\n    print(e)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG, cwd=ROOT)

    assert "mergeable.laws needs hypothesis: pip install 'mergeable[laws]'" == run.stdout.strip()


def test_public_names():
    """The list of public names changes only on purpose."""
    assert sorted(PUBLIC) == sorted(mg.__all__)
    assert all(getattr(mg, name) is not None for name in PUBLIC)


def test_completion_shows_the_public_names():
    """``dir`` shows them, and nothing else."""
    assert sorted(PUBLIC) == dir(mg)


def names_in(code):
    """Return what a fresh process prints after the code."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG, cwd=ROOT)
    return run.stdout.split()


def test_all_names_can_be_imported_at_once():
    """``from mergeable import *`` brings every public name, ``PyMetric`` among them."""
    assert sorted(PUBLIC) == starred()[0]


def test_all_names_can_be_imported_at_once_without_tensorflow():
    """Where TensorFlow is missing, it brings every other name, and ``dir`` shows these."""
    code = """
    import sys
    sys.modules["tensorflow"] = None
    before = {*globals(), "before"}
    from mergeable import *
    found = globals().keys() - before
    import mergeable
    assert sorted(found) == dir(mergeable)
    print(*sorted(found))
    """

    assert sorted({*PUBLIC} - {"PyMetric"}) == names_in(textwrap.dedent(code))


def test_the_door_is_a_synopsis():
    """The first page of the code is about twenty lines, and names rooms that exist."""
    page = mg.__doc__

    assert 15 <= len(page.splitlines()) <= 25
    rooms = re.findall(r"``mergeable\.(\w+)``", page)
    assert {"states", "metrics", "keras", "strategies", "laws", "plot"} == set(rooms)
    assert all((PACKAGE / name).exists() for name in rooms)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name):
    """Every public name has a docstring of its own."""
    assert len(inspect.getdoc(getattr(mg, name)) or "") > 30


def test_unknown_names_are_refused():
    """A name that does not exist is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="module 'mergeable' has no attribute 'Medain'"):
        mg.Medain


def test_strategies_have_one_import_name():
    """The shelf's files are one module each: imported under any other name, they refuse."""
    shelf = importlib.import_module("mergeable.strategies")

    assert (
        (PACKAGE / "strategies").resolve() == (ROOT / "strategies").resolve() == pathlib.Path(shelf.__file__).parent.resolve()
    )

    spec = importlib.util.spec_from_file_location("strategies", ROOT / "strategies" / "__init__.py")
    with pytest.raises(ImportError, match=r"import mergeable.strategies, not strategies"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_errors_show_values_through_one_door(path):
    """No text has the whole ``repr`` of a value, which may be megabytes: ``wording.shown`` cuts it."""
    nodes = ast.walk(ast.parse(path.read_text()))
    whole = [node.lineno for node in nodes if isinstance(node, ast.FormattedValue) and node.conversion in (ord("r"), ord("a"))]

    assert [] == whole or path.name in ("wording.py", "__init__.py")


def test_modules_are_small():
    """No module outgrows one idea."""
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in modules()}

    assert {} == {name: n for name, n in lengths.items() if n > 520}
    assert len((PACKAGE / "__init__.py").read_text().splitlines()) <= 140


def test_wheel_holds_both_shelves(tmp_path):
    """The built wheel holds the strategies as files, the types' mark and the licence."""
    import zipfile

    code = (
        "import sys; from hatchling.builders.wheel import WheelBuilder; "
        "print(*WheelBuilder(sys.argv[1]).build(directory=sys.argv[2], versions=['standard']))"
    )
    subprocess.run([sys.executable, "-c", code, ROOT, tmp_path], check=True, timeout=HANG, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {"mergeable/strategies/__init__.py", "mergeable/strategies/local.py", "mergeable/py.typed"} <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert not any(name.startswith(("tests", "strategies/")) for name in names)


def test_the_source_archive_holds_what_its_tests_read(tmp_path):
    """Everything at the top of the repository is in it, conftest.py too, but for what no test reads."""
    import tarfile

    code = (
        "import sys; from hatchling.builders.sdist import SdistBuilder; "
        "print(*SdistBuilder(sys.argv[1]).build(directory=sys.argv[2], versions=['standard']))"
    )
    subprocess.run([sys.executable, "-c", code, ROOT, tmp_path], check=True, timeout=HANG, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as held:
        names = {name.partition("/")[2] for name in held.getnames()}

    assert {
        "conftest.py",
        "tests/register.py",
        "tests/keras/conftest.py",
        "benchmarks/accuracy.py",
        ".ci/run",
        "Makefile",
    } <= names
    assert {"pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= names
    assert {path.name for path in (ROOT / "tests" / "golden").rglob("*.mg")} <= {name.rpartition("/")[2] for name in names}


def test_a_checkout_without_links_does_not_build(tmp_path):
    """Where the link is a text file, the build fails rather than leave a shelf out."""
    import shutil

    copy = tmp_path / "checkout"
    shutil.copytree(
        ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", ".hypothesis")
    )
    (copy / "mergeable" / "strategies").unlink()
    (copy / "mergeable" / "strategies").write_text("../strategies")
    code = "import sys; from hatchling.builders.wheel import WheelBuilder; list(WheelBuilder(sys.argv[1]).build(directory=sys.argv[2]))"
    run = subprocess.run(
        [sys.executable, "-c", code, copy, tmp_path / "out"], capture_output=True, text=True, timeout=HANG, check=False
    )

    assert run.returncode != 0
    assert "strategies/__init__.py" in run.stderr
