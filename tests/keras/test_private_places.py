"""Each private place of TensorFlow and Keras that the package uses: the list is complete, and tells when one is gone."""

import ast
import functools
import importlib
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import NamedTuple

import pytest
import tensorflow as tf

from tests.effort import HANG

ROOT = Path(__file__).parent.parent.parent
IS_LEGACY = not hasattr(tf.keras, "version")

CONTEXT = "tensorflow.python.eager.context"
COORDINATOR = "tensorflow.python.distribute.coordinator.cluster_coordinator"
MIRRORED = "tensorflow.python.distribute.mirrored_run"
WORKERS = "tensorflow.python.distribute.collective_all_reduce_strategy.CollectiveAllReduceExtended"
GRAPH = "tensorflow.python.framework.func_graph.FuncGraph"
TRAINER = "keras.src.backend.tensorflow.trainer"
KERAS_RESULTS = "keras.src.trainers"
LEGACY_MODEL = "tf_keras.src.engine.training.Model"
PYTHON = {"_getframe", "_current_frames", "_is_owned", "_fields", "_asdict"}
"""Of Python itself, and of named tuples."""


class Place(NamedTuple):
    """A private place: its dotted name, the variables of the function that are read, if any, and what is lost without it."""

    name: str
    lost: str
    variables: tuple[str, ...] = ()

    @property
    def is_missing(self):
        """Whether this TensorFlow or Keras has the place no more, or not all of its variables."""
        found = resolved(self.name)
        code = getattr(found, "__code__", None)
        return found is None or not {*self.variables} <= {*getattr(code, "co_varnames", ()), *getattr(code, "co_cellvars", ())}


PLACES = {
    "mergeable/keras/graph_errors.py": [
        Place(
            f"{CONTEXT}.Context.call_function",
            "TensorFlow's error comes in place of a metric's, and no step shows a late value",
        )
    ],
    "mergeable/keras/graph_call.py": [
        Place("tensorflow.python.ops.control_flow_util.GraphOrParentsInXlaContext", "steps for XLA are not refused"),
        Place("tensorflow.__internal__.eager_context.eager_mode", "nothing leaves a graph on the host"),
        Place(f"{GRAPH}.outer_graph", "metrics' code that a tf.function records is not refused"),
    ],
    "mergeable/keras/batch_queue.py": [
        Place("tensorflow.python.ops.resource_variable_ops.ResourceVariable", "no batch waits in a queue")
    ],
    "mergeable/keras/batch.py": [
        Place("tensorflow.__internal__.EagerTensor", "no batch is taken"),
        Place("tensorflow.__internal__.EagerTensor._shape_tuple", "no batch is taken"),
    ],
    "mergeable/keras/loop.py": [
        Place(f"{MIRRORED}._call_for_each_replica", "under replicas no step shows a late value", ("threads",)),
        Place(f"{MIRRORED}._MirroredReplicaThread.run", "under replicas no step shows a late value", ("self",)),
        Place(f"{COORDINATOR}.Worker", "under a coordinator no step shows a late value"),
        Place(f"{KERAS_RESULTS}.trainer.Trainer._get_metrics_result_or_logs", "no step shows a late value"),
        Place(f"{LEGACY_MODEL}._validate_and_get_metrics_result", "no step shows a late value"),
        Place(f"{TRAINER}.TensorFlowTrainer._make_function.one_step_on_data", "a step is not known as one"),
        Place(f"{LEGACY_MODEL}.make_train_function.step_function.run_step", "a step is not known as one"),
    ],
    "mergeable/keras/logs.py": [
        Place(f"{KERAS_RESULTS}.trainer.Trainer.get_metrics_result", "values of dicts have Keras's names", ("return_metrics",)),
        Place(f"{KERAS_RESULTS}.trainer.Trainer._get_metrics_result_or_logs", "a loop's end is not known", ("logs",)),
        Place(
            f"{KERAS_RESULTS}.compile_utils.CompileMetrics.result",
            "values of dicts have Keras's names",
            ("results", "mls", "name"),
        ),
        Place(f"{LEGACY_MODEL}.get_metrics_result", "values of dicts have Keras's names", ("return_metrics",)),
        Place(f"{LEGACY_MODEL}._validate_and_get_metrics_result", "a loop's end is not known", ("logs",)),
    ],
    "mergeable/keras/results.py": [
        Place(f"{LEGACY_MODEL}._validate_and_get_metrics_result", "tf_keras passes over a TypeError of result at a loop's end")
    ],
    "mergeable/keras/masks.py": [
        Place("keras.src.backend.common.masking.set_keras_mask._keras_mask", "masks of layers are not seen"),
        Place("tf_keras.src.engine.base_layer.Layer._set_mask_metadata._keras_mask", "masks of layers are not seen"),
    ],
    "mergeable/keras/hosted.py": [
        Place(
            "keras.src.callbacks.monitor_callback.MonitorCallback._set_monitor_op._direction",
            "callbacks do not know which way is better",
        )
    ],
    "mergeable/keras/py_metric.py": [
        Place(
            "tensorflow.python.trackable.base.no_automatic_dependency_tracking._self_setattr_tracking",
            "attributes that TensorFlow sets count as parameters",
        )
    ],
    "strategies/parameter_server.py": [
        Place(f"{COORDINATOR}.Closure.execute_on", "an update in a step that runs again counts again"),
        Place("tensorflow.python.ops.control_flow_v2_func_graphs.ControlFlowFuncGraph", "steps cannot be told apart"),
        Place(f"{GRAPH}.capture_call_time_value", "steps cannot be told apart"),
    ],
    "strategies/multi_worker/arrival.py": [
        Place(f"{CONTEXT}.Context.set_config_key_value", "the timeout of a collective ends the wait for a worker"),
        Place(f"{CONTEXT}.Context.get_config_key_value", "the timeout of a collective ends the wait for a worker"),
        Place(f"{CONTEXT}.Context.delete_config_key_value", "keys pile up"),
        Place(f"{CONTEXT}.Context.coordination_service", "the timeout of a collective ends the wait for a worker"),
    ],
    "strategies/multi_worker/keras_fit.py": [
        Place(f"{WORKERS}._in_multi_worker_mode", "enable_fit does not know whether there are several workers"),
        Place(f"{TRAINER}.TensorFlowTrainer._make_function", "enable_fit refuses this Keras"),
        Place(f"{TRAINER}.TensorFlowTrainer._maybe_symbolic_build", "enable_fit refuses this Keras"),
        Place(f"{TRAINER}.TFEpochIterator", "enable_fit refuses this Keras"),
        Place(f"{TRAINER}.reduce_per_replica", "enable_fit refuses this Keras"),
    ],
}


@functools.cache
def resolved(name):
    """Return what has a dotted name: a module, an attribute, a function inside of a function, or a name that its code uses."""
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        inner = getattr(found, part, None) or within(found, part)
        if inner is None and isinstance(found, types.ModuleType):  # TensorFlow does not show all of its modules
            try:
                inner = importlib.import_module(".".join(parts[:i]))
            except ImportError:
                return None
        found = inner
    return found


def within(function, name):
    """Return the code inside of a function that has a name, or the name where the function's code uses it."""
    code = getattr(function, "__code__", function)
    if not isinstance(code, types.CodeType):
        return None
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    named = [const for const in inner if const.co_name == name]
    if named or name in (*code.co_names, *code.co_consts):
        return named[0] if named else name
    return next(filter(None, (within(one, name) for one in inner)), None)


def theirs(place):
    """Whether a place is in a package that this process uses: TensorFlow, and one of the two Kerases."""
    return place.name.partition(".")[0] != ("keras" if IS_LEGACY else "tf_keras")


@pytest.mark.parametrize(
    ("file", "place"),
    [(file, place) for file, places in PLACES.items() for place in places if theirs(place)],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_place_is_there(file, place):
    """TensorFlow and Keras still have it; the failure says which file uses it, and what is lost."""
    version = f"TensorFlow {tf.__version__} with {tf.keras.__name__}"
    variables = f" with the variables {', '.join(place.variables)}" * bool(place.variables)

    assert not place.is_missing, f"{version} has no {place.name}{variables}. {file} uses it; without it {place.lost}."


def test_a_place_that_is_gone_is_missed():
    """Names that nobody has, and variables that a function has not, are found to be missing."""
    assert Place(f"{CONTEXT}.Context.call_funktion", "").is_missing
    assert Place(f"{MIRRORED}x._call_for_each_replica", "").is_missing
    assert Place(f"{MIRRORED}._call_for_each_replica", "", ("threads", "fibres")).is_missing
    assert not Place(f"{MIRRORED}._call_for_each_replica", "", ("threads",)).is_missing


def sources():
    """Return the trees of the files that may use private places, by their paths in the repository."""
    paths = [path for folder in ("mergeable/keras", "strategies") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def of_ours(tree):
    """Yield the names that a file of the package gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.attr if isinstance(node, ast.Attribute) else node.id
        elif isinstance(node, ast.keyword | ast.arg) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def used(tree, ours):
    """Yield the private names of others that a file uses: modules, attributes, and names of attributes in texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tensorflow.python"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("tf.__internal__."):
            yield ast.unparse(node).replace("tf.", "tensorflow.", 1)
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
        if isinstance(name, str) and re.fullmatch(r"_[a-z]\w+", name) and name not in PYTHON | ours:
            yield name
        elif isinstance(node, ast.Constant) and isinstance(name, str) and name.startswith("tensorflow.python."):
            yield name.rstrip(".")


def test_the_list_is_complete():
    """Every private name that a file of the package uses is part of a place in the list, under that file."""
    trees = sources()
    package = [*trees.values(), *(ast.parse(path.read_text()) for path in (ROOT / "mergeable").rglob("*.py"))]
    ours = {name for tree in package for name in of_ours(tree)} - {"_make_function", "_maybe_symbolic_build"} | {"_mergeable"}
    missing = {
        (file, name)
        for file, tree in trees.items()
        for name in used(tree, ours)
        if not any(name in place.name for place in PLACES.get(file, ()))
    }

    assert set() == missing


def test_the_style_book_has_the_list():
    """CONTRIBUTING names every file that uses a private place, and the place."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    wanted = {(file, place.name.rpartition(".")[2]) for file, places in PLACES.items() for place in places}

    assert set() == {(file, name) for file, name in wanted if file.rpartition("/")[2] not in text or name not in text}


def test_patches_are_made_where_they_are_needed():
    """An import and a metric change nothing of TensorFlow and Keras; a graph and a result change what they need."""
    code = """
import mergeable
import mergeable.keras
import tensorflow as tf
from tensorflow.python.distribute.coordinator.cluster_coordinator import Closure
from tensorflow.python.eager.context import Context
class Rows(mergeable.PyMetric):
    rows = mergeable.Count()
    def update_state(self, x):
        self.rows += len(x)
    def result(self):
        return self.rows.result()
def tell():
    print([hasattr(place, "__mergeable__") for place in (Context.call_function, tf.keras.utils.Progbar.update, Closure.execute_on)])
metric = Rows()
metric.update_state([1.0])
tell()
tf.function(metric.update_state)([1.0])
tell()
metric.result()
tell()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG, cwd=ROOT)

    assert ["[False, False, False]", "[True, False, False]", "[True, True, False]"] == run.stdout.split("\n")[:3]
