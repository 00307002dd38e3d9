"""The command ``mergeable``: what it writes, what it refuses, in which words, and with which exit status."""

import collections
import contextlib
import fcntl
import importlib
import importlib.metadata
import inspect
import io
import itertools
import json
import math
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import zipfile
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import mergeable as mg
from mergeable.cli import group, values
from mergeable.cli.command import in_options
from mergeable.cli.progress import rate
from mergeable.snapshot import disk
from mergeable.snapshot.contents import Contents, contents
from tests.effort import HANG

ROOT = Path(__file__).parents[2]
MODULE = "shop_of_test_cli"

# What a user has: a module of their own, in the folder where they work.
SHOP = '''
import collections
import numpy as np
import mergeable as mg
from hypothesis import strategies as st


@mg.register(name="tests.cli.Visits")
class Visits(mg.Metric):
    plots = {"histogram": "bins", "roc": "rows"}

    def __init__(self, edges=(0.0, 1.0, 2.0), name=None):
        super().__init__(name)
        self.add_state("bins", mg.Histogram(edges))

    mean = mg.Mean()
    words = mg.Counter()
    rows = mg.Rows("label", "score")

    def update_state(self, x, words=()):
        self.bins.update(x)
        self.mean.update(x)
        self.words.update(list(words))
        self.rows.update([i % 2 for i in range(len(x))], x)

    def result(self):
        return {"mean": self.mean.result(), "bins": self.bins.result(), "words": self.words.result(), "none": float("nan")}


@mg.register(name="tests.cli.Longest")
class Longest(mg.State):
    idempotent = True

    def __init__(self):
        self.text = ""

    def update(self, texts):
        self.text = max([self.text, *texts], key=lambda t: (len(t), t))

    def merge(self, other):
        if self.text and other.text == "never":
            raise ValueError("these words do not merge")
        self.update([other.text])

    def result(self):
        return self.text


class Names(mg.Metric):
    """Nobody registered it."""

    longest = Longest()

    def update_state(self, texts):
        self.longest.update(texts)

    def result(self):
        return self.longest.result()


class Queue(mg.Metric):
    """Its file needs a pickle."""

    waiting = mg.state(collections.deque, merge=collections.deque.extend, commutative=False)
    seen = mg.state(set, merge=set.update)
    n = mg.Count()

    def update_state(self, items):
        self.waiting.extend(items)
        self.seen |= set(items)
        self.n += len(items)

    def result(self):
        return list(self.waiting)


@mg.register(name="tests.cli.Broken")
class Broken(mg.Metric):
    n = mg.Count()

    def update_state(self, x):
        self.n += 1

    def result(self):
        raise ValueError("no \\x1b[31mresult")


class Own(mg.Metric):
    n = mg.Count()

    def update_state(self, x):
        self.n += 1

    def merge_state(self, metrics):
        pass

    def result(self):
        return self.n


class Weighted(mg.Metric):
    """A file cannot hold its argument."""

    total = mg.Sum()

    def __init__(self, weigh=abs, name=None):
        super().__init__(name)
        self.weigh = weigh

    def update_state(self, x):
        self.total += self.weigh(x)

    def result(self):
        return self.total.result()


class Held(mg.Metric):
    """An attribute that nobody declared."""

    n = mg.Count()

    def reset_state(self):
        self.last = None

    def update_state(self, x):
        self.n += 1
        self.last = collections.deque(x)

    def result(self):
        return str(self.last)


class MeanOfMeans(mg.State):
    def __init__(self):
        self.means = []

    def update(self, x):
        self.means.append(float(np.mean(x)))

    def merge(self, other):
        self.means = sorted(self.means + other.means)

    def result(self):
        return float(np.mean(self.means)) if self.means else float("nan")


class OverBatches(mg.Metric):
    total = mg.Sum()
    batches = mg.Count()

    def update_state(self, x):
        self.total += np.mean(x)
        self.batches += 1

    def result(self):
        return self.total / self.batches


weighted = Weighted()
number = 3
texts = st.lists(st.text())
numbers = st.lists(st.integers(0, 9), min_size=1)
whole = st.lists(st.integers(0, 9))
needs = mg.Histogram


def pairs():
    return st.tuples(st.lists(st.integers(0, 9), min_size=1, max_size=4))


def total(batches):
    return sum(sum(batch) for batch in batches)
'''


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / f"{MODULE}.py").write_text(SHOP)
    before = sys.path[:]
    sys.path.insert(0, str(folder))
    module = importlib.import_module(MODULE)
    yield module
    sys.path[:] = before


@pytest.fixture
def place(shop, tmp_path, monkeypatch):
    """A folder in which commands run, with the user's module in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delenv("MERGEABLE_TRACEBACK", raising=False)
    (tmp_path / f"{MODULE}.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def shards(shop, place):
    """Eight files in the folder ``shards``."""
    (place / "shards").mkdir()
    return [visits(shop, i, f"shards/{i}.mg") for i in range(8)]


def fed(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return metric


def visits(shop, i, path, **arguments):
    fed(shop.Visits(**arguments), ([0.1 * i, 1.5], [f"w{i % 3}"])).snapshot({"shard": i}).save(path)
    return path


def saved(metric, path, *batches):
    fed(metric, *batches).snapshot().save(path)
    return path


MIXED = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}  # click before 8.2


def call(*arguments, **environment):
    """Run a command in this process."""
    done = CliRunner(**MIXED, env=environment).invoke(group.mergeable, [str(a) for a in arguments], prog_name="mergeable")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def good(*arguments, **environment):
    done = call(*arguments, **environment)
    assert (0, "") == (done.exit_code, done.stderr if "merge" not in arguments else "")
    return done.stdout


def refusal(*arguments, status=1):
    """Return what a command says that fails."""
    done = call(*arguments)
    assert (status, "") == (done.exit_code, done.stdout), done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or all(line.startswith(("mergeable: ", "  ")) for line in done.stderr.splitlines())
    return done.stderr


def environment(**changes):
    quiet = ("FORCE_COLOR", "NO_COLOR", "MERGEABLE_TRACEBACK", "COLUMNS", "PYTHONPATH", "PYTHONUNBUFFERED")
    return {**{name: value for name, value in os.environ.items() if name not in quiet}, **changes}


def start(*arguments, **how):
    """Start a command in a process of its own."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(), **how}
    return subprocess.Popen([sys.executable, "-m", "mergeable", *map(str, arguments)], **how)


def run(*arguments, **how):
    """Run a command in a process of its own, and return its status, standard output and standard error."""
    with start(*arguments, **how) as process:
        out, err = process.communicate(timeout=HANG)
    return process.returncode, (out or b"").decode(errors="replace"), err.decode(errors="replace")


# The whole command.


def test_every_command_has_help_with_examples_that_parse():
    """Help is a line, options and two to four examples, each of which is a command that exists with options that exist."""
    listed = good("--help")
    for name, command in group.mergeable.commands.items():
        text = good(name, "--help")
        lines = text.splitlines()
        examples = [line.strip() for line in lines[lines.index("Examples:") + 1 :]]
        assert command.get_short_help_str(100) in listed
        assert all(len(line) <= 100 for line in lines)
        assert 2 <= len(examples) <= 4
        assert "--traceback" not in text
        for words in map(shlex.split, examples):
            parts = [[*part] for pipe, part in itertools.groupby(words, lambda word: word == "|") if not pipe]
            assert "mergeable" == parts[0][0]
            for _, used, *arguments in (part for part in parts if part[0] == "mergeable"):
                assert group.mergeable.commands[used].make_context(used, arguments).params
    assert ["demo", "merge", "show", "inspect", "verify", "plot", "check"] == list(group.mergeable.commands)


def test_version_and_script():
    """The version is the library's; the script of the package is this command, and so is ``python -m mergeable``."""
    (script,) = (entry for entry in importlib.metadata.entry_points(group="console_scripts") if entry.name == "mergeable")

    assert f"mergeable {mg.__version__}\n" == good("--version")
    assert (0, f"mergeable {mg.__version__}\n", "") == run("--version")
    assert "mergeable.cli:main" == script.value


def test_wrong_usage_is_two(shards):
    """An unknown command, option or value, and a missing argument, exit with 2 and say how it is used."""
    for arguments in (
        ["frob"],
        ["merge", "shards"],
        ["merge", "-o", "x.mg"],
        ["show", "shards", "--kind", "roc"],
        ["merge", "shards", "-o", "x.mg", "-j", "0"],
        ["merge", "shards", "-o", "x.mg", "--on-duplicate", "older"],
        ["show", "shards", "--metric", "no colon"],
        ["show", "shards", "--metric", "shop.py:Visits"],
        ["plot", "shards/0.mg"],
        ["plot", "shards/0.mg", "-o", "x.png", "--size", "8"],
        ["plot", "shards/0.mg", "-o", "x.png", "--size", "0x8"],
        ["check", f"{MODULE}:Longest", "--laws", "gravity"],
        ["check", f"{MODULE}:OverBatches"],
    ):
        assert "Usage: mergeable" in refusal(*arguments, status=2)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_the_command_is_one_sentence(missing):
    """Where click or rich is missing, the command says what to install, and exits with 1."""
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['mergeable', 'show']; import mergeable.cli as c; c.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=False)

    assert f"The mergeable command needs {missing}: pip install 'mergeable[cli]'\n" == done.stderr
    assert (1, "") == (done.returncode, done.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["merge", "shards", "-o", "all.mg", "-q"], ["show", "shards/0.mg"]], ids=str)
def test_start_up_is_light(shards, arguments):
    """Help, merge and show load no framework, no plotting and no Hypothesis."""
    code = (
        "import sys, atexit; sys.argv[0] = 'mergeable'; from mergeable.cli import main; "
        "atexit.register(lambda: sys.stderr.write(' '.join(sorted(sys.modules)))); main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=HANG, check=False)
    loaded = {name.split(".")[0] for name in done.stderr.split()}

    assert 0 == done.returncode
    assert "mergeable" in loaded
    assert set() == loaded & {"tensorflow", "keras", "tf_keras", "matplotlib", "sklearn", "hypothesis", "scipy", "pandas"}


# merge.


def test_merge_writes_what_the_library_does(shards):
    """The file has the bytes of ``mergeable.merge``; one line says files, bytes, seconds and coverage."""
    done = call("merge", "shards", "-o", "all.mg")
    size = sum(Path(path).stat().st_size for path in shards)
    words = done.stderr.split(" in ")

    assert (0, "", 1) == (done.exit_code, done.stdout, done.stderr.count("\n"))
    assert mg.merge(shards).to_bytes() == Path("all.mg").read_bytes()
    assert f"merged 8 files ({values.size(size)})" == words[0]
    assert words[1].endswith(" s into all.mg: 8 updates, 16 rows, 8 origins, replica 0\n")
    assert "" == call("merge", "shards", "-o", "all.mg", "--quiet").stderr


def test_merge_in_processes_writes_the_same_file(shop, shards):
    """Two processes end in the same bytes, also with states of the user's own, whose module they import."""
    for i in range(8):
        saved(shop.Names(), f"{i}.mg", ([f"{'x' * i}"],))
    Path("out").mkdir()
    for arguments in (["shards"], ["*.mg", "--import", MODULE]):
        good("merge", *arguments, "-o", "out/one.mg", "-j1")
        assert 0 == run("merge", *arguments, "-o", "out/two.mg", "-j2")[0]
        assert Path("out/one.mg").read_bytes() == Path("out/two.mg").read_bytes()


def test_files_folders_and_patterns_mean_the_same(shop, shards, place):
    """Files, a folder and patterns, also across folders, give one file; other names and hidden ones are passed over."""
    Path("shards/.0.mg").write_bytes(b"hidden")
    Path("shards/.0.mg.1234.unfinished").write_bytes(b"unfinished")
    Path("shards/notes.txt").write_text("no snapshot")
    Path("shards/folder.mg").mkdir()
    (place / "runs" / "deep" / "er").mkdir(parents=True)
    for i, path in enumerate(shards):
        target = ["runs", "runs/deep", "runs/deep/er"][i % 3]
        Path(target, f"{i}.mg").write_bytes(Path(path).read_bytes())
    expected = mg.merge(shards).to_bytes()
    for arguments in (
        shards,
        ["shards"],
        ["shards/"],
        ["shards/?.mg"],
        [place / "shards" / "*.mg"],
        ["shards/[0-3].mg", *shards[4:]],
        ["runs/**/*.mg"],
        ["runs", "runs/deep", "runs/deep/er"],
        ["runs/**"],
    ):
        good("merge", *arguments, "-o", "all.mg")
        assert expected == Path("all.mg").read_bytes(), arguments


def test_a_name_that_looks_like_a_pattern_is_a_name(shop, place):
    """A file whose name has brackets is itself."""
    visits(shop, 1, "[1].mg")
    good("merge", "[1].mg", "-o", "all.mg")

    assert mg.load("[1].mg").to_bytes() == mg.load("all.mg").to_bytes()


def test_the_output_is_never_an_input(shards):
    """An output in the folder that is merged is replaced and not read; one that is named as an input is refused."""
    good("merge", "shards", "-o", "shards/all.mg")
    first = Path("shards/all.mg").read_bytes()
    good("merge", "shards", "-o", "shards/all.mg")
    good("merge", "shards/*.mg", "-o", "./shards/../shards/all.mg")

    assert mg.merge(shards).to_bytes() == first == Path("shards/all.mg").read_bytes()
    assert "shards/all.mg is an input and the output" in refusal(
        "merge", *shards, "shards/all.mg", "-o", "shards/all.mg", status=2
    )
    assert first == Path("shards/all.mg").read_bytes()
    for path in shards:
        Path(path).unlink()
    assert "mergeable: shards: no *.mg files in this folder but the output\n" == refusal(
        "merge", "shards", "-o", "shards/all.mg"
    )


def test_many_files_or_bytes_take_all_cores(shards, monkeypatch):
    """Without -j the number of processes is that of the cores above 200 files or 64 MB, and else 1."""
    seen = []
    merged = mg.merge(shards)
    monkeypatch.setattr(mg, "merge", lambda files, **how: seen.append(how["processes"]) or merged)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    Path("many").mkdir()
    for i in range(201):
        os.link(shards[0], f"many/{i}.mg")
    with Path("shards/large.mg").open("wb") as file:
        file.truncate(64_000_001)
    for arguments in (["many"], ["many/1*.mg"], ["shards"], [*shards], ["many", "-j", "2"]):
        good("merge", *arguments, "-o", "all.mg")

    assert [3, 1, 3, 1, 2] == seen


def test_a_bad_file_ends_a_merge_unless_it_keeps_going(shards):
    """A bad file is named and nothing is written; with --keep-going it is left out, and named in the coverage too."""
    data = bytearray(Path(shards[3]).read_bytes())
    data[len(data) // 2] ^= 1
    Path(shards[3]).write_bytes(data)
    visits(importlib.import_module(MODULE), 8, "shards/8.mg", edges=(0.0, 9.0))

    assert refusal("merge", "shards", "-o", "all.mg").startswith("mergeable: shards/3.mg: ")
    assert not Path("all.mg").exists()
    done = call("merge", "shards", "nosuch.mg", "-o", "all.mg", "--keep-going")
    left, summary = done.stderr.splitlines()[:-1], done.stderr.splitlines()[-1]
    assert 0 == done.exit_code
    assert ["shards/3.mg", "shards/8.mg", "nosuch.mg"] == [line.split(": ")[1].removeprefix("left out ") for line in left]
    assert "changed" in left[0]
    assert "edges is (0.0, 1.0, 2.0) in shards/0.mg and (0.0, 9.0) in this one" in left[1] or "edges" in left[1]
    assert "mergeable: left out nosuch.mg: No such file or directory" == left[2]
    assert 1 == left[0].count("shards/3.mg")
    assert summary.startswith("merged 7 of 10 files (")
    assert summary.endswith("7 updates, 14 rows, 7 origins, replica 0, 3 pieces missing")
    assert ("nosuch.mg", "shards/3.mg", "shards/8.mg") == mg.load("all.mg").coverage.missing
    quiet = call("merge", "shards", "-o", "all.mg", "--keep-going", "-q").stderr.splitlines()
    assert left[:2] == quiet


def test_where_nothing_can_be_read_each_file_is_named(place):
    """--keep-going over bad files alone fails, and names each of them."""
    for name in ("a.mg", "b.mg"):
        Path(name).write_text("text")
    lines = refusal("merge", "*.mg", "-o", "out.mgx", "--keep-going").splitlines()

    assert ["mergeable: left out a.mg: this", "mergeable: left out b.mg: this"] == [line[:30] for line in lines[:2]]
    assert "mergeable: none of 2 files could be read" == lines[2]
    assert not Path("out.mgx").exists()


def test_the_same_shard_twice(shop, shards):
    """A file given twice is refused, and the text says --on-duplicate newer, which leaves one out."""
    text = refusal("merge", "shards", shards[3], "-o", "all.mg")

    assert "came twice, in shards/3.mg and in shards/3.mg" in text
    assert "--on-duplicate newer" in text
    assert "on_duplicate" not in text
    done = call("merge", "shards", shards[3], "-o", "all.mg", "--on-duplicate", "newer")
    assert "mergeable: left out shards/3.mg: shards/3.mg covers it" == done.stderr.splitlines()[0]
    assert "merged 8 of 9 files" in done.stderr
    assert mg.merge(shards).to_bytes() == Path("all.mg").read_bytes()


def test_outputs_that_are_no_files(shop, shards, place):
    """/dev/stdout gets the bytes, a device and a link to it stay, and what killed saves have left is removed."""
    (place / "null").symlink_to(os.devnull)
    left = place / "shards" / f".a.mg.{disk._machine()}00000000.unfinished"
    left.touch()
    program = [sys.executable, "-m", "mergeable"]
    done = subprocess.run(
        [*program, "merge", "shards", "-o", "/dev/stdout"],
        capture_output=True,
        env=environment(PYTHONPATH=str(ROOT)),
        check=True,
        timeout=HANG,
    )

    assert mg.merge(shards).to_bytes() == done.stdout
    assert not left.exists()
    for command in (["merge", "shards", "-o", "null"], ["plot", shards[0], "-o", "null"]):
        assert disk.is_written_into(Path("null"))
        good(*command)
    assert Path("null").is_char_device()
    assert not Path("null.png").exists()
    picture = subprocess.run(
        [*program, "plot", shards[0], "-o", "/dev/stdout"],
        capture_output=True,
        env=environment(PYTHONPATH=str(ROOT)),
        check=True,
        timeout=HANG,
    )
    assert picture.stdout.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "command",
    [
        ["merge", "gs://b/a.mg", "-o", "x"],
        ["merge", "gs://b/*.mg", "-o", "x"],
        ["merge", "shards", "-o", "gs://b/a.mg"],
        ["show", "gs://b/a.mg"],
        ["plot", "shards/0.mg", "-o", "gs://b/a.png"],
        ["demo", "--folder", "gs://b"],
    ],
    ids=str,
)
def test_addresses_are_no_paths(shop, shards, command):
    """An address of a bucket is refused by its name wherever a path is named."""
    assert "mergeable: gs://b" in (text := refusal(*command))
    assert "this is an address, expected the path of a file on this machine" in text
    assert not Path("gs:").exists()


def test_a_shard_that_was_run_again(shop, place):
    """--unique names the metadata that tell pieces apart; what agrees in them is refused, or gives way to the newer one."""
    for file, shard, rows in (("a.mg", 0, 1), ("b.mg", 1, 2), ("again.mg", 1, 3)):
        metric = shop.Visits()
        metric.update_state([0.5] * rows)
        metric.snapshot({"night": "2026-11-29", "shard": shard}).save(file)
    good("merge", "a.mg", "b.mg", "-o", "ab.mg", "--unique", "night,shard")
    text = refusal("merge", "ab.mg", "again.mg", "-o", "all.mg", "--unique", "night, shard")

    assert "the origin night='2026-11-29', shard=1 (replica 0, 1 updates) came twice, in ab.mg and in again.mg" in text
    good("merge", "a.mg", "b.mg", "again.mg", "-o", "all.mg", "--unique", "shard,night", "--on-duplicate", "newer")
    assert 4 == mg.load("all.mg").coverage.rows
    pieces = json.loads(good("inspect", "all.mg", "--json"))["coverage"]["pieces"]
    assert ["night='2026-11-29', shard=0", "night='2026-11-29', shard=1"] == [*pieces]
    assert "a.mg: got None for host in the metadata, expected a text or a number. Leave it out" in refusal(
        "merge", "a.mg", "b.mg", "-o", "host.mg", "--unique", "host"
    )


def test_pickles_need_a_word_of_trust(shop, place):
    """A pickled state is refused, and the text says --allow-pickle, which reads it."""
    for i in range(2):
        saved(shop.Queue(), f"q{i}.mg", ([i],))
    text = refusal("merge", "q*.mg", "-o", "all.mg")

    assert "mergeable: q0.mg: state 'waiting' is stored by pickle. Pass --allow-pickle if you trust who wrote the file" in text
    assert "allow_pickle" not in text
    good("merge", "q*.mg", "-o", "all.mg", "--allow-pickle")
    assert mg.merge(["q0.mg", "q1.mg"], allow_pickle=True).to_bytes() == Path("all.mg").read_bytes()


UNKNOWN = """
import sys
import mergeable as mg
from mergeable.state import State
class Sum2(State):
    def __init__(self): self.n = 0
    def update(self, n): self.n += n
    def merge(self, other): self.n += other.n
    def result(self): return self.n
class Total(mg.Metric):
    total = Sum2()
    def __init__(self, factor=1, name=None):
        super().__init__(name)
        self.factor = factor
    def update_state(self, n): self.total.update(n * self.factor)
    def result(self): return self.total.result()
if __name__ == "__main__":
    import unknown_of_test_cli as own
    for i in range(2):
        metric = own.Total(3)
        metric.update_state(i + 1)
        metric.snapshot().save(f"t{i}.mg")
three = Total(3)
"""


def test_classes_that_nobody_registered(shop, place):
    """A state's class that is not known here is named with the options that bring it; --metric takes a class or an instance."""
    Path("unknown_of_test_cli.py").write_text(UNKNOWN)
    subprocess.run([sys.executable, "unknown_of_test_cli.py"], check=True, timeout=HANG, env=environment(PYTHONPATH=str(ROOT)))
    text = refusal("merge", "t*.mg", "-o", "all.mg")

    assert "mergeable: t0.mg: these states cannot be built, as their classes are not registered" in text
    assert ": total (of 'unknown_of_test_cli:Sum2'). Pass --metric" in text
    assert "Pass --metric MODULE:CLASS, import the module that registers them with --import MODULE, or" in text
    assert "allow_pickle" not in text
    for name in ("Total", "three"):
        good("merge", "t*.mg", "-o", "all.mg", "--metric", f"unknown_of_test_cli:{name}")
        assert "total   9" in good("show", "all.mg", "--metric", f"unknown_of_test_cli:{name}")
    assert "mergeable: t0.mg: got a Total, expected a Queue. Name the class that was saved.\n" == refusal(
        "merge", "t0.mg", "-o", "x.mg", "--metric", f"{MODULE}:Queue"
    )
    assert f"{MODULE}:number: got 3, expected a metric or its class" in refusal(
        "merge", "t0.mg", "-o", "x.mg", "--metric", f"{MODULE}:number"
    )


def test_arguments_that_a_file_cannot_hold(shop, place):
    """A class whose argument no file holds is refused with the option in the text; an instance merges."""
    saved(shop.Weighted(max), "w.mg")
    text = refusal("merge", "w.mg", "-o", "all.mg", "--metric", f"{MODULE}:Weighted")

    assert (
        "whose constructor took weigh, which a file cannot hold. Name an instance that was built with it with --metric" in text
    )
    good("merge", "w.mg", "-o", "all.mg", "--metric", f"{MODULE}:weighted")


def test_a_merge_of_the_users_that_fails(shop, place):
    """An exception in a merge is told with its class and both files; a merge_state of one's own is left to Python."""
    saved(shop.Names(), "a.mg", (["x"],))
    saved(shop.Names(), "b.mg", (["never"],))
    saved(shop.Own(), "own.mg", ([1],))
    text = refusal("merge", "a.mg", "b.mg", "-o", "all.mg", "-m", MODULE)

    assert "mergeable: b.mg does not fit a.mg: ValueError: these words do not merge\n" == text
    assert "Merge it in Python with metric.merge_state([...])" in refusal("merge", "own.mg", "-o", "all.mg")


def test_standard_output_takes_the_bytes(shards):
    """With -o - the bytes go to standard output and all words to standard error; what reads a pipe shows them."""
    done = subprocess.run(
        [sys.executable, "-m", "mergeable", "merge", "shards", "-o", "-"],
        capture_output=True,
        env=environment(),
        timeout=HANG,
        check=True,
    )

    assert mg.merge(shards).to_bytes() == done.stdout
    assert b"into standard output: 8 updates" in done.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "mergeable", "show", "/dev/stdin"],
        input=done.stdout,
        capture_output=True,
        timeout=HANG,
        check=True,
    )
    assert b"8 updates, 16 rows" in shown.stdout


def test_outputs_that_cannot_be_written_fail_before_any_work(shards, monkeypatch):
    """A missing folder, a folder, a folder that is read-only, and a full disk are told with the output's name."""
    monkeypatch.setattr(mg, "merge", lambda *_, **__: pytest.fail("no work was due"))

    assert "mergeable: no/where/all.mg: there is no folder no/where. Make it first.\n" == refusal(
        "merge", "shards", "-o", "no/where/all.mg"
    )
    assert "mergeable: shards: is a folder, expected the name of a file to write.\n" == refusal(
        "merge", "shards", "-o", "shards"
    )
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "mergeable: shards/all.mg: the folder shards may not be written to.\n" == refusal(
        "merge", "shards", "-o", "shards/all.mg"
    )
    monkeypatch.undo()


def test_a_full_disk_leaves_the_old_file(shards, monkeypatch):
    """Where saving fails, the text names the output, and what was there stays."""
    Path("all.mg").write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device", ".all.mg.abcd.unfinished")

    monkeypatch.setattr(mg.Snapshot, "save", full)

    assert "mergeable: all.mg: No space left on device\n" == refusal("merge", "shards", "-o", "all.mg")
    assert b"old" == Path("all.mg").read_bytes()


@pytest.mark.parametrize(
    "command", [["merge", "-o", "x.mg"], ["show"], ["inspect"], ["verify"], ["plot", "-o", "x.png"]], ids=" ".join
)
def test_paths_without_files(place, command):
    """A missing file, an empty folder and a pattern that nothing matches are each one line."""
    Path("empty").mkdir()

    assert "mergeable: nosuch.mg: No such file or directory\n" == call(*command, "nosuch.mg").stderr
    assert "mergeable: empty: no *.mg files in this folder\n" == refusal(*command, "empty")
    assert "mergeable: x*.mg: no file matches\n" == refusal(*command, "x*.mg")
    assert not Path("x.mg").exists()


def test_a_file_that_may_not_be_read(place, shop, monkeypatch):
    """A file without permission is one line."""
    visits(shop, 1, "a.mg")

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    for command in (["merge", "-o", "x.mg"], ["show"], ["inspect"], ["verify"]):
        assert "mergeable: a.mg: Permission denied\n" == call(*command, "a.mg").stderr


# show.


def test_show_is_a_table(shards):
    """A registered class gives its result, part by part, with coverage and metadata beside what they cover."""
    good("merge", "shards", "-o", "all.mg")
    lines = good("show", "all.mg", "--import", MODULE).splitlines()

    assert [
        "all.mg: tests.cli.Visits 'visits'",
        "8 updates, 16 rows, 8 origins, replica 0",
        "",
        "result    value",
        "mean      0.925",
        "bins      [8 8]",
        "words.w0  3",
        "words.w1  3",
        "words.w2  2",
        "none      nan",
        "",
        "shard  updates  rows",
        "0            1     2",
    ] == lines[:13]
    assert 20 == len(lines)


def test_show_names_gaps_and_cuts_long_metadata(shop, place):
    """Missing pieces stand below the coverage, and of many rows of metadata the first are shown."""
    Path("bad.mg").write_text("text")
    metrics = [fed(shop.Visits(), ([0.5],)).snapshot({"i": i, "odd": [i]} if i else {"text": "x"}) for i in range(25)]
    mg.merge([*metrics, "bad.mg"], keep_going=True).save("all.mg")
    text = good("show", "all.mg", "-m", MODULE)

    assert "25 updates, 25 rows, 25 origins, replica 0, 1 piece missing\nmissing: bad.mg\n" in text
    assert text.endswith("and 5 more; --json has all\n")
    assert 25 == len(json.loads(good("show", "all.mg", "-m", MODULE, "--json"))["metadata"])


def test_show_as_json(shards):
    """One file that is named is an object; several, a folder or a pattern are an array; NaN is a string."""
    one = json.loads(good("show", shards[0], "-m", MODULE, "--json"))
    snapshot = mg.load(shards[0])
    (origin,) = snapshot.origins

    assert {
        "file": "shards/0.mg",
        "metric": "tests.cli.Visits",
        "name": "visits",
        "mergeable": mg.__version__,
        "result": {"mean": 0.75, "bins": [1, 1], "words": {"w0": 1}, "none": "NaN"},
        "coverage": {
            "updates": 1,
            "rows": 2,
            "origins": {origin: {"replica": 0, "updates": 1, "rows": 2, "worker": 0}},
            "missing": [],
        },
        "metadata": [{"shard": 0, "origins": [origin]}],
    } == one
    for paths in (["shards"], ["shards/*.mg"], shards):
        found = json.loads(good("show", *paths, "-m", MODULE, "--json"))
        assert shards == [entry["file"] for entry in found]
        assert one == found[0]
    assert [one] == json.loads(good("show", "shards/0*.mg", "-m", MODULE, "--json"))


def test_the_class_that_is_unknown_is_named(shop, place):
    """Where a state of a known class holds a metric that is not known here, the metric is named."""

    class Unknown(shop.Names):
        pass

    class Holder(mg.Metric):
        by = mg.Keyed(mg.Tuple(mg.Sum(), mg.Keyed(Unknown().as_state())))

        def result(self):
            return None

    Holder().snapshot().save("holder.mg")
    text = refusal("merge", "holder.mg", "-o", "all.mg")

    assert "(no class named test_the_class_that_is_unknown_is_named.<locals>.Unknown is known here)" in good(
        "show", "holder.mg"
    )
    assert "by (of 'tests.cli.test_cli:test_the_cl" in text


def test_show_without_a_class(shop, place):
    """Where no class is known, a line says how to name it, and each state's result is shown; what is pickled is named."""
    path = saved(shop.Queue(), "q.mg", ([1, 2],))
    lines = good("show", path).splitlines()
    found = json.loads(good("show", path, "--json"))

    assert (
        f"no result: no class named Queue is known here; --import the module that registers it, or name it, as in --metric {MODULE}:Queue."
        == lines[2]
    )
    assert ["state", "class", "result"] == lines[4].split()
    assert [
        "waiting  Held   (stored by pickle, not read)",
        "seen     Held   (its factory is stored by pickle, not read)",
        "n        Count  2",
    ] == lines[5:]
    assert found["result"] is None
    assert found["no_result"] in lines[2]
    assert {"class": "Count", "result": 2} == found["states"]["n"]
    assert {"class": "Held", "result": None, "no_result": "stored by pickle, not read"} == found["states"]["waiting"]


def test_show_reads_pickles_only_when_told(shop, place):
    """--metric on a pickled file fails with the option's name; with --allow-pickle the result is there."""
    path = saved(shop.Queue(), "q.mg", ([1, 2],))

    assert "mergeable: q.mg: not read, because stored by pickle: 'waiting'. Pass --allow-pickle" in refusal(
        "show", path, "--metric", f"{MODULE}:Queue"
    )
    assert "queue   [1, 2]" in good("show", path, "--metric", f"{MODULE}:Queue", "--allow-pickle")


def test_show_never_computes_from_what_was_not_read(shop, place):
    """An undeclared attribute that is pickled makes no result that misses it."""
    path = saved(shop.Held(), "h.mg", ([7],))

    assert "not read, because stored by pickle: 'last'" in refusal("show", path, "--metric", f"{MODULE}:Held")
    assert "deque([7])" in good("show", path, "--metric", f"{MODULE}:Held", "--allow-pickle")


def test_show_with_the_wrong_metric(shop, shards):
    """Another class, and a class whose arguments no file holds, are told with the file."""
    saved(shop.Weighted(max), "w.mg")

    assert "mergeable: shards/0.mg: got a tests.cli.Visits, expected a Queue. Name the class that was saved.\n" == refusal(
        "show", shards[0], "--metric", f"{MODULE}:Queue"
    )
    assert "Name an instance that was built with it with --metric MODULE:NAME." in refusal(
        "show", "w.mg", "--metric", f"{MODULE}:Weighted"
    )
    assert "weighted  0.0" in good("show", "w.mg", "--metric", f"{MODULE}:weighted")


def test_a_result_that_raises(shop, place):
    """An exception in a result is one line with the file and the class of the exception; --traceback shows where."""
    path = saved(shop.Broken(), "b.mg", ([1],))

    assert "mergeable: b.mg: ValueError: no \\x1b[31mresult\n" == refusal("show", path, "-m", MODULE)
    for arguments, variables in ((["--traceback"], {}), ([], {"MERGEABLE_TRACEBACK": "1"})):
        status, out, err = run("show", path, "-m", MODULE, *arguments, env=environment(**variables))
        assert (1, "") == (status, out)
        assert "Traceback (most recent call last)" in err
        assert 'raise ValueError("no ' in err


def test_bad_files_do_not_hide_good_ones(shop, shards):
    """Good files are shown, in tables and as JSON, the bad one is named, and the status is 1."""
    Path(shards[3]).write_bytes(Path(shards[3]).read_bytes()[:-9])
    for command in (["show"], ["inspect"]):
        done = call(*command, "shards")
        assert (1, 7) == (done.exit_code, sum(line.startswith("shards/") for line in done.stdout.splitlines()))
        assert done.stderr.startswith("mergeable: shards/3.mg: ")
        done = call(*command, "shards", "--json")
        assert (1, 7) == (done.exit_code, len(json.loads(done.stdout)))
        assert (1, "") == (call(*command, shards[3], "--json").exit_code, call(*command, shards[3], "--json").stdout)


def test_what_a_file_says_commands_no_terminal(shop, place):
    """Escape codes in names, metadata and paths are written as text."""
    metric = fed(shop.Visits(name="\x1b[2J\x9b1m"), ([0.5],))
    metric.snapshot({"k\x07": "[red]v\x1b]0;t\x07"}).save("a\x1b[0m.mg")
    for command in (["show", "-m", MODULE], ["inspect"]):
        text = good(*command, "a*.mg")
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
        assert "a\\x1b[0m.mg" in text
    assert "[red]v\\x1b]0;t\\x07" in good("show", "a*.mg", "-m", MODULE)
    Path("bad\x1b[2J.mg").write_text("text")
    call("merge", "*.mg", "-o", "all.mgx", "--keep-going")
    for command in (["show"], ["inspect"]):
        assert "bad\\x1b[2J.mg" in good(*command, "all.mgx")


INJECTED = "\nINJECTED \x1b[2J\r\x9b1m\u2028\u202e\x85\ud800\ufffe"


def test_what_a_file_says_begins_no_line(shop, place):
    """Newlines, escapes and half characters in names, metadata, states and paths are escapes in the line of what says them."""
    metric = fed(shop.Visits(name=f"v{INJECTED}"), ([0.5],))
    saved = metric.snapshot({f"k{INJECTED}": f"v{INJECTED}"})
    held = contents(saved)
    held.description.arguments[f"a{INJECTED}"] = f"b{INJECTED}"
    saved = mg.Snapshot(
        Contents.of(
            held.description,
            {f"{name}{INJECTED}": state for name, state in held.states.items()},
            mg.Coverage(held.coverage, [f"m{INJECTED}"]),
            {f"u{INJECTED}": f"u{INJECTED}"},
            metadata=held.metadata,
            version=f"0{INJECTED}",
        )
    )
    path = f"p{INJECTED.removesuffix(chr(0xD800) + chr(0xFFFE))}.mg"
    saved.save(path)
    Path(f"bad{path}").write_text("text")
    commands = [
        *([name, path] for name in ("show", "inspect", "verify")),
        *([name, f"bad{path}"] for name in ("show", "inspect", "verify")),
        ["show", path, "-m", MODULE],
        ["plot", path, "--list"],
        ["plot", path, "-o", f"{path}.png"],
        ["plot", path, "-o", "a.png", "--state", INJECTED],
        ["merge", path, f"bad{path}", "-o", f"out{path}", "--keep-going"],
        ["merge", path, path, "-o", path],
        ["merge", path, "-o", f"no{INJECTED}/out.mg"],
        ["merge", path, "-o", "a.mg", "--unique", INJECTED],
        ["merge", path, "-o", "a.mg", "-j", INJECTED],
        ["merge", path, "-o", "a.mg", f"--no{INJECTED}"],
        ["show", path, "-m", f"no{INJECTED}"],
        ["show", path, "--metric", f"{MODULE}:{INJECTED}"],
        ["check", INJECTED],
        [INJECTED],
        ["demo", "--folder", path],
    ]
    for command in commands:
        done = call(*command)
        text = done.stdout + done.stderr
        assert text, command
        assert not {c for c in text if not c.isprintable()} - {"\n"}, command
        assert not any(line.strip().startswith("INJECTED") for line in text.splitlines()), command


def test_cells_with_lines_of_their_own(shop, place):
    """An array keeps its lines in a table, with every digit, and its texts are escaped."""
    assert "[[1. 2.]\n [3. 4.]]" == values.as_text(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert "[0.9999999999999999 0.1               ]" == values.as_text(np.array([0.9999999999999999, 0.1]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.bool_(False), False),
        (2**70, 2**70),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (np.float64("inf"), "Infinity"),
        (b"caf\xc3\xa9\xff", "caf\u00e9\\xff"),
        ((1, {3, 1}), [1, [1, 3]]),
        (np.array([[1.5, np.nan]]), [[1.5, "NaN"]]),
        (np.array([1, "a"], object), [1, "a"]),
        (collections.Counter({1: 2, "b": 3}), {"1": 2, "b": 3}),
        ({1: "a", "1": "b"}, [[1, "a"], ["1", "b"]]),
        ({(1, 2): 3}, {"[1, 2]": 3}),
        (1j, "1j"),
        (mg.Sum(), 0.0),
        (mg.Counter(), {}),
    ],
    ids=repr,
)
def test_values_as_json(value, expected):
    """Every value has a form in JSON that keeps what it can."""
    found = values.as_json(value)

    assert expected == found
    assert type(expected) is type(found)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1 + 0.2, "0.30000000000000004"),
        (np.float64(0.1), "0.1"),
        ("text", "text"),
        (["a", 1], "['a', 1]"),
        (list(range(10)), "[0, 1, 2, 3, 4, 5, 6, 7, 2 more]"),
        ({"a": np.zeros(20)}, "{'a': float64 of shape (20,)}"),
        ({"a": np.arange(2)}, "{'a': [0, 1]}"),
        (np.eye(2), "[[1. 0.]\n [0. 1.]]"),
        ("x" * 300, "x" * 200 + " ... (300 characters)"),
        (mg.Max(), "nan"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_values_as_text(value, expected):
    """Numbers are written in full, and of what is long the beginning."""
    assert expected == values.as_text(value)


def test_large_arrays_are_cut():
    """An array of many numbers is its corners and its shape."""
    assert values.as_text(np.zeros(5000)).endswith("(float64 of shape (5000,))")
    assert len(values.as_text(np.zeros((100, 100)))) < 400


def test_results_become_rows():
    """A dict of dicts has a row for each part, one with many keys is one row, and so is a number."""
    assert [("a.b", 1), ("a.3", 2), ("c", 4)] == list(values.flat({"a": {"b": 1, 3: 2}, "c": 4}))
    assert [("", 5)] == list(values.flat(5))
    found = {"auc": mg.Estimate(0.5, 0.4, math.inf)}
    assert [("auc.value", 0.5), ("auc.low", 0.4), ("auc.high", math.inf)] == list(values.flat(found))
    assert {"auc": {"value": 0.5, "low": 0.4, "high": "Infinity"}} == values.as_json(found)
    assert "[{'value': 0.5, 'low': 0.4, 'high': inf}]" == values.as_text([*found.values()])
    assert [("n", {}), ("m", dict.fromkeys(range(99)))] == list(values.flat({"n": {}, "m": dict.fromkeys(range(99))}))


# inspect.


def test_inspect_says_what_stands_in_the_file(shards):
    """Sizes are those of the zip file's entries; states, arguments, plots, origins and metadata are named."""
    good("merge", "shards", "-o", "all.mg")
    found = json.loads(good("inspect", "all.mg", "--json"))
    with zipfile.ZipFile("all.mg") as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        dtypes = {}
        for name in [name for name in sizes if name.endswith(".npy")]:
            array = np.load(io.BytesIO(archive.read(name)))
            dtypes[name] = array.dtype.str, list(array.shape)

    assert sizes == {entry["entry"]: entry["bytes"] for entry in found["entries"]}
    assert dtypes == {e["entry"]: (e["dtype"], e["shape"]) for e in found["entries"] if "dtype" in e}
    assert (Path("all.mg").stat().st_size, "mergeable snapshot", 1, mg.__version__) == (
        found["bytes"],
        found["format"],
        found["version"],
        found["mergeable"],
    )
    assert {
        "class": "tests.cli.Visits",
        "name": "visits",
        "arguments": {"edges": [0.0, 1.0, 2.0]},
        "omitted": [],
        "merge": "derived",
        "plots": {"histogram": "bins", "roc": "rows"},
    } == found["metric"]
    assert {"mean": "Mean", "words": "Counter", "rows": "Rows", "bins": "Histogram"} == {
        name: state["class"] for name, state in found["states"].items()
    }
    assert {"edges": [0.0, 1.0, 2.0], "weighted": False} == found["states"]["bins"]["parameters"]
    assert all(0 < state["bytes"] < found["bytes"] for state in found["states"].values())
    assert (8, 8) == (len(found["coverage"]["origins"]), len(found["metadata"]))
    assert ["shards/0.mg"] == [entry["file"] for entry in json.loads(good("inspect", "shards/0*", "--json"))]


def test_inspect_is_a_table(shop, place):
    """Facts, states and entries each have their table, without any class or pickle."""
    saved(shop.Visits(edges=(0.0, 5.0)), "v.mg", ([0.5] * 40, ["w"]))
    saved(shop.Queue(), "q.mg", ([1],))
    saved(shop.Weighted(max), "w.mg")
    saved(shop.Own(), "own.mg", ([1],))
    saved(shop.Held(), "h.mg", ([1],))
    text = good("inspect", "v.mg")

    assert text.startswith("v.mg: mergeable snapshot, version 1, ")
    for part in (
        "arguments   edges=(0.0, 5.0)",
        "histogram of bins, roc of rows",
        "manifest.json",
        "arrays/0.npy",
        "<f8    40",
    ):
        assert part in " ".join(text.split(" ")) or part in text.replace("[", "(").replace("]", ")")
    assert "collections.deque" in good("inspect", "q.mg")
    assert "not stored  weigh=" in good("inspect", "w.mg")
    assert "merges      by the merge_state of its class" in good("inspect", "own.mg")
    assert "undeclared  last (" in good("inspect", "h.mg")


def test_the_size_of_a_state_is_that_of_its_arrays(shop, place):
    """A state's bytes grow by those of its arrays."""
    saved(shop.Visits(), "v.mg", ([0.5] * 1000,))
    rows = json.loads(good("inspect", "v.mg", "--json"))["states"]["rows"]["bytes"]

    assert 16_000 <= rows < 16_200


# verify.


def test_verify_reads_everything(shop, shards, place):
    """Good files are a summary and 0; each bad one is a line, and the status is 1."""
    size = values.size(sum(Path(path).stat().st_size for path in shards))

    assert f"8 files good, 0 bad, {size}\n" == good("verify", "shards")
    assert "" == good("verify", "shards", "-q")
    data = Path(shards[1]).read_bytes()
    for i in (0, len(data) // 3, len(data) - 60, len(data) - 1):
        Path(shards[1]).write_bytes(data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :])
        done = call("verify", "shards/*.mg", "nosuch.mg", "nosuch.mg")
        lines = done.stderr.splitlines()
        assert (1, 3) == (done.exit_code, len(lines))
        assert lines[0].startswith("mergeable: shards/1.mg: ")
        assert "mergeable: nosuch.mg: No such file or directory" == lines[1]
        assert done.stdout.startswith("7 files good, 3 bad, ")
    found = json.loads(call("verify", "shards", "--json").stdout)
    assert (8, 7, 0, 0, ["shards/1.mg"]) == (
        found["files"],
        found["good"],
        found["pickled"],
        found["unknown"],
        [bad["file"] for bad in found["bad"]],
    )


def test_verify_says_what_it_did_not_read(shop, place):
    """States that are pickled, and those of classes that are not known, are counted in the summary."""
    saved(shop.Queue(), "q.mg", ([1],))
    saved(shop.Held(), "h.mg", ([1],))
    text = good("verify", "q.mg", "h.mg")

    assert "2 states stored by pickle: checked by checksum only\n" in text
    assert "1 state of classes that are not known here: read as data only\n" in text
    data = bytearray(Path("q.mg").read_bytes())
    data[data.index(b"collections")] ^= 1  # in a pickle
    Path("q.mg").write_bytes(data)
    assert "the checksum differs" in call("verify", "q.mg").stderr


def test_a_dict_with_a_key_named_pickle_is_no_pickle(place):
    """What is pickled is told by its place, and not by a user's key."""

    class Odd(mg.Metric):
        seen = mg.state(dict, merge=dict.update)

        def update_state(self, key):
            self.seen[key] = {"array": 3}

        def result(self):
            return 0

    saved(Odd(), "odd.mg", ("pickle",))

    assert "pickle:" not in good("verify", "odd.mg")
    assert 0 < json.loads(good("inspect", "odd.mg", "--json"))["states"]["seen"]["bytes"]


# plot.


def test_plot_draws(shop, place):
    """A picture is written in the format of its name, of the size that was asked for; the same file gives the same SVG."""
    saved(shop.Visits(), "v.mg", ([0.1, 0.9, 1.5, 0.4],))
    good("plot", "v.mg", "-o", "a.png", "--size", "3x2", "--dpi", "50")
    good("plot", "v.mg", "-o", "b.svg", "--kind", "roc", "--state", "rows", "--size", "4X2.5")
    good("plot", "v*.mg", "-o", "c.pdf")
    png = Path("a.png").read_bytes()

    assert b"\x89PNG" == png[:4]
    assert (150, 100) == struct.unpack(">II", png[16:24])
    assert 'width="288pt" height="180pt"' in Path("b.svg").read_text()
    assert "<dc:date>" not in Path("b.svg").read_text()
    assert b"%PDF" == Path("c.pdf").read_bytes()[:4]


def test_plot_lists_what_can_be_drawn(shop, place):
    """--list has the metric's own choices first, and needs no output."""
    saved(shop.Visits(), "v.mg", ([0.1, 0.9],))
    lines = [line.split("  ") for line in good("plot", "v.mg", "--list").splitlines()]

    assert ["kind", "state", "named by the metric"] == [cell.strip() for cell in lines[0] if cell]
    assert ["histogram", "roc", "precision recall", "calibration", "quantiles"] == [line[0].strip() for line in lines[1:]]


def test_plot_refuses_in_options(shop, shards, monkeypatch):
    """What cannot be drawn or written is a line that speaks of options; nothing is left behind."""
    saved(shop.Broken(), "n.mg", ([1],))

    assert "Choose --kind 'histogram' --state 'bins'" in refusal("plot", shards[0], "-o", "x.png", "--kind", "confusion matrix")
    assert "mergeable: n.mg: got the state 'n', a Count, expected" in refusal("plot", "n.mg", "-o", "x.png")
    assert "mergeable: shards: these are several files, expected one. Merge them first: mergeable merge shards" in refusal(
        "plot", "shards", "-o", "x.png"
    )
    assert "mergeable: x.xyz: Format 'xyz' is not supported" in refusal("plot", shards[0], "-o", "x.xyz")
    assert "mergeable: no/x.png: No such file or directory\n" == refusal("plot", shards[0], "-o", "no/x.png")
    for module in ("matplotlib.axes", "matplotlib.figure", "matplotlib"):
        monkeypatch.setitem(sys.modules, module, None)
    text = refusal("plot", shards[0], "-o", "x.png")
    assert "needs matplotlib: pip install 'mergeable[plot]'" in text
    assert [] == list(Path.cwd().glob("x.*"))


# check.


def table(text):
    return {line[:19].strip(): line[19:33].strip() for line in text.splitlines()[1:]}


def test_check_passes_a_good_state(place):
    """Every law of a good state passes, also those that it claims; one without a reference is not tested."""
    text = good("check", f"{MODULE}:Longest", "--batches", f"{MODULE}:texts", "--examples", "5")
    found = table(text)

    assert list(mg_laws()) == list(found)
    assert "no reference" == found.pop("model")
    assert {"pass"} == set(found.values())
    assert "identity           pass          empty + a and a + empty have the bytes of a\n" in text


def mg_laws():
    from mergeable.laws.rules import LAWS

    return LAWS


def test_check_breaks_a_bad_state(place):
    """A broken law is named with its text, both sides and the batches that break it, and the status is 1."""
    done = call("check", f"{MODULE}:MeanOfMeans", "--batches", f"{MODULE}:numbers", "--laws", "batch split, purity,idempotence")
    lines = done.stderr.splitlines()

    assert 1 == done.exit_code
    assert [
        "batch split  broken       batches cut into",
        "purity       pass         a merge leave",
        "idempotence  not claimed",
    ] == [line[:n] for line, n in zip(done.stdout.splitlines()[1:], (42, 39, 24), strict=True)]
    assert (
        f"mergeable: {MODULE}:MeanOfMeans: batch split: MeanOfMeans: the value depends on how the rows are batched." == lines[0]
    )
    assert ["  one side: ", "  other side", "  batches:  "] == [line[:12] for line in lines[1:]]
    assert "  batches:    [[0, 0]]" == lines[3]


def test_check_tests_metrics(place):
    """A metric needs batches, which a function may make; its laws are those of metrics."""
    arguments = ["check", f"{MODULE}:OverBatches", "--batches", f"{MODULE}:pairs", "--examples", "10"]
    done = call(*arguments, "--laws", "batch split,any tree,undo")

    assert 1 == done.exit_code
    assert ["broken", "pass", "pass"] == [line[13:21].strip() for line in done.stdout.splitlines()[1:]]
    assert "batch split: OverBatches: the value depends on how the rows are batched" in done.stderr
    assert "any tree  pass" in good(*arguments, "--laws", "any tree")


def test_check_with_a_reference(place):
    """The law that needs a reference takes a function of the batches."""
    arguments = ["check", "mergeable:Count", "--batches", f"{MODULE}:whole", "--laws", "model", "--examples", "5"]

    assert "model  no reference" in good(*arguments)
    assert "model  pass" in good(*arguments, "--reference", f"{MODULE}:total")
    assert "model: Count: differs from the reference" in call(*arguments, "--reference", "builtins:len").stderr


def test_check_says_what_is_wrong_with_its_arguments(place):
    """What is no state, a class that needs arguments, batches that do not fit, and names that are not there, are told."""
    assert "expected something that makes an empty object when called" in refusal("check", f"{MODULE}:number")
    assert "missing 1 required positional argument: 'edges'. If its constructor needs arguments, name an instance" in refusal(
        "check", f"{MODULE}:needs"
    )
    assert f"{MODULE}:number: got 3, expected a Hypothesis strategy" in refusal(
        "check", f"{MODULE}:Longest", "--batches", f"{MODULE}:number"
    )
    done = call("check", "mergeable:Count", "--laws", "identity,purity", "--examples", "5")
    assert (1, 1) == (done.exit_code, done.stderr.count("\n"))
    assert "ValueError: Count.update: got" in done.stderr
    assert done.stderr.endswith("Name batches that it takes with --batches MODULE:NAME.\n")
    assert f"mergeable: {MODULE}:Nothing: {MODULE} has no Nothing. Names in it: " in refusal("check", f"{MODULE}:Nothing")


def test_check_without_hypothesis(place):
    """Where Hypothesis is missing, one sentence says what to install."""
    code = "import sys; sys.modules['hypothesis'] = None; sys.argv = ['mergeable', 'check', 'mergeable:Sum']; from mergeable.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=False)

    assert (1, "mergeable: check needs hypothesis: pip install 'mergeable[laws]'\n") == (done.returncode, done.stderr)


def test_check_leaves_nothing_in_the_folder(place):
    """Hypothesis keeps its notes elsewhere."""
    before = {*Path().iterdir()}
    assert 0 == run("check", f"{MODULE}:Longest", "--batches", f"{MODULE}:texts", "--laws", "identity", "--examples", "3")[0]

    assert before == {*Path().iterdir()} - {Path("__pycache__")}


def test_check_is_not_drowned_in_warnings(place):
    """What NumPy says of the empty batches that are tried is not shown."""
    status, out, err = run("check", f"{MODULE}:MeanOfMeans", "--laws", "serialisation")

    assert (0, "") == (status, err)
    assert "serialisation  pass" in out


# Modules of the user's.


def test_modules_that_do_not_import(shards):
    """A module that is not there, that fails, that exits, or that a file's name stands for, is one line."""
    Path("raises_of_test_cli.py").write_text("1 / 0")
    Path("exits_of_test_cli.py").write_text("import sys; sys.exit(3)")
    Path("syntax_of_test_cli.py").write_text("def")
    Path("needs_of_test_cli.py").write_text("import no_such_thing")
    for name, text in {
        "nosuch_of_test_cli": "found no module of this name",
        "nosuch_of_test_cli.inner": "found no module of this name",
        f"{MODULE}.py": f"Write {MODULE}.",
        "raises_of_test_cli": "importing it failed: ZeroDivisionError: division by zero",
        "exits_of_test_cli": "importing it failed: SystemExit: 3",
        "syntax_of_test_cli": "importing it failed: SyntaxError: ",
        "needs_of_test_cli": "importing it failed: No module named 'no_such_thing'",
        "": "importing it failed: ValueError: ",
        ".relative": "importing it failed: TypeError: ",
    }.items():
        for command in (["show", shards[0]], ["merge", "shards", "-o", "all.mg"], ["verify", "shards"]):
            found = refusal(*command, "-m", name)
            assert found.startswith(f"mergeable: {name}: ")
            assert text in found
    assert "has no Nothing. Names in it: " in refusal("show", shards[0], "--metric", f"{MODULE}:Nothing")
    assert not Path("all.mg").exists()


def test_texts_of_the_library_speak_of_options():
    """Every argument of Python that an error of the library names becomes the option that it is here."""
    sources = "".join(path.read_text() for path in (ROOT / "mergeable" / "snapshot").glob("*.py"))

    assert "on_duplicate='newer'" in sources  # or the texts changed, and this table is out of date
    for text, words in (
        ("merge: a.mg: x. Pass allow_pickle=True if", "a.mg: x. Pass --allow-pickle if"),
        ("x. Load the file with allow_pickle=True.", "x. Pass --allow-pickle if you trust who wrote the file."),
        ("the newer one win with on_duplicate='newer'.", "the newer one win with --on-duplicate newer."),
        ("; pass the metric in hand, as in metric.merge_state([path])", "; pass --metric MODULE:CLASS"),
        ("Pass an instance.", "Name an instance with --metric MODULE:NAME."),
        (
            "merge: one of processes=4 ended by itself. A program ... pass processes=1.",
            "one of 4 processes ended by itself; perhaps there was not enough memory. Pass --processes 1.",
        ),
    ):
        assert words == in_options(text)


# Terminals, pipes, signals, languages.


@contextlib.contextmanager
def terminal(columns=100):
    """Give the two ends of a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def read_until(end, mark=None):
    """Return what a terminal shows up to a mark, or to its end."""
    seen = b""
    while mark is None or mark not in seen:
        try:
            part = os.read(end, 65536)
        except OSError:  # Linux's way to say that no one writes any more
            break
        if not part:
            break
        seen += part
    return seen


@pytest.fixture
def slow(shards):
    """A file among the shards from which nothing comes until someone writes: open it to know that a merge waits for it."""
    data = Path(shards[7]).read_bytes()
    Path(shards[7]).unlink()
    os.mkfifo(shards[7])
    return shards[7], data


@pytest.mark.parametrize("no_color", ["", "1"])
def test_progress_is_shown_on_a_terminal(slow, no_color):
    """A terminal sees how many files are done, how fast, and how long the rest takes; in the end only the summary stays."""
    path, data = slow
    with terminal() as (ours, theirs):
        process = start("merge", "shards", "-o", "all.mg", stderr=theirs, env=environment(TERM="xterm", NO_COLOR=no_color))
        os.close(theirs)
        with Path(path).open("wb") as writer:
            before = read_until(ours, b" left")
            writer.write(data)
        after = read_until(ours)
        assert 0 == process.wait(HANG)
        process.stdout.close()
    text = before.decode()

    assert "merging" in text
    assert "7 of 8 files" in text
    assert "files/s" in text
    assert "MB/s" in text
    assert ("\x1b[9" in text or "\x1b[3" in text) == (not no_color)
    assert b"8 updates, 16 rows, 8 origins" in after.splitlines()[-1]
    assert max(len(frame) for frame in text.split("\r")) < 600
    assert mg.load("all.mg").coverage.updates == 8


@pytest.mark.parametrize(("arguments", "variables"), [(["-q"], {}), ([], {"TERM": "dumb"})], ids=["quiet", "dumb"])
def test_progress_is_not_shown(shards, arguments, variables):
    """Neither --quiet nor a dumb terminal gets a bar."""
    with terminal() as (ours, theirs):
        process = start("merge", "shards", "-o", "all.mg", *arguments, stderr=theirs, env=environment(**variables))
        os.close(theirs)
        seen = read_until(ours)
        assert 0 == process.wait(HANG)
        process.stdout.close()

    assert b"\x1b" not in seen
    assert (b"" == seen) == bool(arguments)


def test_the_rate_says_when_it_ends():
    """The rest takes as long as its bytes at the speed so far; before anything is known nothing is said."""
    assert "0 of 9 files" == rate(0, 9, 0, 900, 5.0)
    assert "1 of 9 files" == rate(1, 9, 100, 900, 0.1)
    assert "1,000 of 9,000 files, 500 files/s, 5.0 MB/s, 1:20 left" == rate(1000, 9000, 10e6, 410e6, 2.0)


def test_tables_fit_a_terminal(shards):
    """On a terminal headers are bold and lines fit its width; NO_COLOR leaves plain text."""
    good("merge", "shards", "-o", "all.mg")
    for variables, bold in (({}, True), ({"NO_COLOR": "1"}, False)):
        with terminal(40) as (ours, theirs):
            process = start("inspect", "all.mg", stdout=theirs, env=environment(TERM="xterm", **variables))
            os.close(theirs)
            seen = read_until(ours).decode()
            assert 0 == process.wait(HANG)
            process.stderr.close()
        assert bold == ("\x1b[1m" in seen)
        facts, states, entries = re.sub("\x1b\\[[0-9;]*m", "", seen).split("\r\n\r\n")
        lines = [*facts.splitlines()[1:], *states.splitlines(), *entries.splitlines()]
        assert 40 >= max(map(len, lines))
        assert 20 < len(lines)  # long cells go on below


def test_a_pipe_gets_plain_text_unless_colour_is_forced(shards):
    """A pipe gets no escape codes and whole lines; FORCE_COLOR gives it bold headers, and NO_COLOR has the last word."""
    for variables, bold in (({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)):
        status, out, err = run("show", "shards", env=environment(COLUMNS="20", **variables))
        assert (0, "") == (status, err)
        assert bold == ("\x1b[1m" in out)
        assert bold or "\x1b" not in out
        assert out.isascii()
    assert "no result: no class named tests.cli.Visits is known here; --import the module that registers it" in out


def test_bytes_do_not_go_to_a_terminal(shards):
    """-o - is refused where standard output is a terminal."""
    with terminal() as (ours, theirs):
        process = start("merge", "shards", "-o", "-", stdout=theirs)
        os.close(theirs)
        seen = read_until(ours)
        err = process.communicate(timeout=HANG)[1]

    assert (2, b"") == (process.returncode, seen)
    assert b"standard output is a terminal" in err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("reads", [0, 1])
def test_a_reader_that_goes_away_is_no_error(shards, unbuffered, reads):
    """``mergeable show ... | head -1`` ends quietly, with the status of a broken pipe, whether Python buffers or not."""
    many = [path for path in shards for _ in range(40 * reads)] or shards[:1]
    with start("show", *many, "--json", env=environment(PYTHONUNBUFFERED=unbuffered)) as process:
        assert b"["[:reads] == process.stdout.read(reads)
        process.stdout.close()
        assert b"" == process.stderr.read()

    assert 141 == process.returncode


def test_a_full_standard_output_is_told_once(shards):
    """Where standard output takes nothing, one line says so."""
    with Path("/dev/full").open("wb") as full:
        status, _, err = run("show", "shards", stdout=full)

    assert (1, "mergeable: standard output: No space left on device\n") == (status, err)


def test_a_closed_standard_output_is_no_reason_to_fail(shards):
    """Without a standard output, words go nowhere; bytes that were to go there are told."""
    command = f"{shlex.quote(sys.executable)} -m mergeable"
    for arguments, expected in (
        ("show shards", (0, b"")),
        ("merge shards -qo -", (1, b"mergeable: standard output: Bad file")),
    ):
        done = subprocess.run(f"{command} {arguments} >&-", shell=True, stderr=subprocess.PIPE, timeout=HANG, check=False)
        assert expected == (done.returncode, done.stderr[:36])


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_ends_a_merge(slow, processes):
    """An interrupt, sent as a terminal does, gives 130 and one word; no output and no unfinished file is left."""
    path, _ = slow
    process = start("merge", "shards", "-o", "all.mg", "-j", processes, start_new_session=True)
    with Path(path).open("wb"):  # opens when the merge reads it
        os.killpg(process.pid, signal.SIGINT)
        if processes == "1":
            process.wait(HANG)
    out, err = process.communicate(timeout=HANG)

    assert (130, b"", b"mergeable: interrupted\n") == (process.returncode, out, err)
    assert {f"{MODULE}.py", "shards"} == {path.name for path in Path().iterdir() if path.name != "__pycache__"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays_behind(slow, number):
    """When a merge is killed, so end the processes that it started."""
    path, _ = slow
    process = start("merge", "shards", "-o", "all.mg", "-j", "2", start_new_session=True)
    with Path(path).open("wb"):
        process.send_signal(number)
    process.communicate(timeout=HANG)  # ends when the last of them has closed its standard error

    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    assert not Path("all.mg").exists()


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
    ids=str,
)
def test_every_language_gets_text(shop, place, variables):
    """Where standard output has no place for a letter, it becomes an escape, and nothing fails."""
    fed(shop.Visits(name="m\u00eatrique \u65e5\u672c"), ([0.5],)).snapshot({"o\u00f9": "\u00e7a \udcff"[:2]}).save("a.mg")
    status, out, err = run("show", "a.mg", "n\u00f6.mg", env=environment(**variables))

    assert 1 == status
    assert "trique" in out
    assert "\u672c" in out or "\\u672c" in out
    assert "No such file or directory\n" == err[-26:]


def test_names_that_are_no_text(shop, place):
    """A file whose name is no UTF-8 is read, and its name written with an escape."""
    name = os.fsdecode(b"a\xff.mg")
    visits(shop, 1, name)

    assert "a\\udcff.mg: tests.cli.Visits" in good("show", name)
    assert "a\\udcff.mg" in good("inspect", "*.mg")
    done = call("merge", name, "-o", os.fsdecode(b"b\xff.mg"))
    assert (0, True) == (done.exit_code, "b\\udcff.mg: 1 update" in done.stderr)


def test_an_unexpected_error_is_one_line(shards, monkeypatch):
    """What nobody foresaw is a line with its class; click's own ways out stay as they are."""

    def fails(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(mg, "merge", fails)

    assert "mergeable: RuntimeError: a bug\n" == refusal("merge", "shards", "-o", "all.mg")
    monkeypatch.setattr(mg, "merge", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    assert "mergeable: MemoryError\n" == refusal("merge", "shards", "-o", "all.mg")
    monkeypatch.setattr(mg, "merge", lambda *_, **__: (_ for _ in ()).throw(click.Abort()))
    assert 1 == call("merge", "shards", "-o", "all.mg").exit_code
