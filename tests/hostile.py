"""Files that no save wrote, and a reader that uses all that loads: for the tests, and for ``benchmarks/fuzz.py``.

A stranger can write any bytes, compute every checksum and seal the file: ``zipped`` and ``packed`` do that. ``case`` makes an
input of a number, the same one every time, and ``outcome`` reads it and does with it what a program may do.
"""

import contextlib
import copy
import dataclasses
import functools
import io
import json
import pickle
import random
import struct
import zipfile
import zlib

import numpy as np

import mergeable as mg
from mergeable import registry
from mergeable.encoding import archive
from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.plain import Unreadable
from mergeable.metric.internals import internals
from mergeable.snapshot import Snapshot, read_snapshot
from mergeable.snapshot.contents import Contents
from mergeable.snapshot.description import Description
from mergeable.state.access import become
from tests import register

BLANK = archive._SEAL + b"0" * (2 * archive._DIGEST_BYTES)


# Files of any content, with right checksums and the right seal.


@dataclasses.dataclass
class Entry:
    """One entry of a zip file. What the headers say is computed, unless it is given."""

    name: bytes | str
    content: bytes
    method: int = 0
    flags: int = 0
    size: int | None = None
    packed_size: int | None = None
    crc: int | None = None
    offset: int | None = None
    extra: bytes = b""
    local_name: bytes | None = None

    def header(self):
        """Return the fields that both headers of an entry have."""
        size = len(self.content) if self.size is None else self.size
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        packed_size = len(self.stored()) if self.packed_size is None else self.packed_size
        return 20, self.flags, self.method, 0, 33, crc, packed_size, size

    def stored(self):
        """Return the bytes as the file holds them."""
        if self.method != zipfile.ZIP_DEFLATED:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()


def zipped(entries, *, comment=BLANK, gap=b""):
    """Return a zip file of these entries; where its seal can be computed, it is right."""
    file, directory = io.BytesIO(), io.BytesIO()
    for entry in entries:
        name = entry.name.encode() if isinstance(entry.name, str) else entry.name
        local = name if entry.local_name is None else entry.local_name
        offset = file.tell() if entry.offset is None else entry.offset
        file.write(struct.pack("<4s5H3L2H", b"PK\3\4", *entry.header(), len(local), len(entry.extra)) + local + entry.extra)
        file.write(entry.stored())
        directory.write(struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *entry.header(), len(name), 0, 0, 0, 0, 0, offset) + name)
    file.write(gap)
    place, size = file.tell(), directory.tell()
    file.write(directory.getvalue())
    file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *(len(entries) % 2**16,) * 2, size, place, len(comment)) + comment)
    return sealed(file.getvalue())


def sealed(data):
    """Return a file with the seal that fits it, or as it is where it has no place for one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archived:
            seal = archive._seal_of(memoryview(data), archived.infolist(), archived.start_dir)
    except (Unreadable, zipfile.BadZipFile, struct.error, NotImplementedError, ValueError):
        return data
    return data[: -len(seal)] + seal if data[-len(seal) :].startswith(archive._SEAL) else data


def packed(manifest, arrays=()):
    """Return a sealed file with this manifest, a tree or its text, and these contents of array entries."""
    text = manifest if isinstance(manifest, bytes | str) else json.dumps(manifest)
    text = text if isinstance(text, bytes) else text.encode()
    return zipped([Entry("manifest.json", text), *(Entry(f"arrays/{i}.npy", array) for i, array in enumerate(arrays))])


def unpacked(data):
    """Return the manifest's tree and the contents of the array entries."""
    with zipfile.ZipFile(io.BytesIO(data)) as archived:
        manifest, *arrays = [archived.read(name) for name in archived.namelist()]
    return json.loads(manifest), arrays


def npy(dtype, shape, content=b"", *, fortran="False", version=b"\1\0", header=None):
    """Return an npy file whose header says this."""
    text = header if header is not None else f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}\n"
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text.encode("latin1") + content


# Pickles that would run code.

ran = []


def detonate():
    """Note that code of a file has run."""
    ran.append("code of a file has run")


class Bomb:
    """What runs ``detonate`` when its pickle is read."""

    def __reduce__(self):
        return detonate, ()


BOMB = npy("|u1", (len(pickle.dumps(Bomb())),), pickle.dumps(Bomb()))


# Good files to begin with: every state of the register, and wide ones, whose arrays are entries.


def _fed(state, *batch):
    state.update(*batch)
    return state


def _deduplicated(columns, inner):
    return mg.Deduplicated(inner, *columns)


def nested(number):
    """Return a state of states of states, the same one every time, that has taken a batch where it takes such batches."""
    rng = random.Random(number)
    state = rng.choice([mg.Sum(), mg.Mean(), mg.Max(), mg.Counter(), mg.Histogram([0, 1, 2]), mg.Rows("x"), mg.Moments()])
    batch = [np.array([0.5, 1.0, 1.5, 0.25])]
    for _ in range(rng.randint(1, 8)):
        kind = rng.choice(["Tuple", "Dict", "Keyed", "Sliced", "Sliced", "Windowed", "Windowed", "Bootstrap", "Deduplicated"])
        more = (
            [] if kind in ("Tuple", "Dict") else [7 if kind == "Windowed" else np.arange(4) % (4 if kind == "Bootstrap" else 3)]
        )
        try:
            state = {
                "Tuple": lambda inner: mg.Tuple(inner, inner),
                "Dict": lambda inner: mg.Dict(a=inner),
                "Keyed": mg.Keyed,
                "Sliced": lambda inner: mg.Sliced(inner, max_slices=2),
                "Windowed": lambda inner: mg.Windowed(inner, last=3),
                "Bootstrap": lambda inner: mg.Bootstrap(inner, replicates=2),
                "Deduplicated": functools.partial(_deduplicated, [f"c{i}" for i in range(len(batch))]),
            }[kind](state)
        except ValueError:  # too deep
            break
        batch = [*more, *batch]
    with contextlib.suppress(ValueError, TypeError):  # a window in something that gives it rows takes none
        state.update(*batch)
    return state


WIDE = np.linspace(-3.0, 3.0, 40)
STATES = {
    **{name: mg.state(row.fed()) for name, row in register.ROWS.items()},
    "wide Count": _fed(mg.Count(shape=(40,)), np.arange(40)),
    "wide Sum": _fed(mg.Sum(shape=(40,)), WIDE),
    "wide Histogram": _fed(mg.Histogram(np.linspace(-2, 2, 50)), WIDE),
    "wide Counter": _fed(mg.Counter(), np.arange(40)),
    "wide Set": _fed(mg.Set(), WIDE),
    "wide Rows": _fed(mg.Rows("a", "b"), np.arange(40, dtype=np.float32), WIDE.reshape(40, 1) > 0),
    "wide ConfusionMatrix": _fed(mg.ConfusionMatrix(), np.arange(40), np.arange(40) % 3),
    "wide Keyed": _fed(mg.Keyed(mg.Mean()), np.arange(40), WIDE),
    **{f"nested {number}": nested(number) for number in range(12)},
}


@mg.register(name="tests.Holder")
class Holder(mg.Metric):
    """A metric whose only state is like the one of that name."""

    def __init__(self, of="Sum", name=None):
        super().__init__(name)
        self.add_state("held", STATES[of])

    def result(self):
        return internals(self).view["held"].result()


def snapshot(of, origin="0a", metadata=None):
    """Return a snapshot that is the same every time."""
    state = STATES[of].empty()
    become(state, STATES[of])
    described = Description.of(Holder, "holder", {"of": of}, own_merge=False, plots={"bars": "held"})
    coverage = mg.Coverage({origin: mg.Contribution(replica=0, updates=2, rows=7)}, ["gone.mg"])
    row = {**(metadata or {}), "origins": [origin]}
    return Snapshot(Contents.of(described, {"held": state}, coverage, metadata=(row,)))


METADATA = {"run": 7, "note": "ü", "rate": 0.1, "shape": np.arange(80), "tags": ("a", b"b", {1, 2}, {1: None}, [1.5, [True]])}
FILES = {name: snapshot(name, metadata=METADATA).to_bytes() for name in STATES}
PARTS = {name: unpacked(data) for name, data in FILES.items()}
OTHERS = {name: snapshot(name, "0b") for name in STATES}
OWN = {
    name
    for name, state in STATES.items()
    if not type(state).__module__.startswith("mergeable.") or "ObjectState" in repr(state)
}
"""The states that are of classes and objects of a user's, who must check what they hold."""


# Inputs by their numbers.

PLAIN = [
    *(None, True, False, 0, 1, -1, 2, 255, 2**53 - 1, 2**53, 2**60, 10**17, 10**30, -(2**63), 0.0, -0.0, 0.5, 1e308, 5e-324),
    *(float("nan"), float("inf"), float("-inf"), "", "a", "0", "nan", "held", "\ud800", "é" * 50, "0x10", [], [0], [[]], {}),
    *([0] * 40, [1.5] * 20, {"a": 0}, {"a": 0, "b": 0}, [None, None], {"": {}}, [[0, 1], [0, 1]], ["a", "a"]),
]
TAGGED = [
    *(
        {"int": text}
        for text in ("0x0", "0x3p1074", "-0x1p64", "0x1p4096", "0x1p4097", "0x" + "f" * 2000, "7", "0x1p", "0x", "-")
    ),
    {"int": "0x" + "f" * 6000},
    {"int": "0x1" + "0" * 100},
    *({"float": text} for text in ("7ff8000000000000", "fff0000000000000", "7ff0000000000000", "8000000000000000", "00", "")),
    {"float": "7ff8000000000001"},
    *({"bytes": text} for text in ("", "00ff", "0", "FF", 0, 1)),
    *({kind: body} for kind in ("tuple", "set", "frozenset", "list") for body in ([], [1, 2], [1, 1], [{"list": []}], {}, 0)),
    *({kind: body} for kind in ("items", "counter") for body in ([], [[1, 2]], [[1, 2], [1, 3]], [[1]], [[[], 1]], {})),
    {"dict": {}},
    {"dict": {"a": 1, "": {"tuple": []}}},
    {"dict": []},
    *({"array": body} for body in (0, 1, 2, -1, 99, True, None, "0", 0.0)),
    *({"array": [dtype, [1], "00" * 8]} for dtype in ("<f8", "<i8", "<u8", ">f8", "|O", "<M8[s]", "<m8", "<c8", "V8", "i8")),
    {"array": ["<f8", [0], ""]},
    {"array": ["<f8", [0, 2**62], ""]},
    {"array": ["<f8", [2**62, 2**62, 0], ""]},
    {"array": ["|b1", [2], "0002"]},
    {"array": ["<U1", [1], "00001100"]},
    {"array": ["<f8", [], "000000000000f03f"]},
    {"array": ["<i8", [2], "0100000000000000ffffffffffffffff"]},
    {"array": ["<i8", [-1], "00" * 8]},
    {"array": ["<i8", [1.0], "00" * 8]},
    *(
        {"scalar": [dtype, "00" * size]}
        for dtype, size in (("<f8", 8), ("<i4", 4), ("<f2", 2), ("|b1", 1), ("<M8[s]", 8), ("<U1", 4))
    ),
    {"objects": [[2], ["a", None]]},
    {"objects": [[0], []]},
    {"objects": [[], ["a"]]},
    {"objects": [[1, 10**9], ["a"]]},
    {"pickle": {"array": 0}},
    {"pickle": {"array": 1}},
    {"list": {"array": 0}},
    {"tuple": {"array": 1}},
    {"list": {"array": ["<f8", [2], "00" * 16]}},
    {"tuple": {"array": ["<i8", [2], "00" * 16]}},
    {"unknown": 0},
]
OURS = sorted(name for name, cls in registry._classes.items() if cls.__module__.startswith("mergeable."))
NAMES = [*OURS, "os.system", "builtins:eval", "subprocess:Popen", "tests.Holder", "Unknown", ""]
DTYPES = [
    "<f8",
    "<i8",
    "<f4",
    "<i4",
    "|b1",
    "|u1",
    "|i1",
    ">f8",
    "|O",
    "<U2",
    "|S3",
    "<M8[s]",
    "<c16",
    "<f16",
    "|V8",
    "f8",
    "<f8,<f8",
]
SHAPES = [(), (0,), (1,), (40,), (40, 1), (5, 8), (10**9,), (2**40, 0), (-1,), (0,) * 40, (1.0,), (True,), [40], 40, None]
HEADERS = [
    "",
    "{}",
    "[]",
    "__import__('os').system('true')",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (40,), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (40,), }",
    "{'descr': '<f8', 'fortran_order': 0, 'shape': (40,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (40L,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (40,), 'more': 1}",
    "(" * 900,
    "-" * 900 + "1",
    "\x00\xff",
    " " * 5000,
]


@dataclasses.dataclass(frozen=True)
class Case:
    """An input: what was done to which good file."""

    number: int
    attack: str
    of: str
    data: bytes


def case(number):
    """Return the input of a number."""
    rng = random.Random(number)
    of = rng.choice(sorted(FILES))
    attack = [*ATTACKS][number % len(ATTACKS)]
    return Case(number, attack, of, ATTACKS[attack](rng, of))


def damage(rng, of):
    """Change some bytes of a file; no checksum is mended."""
    changed = FILES[of]
    while changed == FILES[of]:
        changed = _scrambled(rng, changed)
    return changed


def rewrite(rng, of):
    """Change some bytes of what is in a file, and seal it."""
    tree, arrays = copy.deepcopy(PARTS[of])
    contents = [json.dumps(tree, separators=(",", ":")).encode(), *arrays]
    i = rng.randrange(len(contents))
    contents[i] = _scrambled(rng, contents[i])
    return packed(contents[0], contents[1:])


def graft(rng, of):
    """Change some nodes of the manifest's tree, and seal the file."""
    tree, arrays = copy.deepcopy(PARTS[of])
    root = tree if rng.random() < 0.3 else tree["states"]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        _mutate(rng, root)
    return packed(tree, arrays)


def tweak(rng, of):
    """Change numbers, texts and order in a state's value, and seal the file."""
    tree, arrays = copy.deepcopy(PARTS[of])
    root = tree["states"]["held"]
    places = [p for p in _places(root) if not isinstance(p[0][p[1]], dict | list)]
    for holder, key in rng.sample(places, min(len(places), rng.choice([1, 1, 2, 4]))):
        holder[key] = _near(rng, holder[key])
    if rng.random() < 0.2:
        lists = [node for node in _nodes(root) if isinstance(node, list) and len(node) > 1]
        if lists:
            rng.shuffle(rng.choice(lists))
    return packed(tree, arrays)


def swap(rng, of):
    """Give one file parts of another one, and seal it."""
    tree, arrays = copy.deepcopy(PARTS[of])
    other, more = copy.deepcopy(PARTS[rng.choice(sorted(FILES))])
    part = rng.choice(["class", "parameters", "value", "state", "metric", "arrays"])
    if part == "arrays":
        arrays = more
    elif part == "metric":
        tree["metric"] = other["metric"]
    elif part == "state":
        tree["states"]["held"] = other["states"]["held"]
    else:
        tree["states"]["held"][part] = other["states"]["held"][part]
    if rng.random() < 0.3:
        arrays = more
    if rng.random() < 0.2:
        tree["states"]["more"] = other["states"]["held"]
    return packed(tree, arrays)


def misdescribe(rng, of):
    """Give arrays other headers, contents, places and numbers, and seal the file."""
    tree, arrays = copy.deepcopy(PARTS[of])
    i = rng.randrange(len(arrays))
    content = arrays[i][128:] if len(arrays[i]) > 128 else b""
    kind = rng.randrange(6)
    if kind == 0:
        arrays[i] = npy(rng.choice(DTYPES), rng.choice(SHAPES), content[: rng.choice([0, 1, 8, 40, 320, len(content)])])
    elif kind == 1:
        arrays[i] = npy(
            "", (), content, header=rng.choice(HEADERS), version=rng.choice([b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\0\0"])
        )
    elif kind == 2:
        arrays[i] = arrays[i][:128] + _scrambled(rng, content)
    elif kind == 3:
        rng.shuffle(arrays)
    elif kind == 4:
        arrays.insert(rng.randrange(len(arrays) + 1), rng.choice([b"", arrays[i], BOMB, npy("<f8", (1,), bytes(8))]))
    else:
        del arrays[i]
    return packed(tree, arrays)


def rezip(rng, of):
    """Change the zip file's own structure, and seal it."""
    tree, arrays = PARTS[of]
    entries = [Entry("manifest.json", json.dumps(tree).encode()), *(Entry(f"arrays/{i}.npy", a) for i, a in enumerate(arrays))]
    entry = rng.choice(entries)
    name = rng.choice(
        ["field", "field", "field", "name", "order", "twice", "drop", "extra", "gap", "comment", "deflate", "overlap"]
    )
    gap, comment = b"", BLANK
    if name == "field":
        field = rng.choice(["method", "flags", "size", "packed_size", "crc", "offset"])
        setattr(entry, field, rng.choice([0, 1, 2, 8, 12, 2048, 65535, len(entry.content) + 1, len(entry.content) - 1]) % 2**16)
    elif name == "name":
        entry.name = rng.choice(
            [
                "../x",
                "/x",
                "C:\\x",
                "a\\b",
                "",
                "manifest.json",
                "arrays/0.npy",
                "arrays/00.npy",
                "arrays/1.npy",
                "arrays/0.npy\0",
                b"\xff\xfe",
            ]
        )
    elif name == "order":
        rng.shuffle(entries)
    elif name == "twice":
        entries.insert(rng.randrange(len(entries) + 1), entry)
    elif name == "drop":
        entries.remove(entry)
    elif name == "extra":
        entry.extra = rng.choice([b"\1\0\x10\0" + bytes(16), b"\xff\xff\0\0", b"abc"])
    elif name == "gap":
        gap = b"gap"
    elif name == "comment":
        comment = rng.choice([b"", b"more" + BLANK, BLANK + b"more", BLANK[:-1]])
    elif name == "deflate":
        entry.method = zipfile.ZIP_DEFLATED
    else:
        entry.local_name = b"other"
    return zipped(entries, comment=comment, gap=gap)


def poison(rng, of):
    """Put a pickle that would run code in place of a value, and seal the file."""
    tree, arrays = copy.deepcopy(PARTS[of])
    state = tree["states"]["held"]
    arrays = [*arrays, BOMB]
    bomb = {"pickle": {"array": len(arrays) - 1}}
    place = rng.choice(["make", "value", "anywhere"])
    if place == "make":
        state["make"] = {"array": len(arrays) - 1}
    elif place == "value":
        state["value"] = bomb
    else:
        holder, key = rng.choice(_places(tree))
        holder[key] = bomb
    return packed(tree, arrays)


def nest(rng, of):
    """Put a state into others, as deep as a file can say it and deeper, with values that fit or not, and seal the file."""
    tree, arrays = copy.deepcopy(PARTS[of])
    held = tree["states"]["held"]
    parameters, value = held["parameters"], held["value"]
    kinds = rng.choice([["Sliced"], ["Windowed"], ["Bootstrap"], ["Deduplicated"], ["Keyed"], [*_OUTER]])
    kind, copies = held["class"], 1
    for _ in range(rng.choice([1, 2, 4, 7, 12, 16])):
        outer = rng.choice(kinds)
        copies *= 3 if outer == "Bootstrap" else 1
        if copies > 100:
            break
        kind, parameters, value = inside(outer, kind, parameters, value)
    held.update({"class": kind, "parameters": parameters, "value": rng.choice([value, value, value, 0, {"dict": {}}])})
    return packed(tree, arrays)


def inside(outer, kind, parameters, value):
    """Return the class, the parameters and the value of a state that has another one inside, as trees."""
    more, place = _OUTER[outer]
    name = {"Tuple": "0", "Dict": "a"}.get(outer, "state")
    return outer, {"dict": {name: {"tuple": [kind, parameters]}, **more}}, place(value)


def chain(outer, levels):
    """Return a sealed file with a sum in so many states of a class, one inside another."""
    tree, arrays = copy.deepcopy(PARTS["Sum"])
    found = "Sum", {"dict": {"shape": {"tuple": []}}}, {"dict": {"units": [0], "special": []}}
    for _ in range(levels):
        found = inside(outer, *found)
    tree["states"] = {"s0": dict(zip(("class", "parameters", "value"), found, strict=True), pickled=[])}
    return packed(tree, arrays)


_EMPTY = {"dict": {"keys": [], "states": []}}
_OUTER = {
    "Tuple": ({}, lambda value: {"dict": {"0": value}}),
    "Dict": ({}, lambda value: {"dict": {"a": value}}),
    "Keyed": ({}, lambda value: {"dict": {"keys": [1], "states": [value]}}),
    "Sliced": (
        {"by": None, "max_slices": 2},
        lambda value: {"dict": {"kept": _EMPTY, "overflow": {"dict": {"0": {"dict": {"count": 0}}, "1": value}}}},
    ),
    "Windowed": (
        {"last": 3, "every": 1},
        lambda value: {
            "dict": {
                "steps": {
                    "dict": {"keys": [7], "states": [{"dict": {"0": {"dict": {"count": 4}}, "1": value}}]},
                },
                "dropped": {"dict": {"count": 0}},
            }
        },
    ),
    "Bootstrap": ({"replicates": 2, "seed": 0}, lambda value: {"dict": {"states": [value] * 3}}),
    "Deduplicated": (
        {"columns": {"tuple": ["c"]}},
        lambda value: {"dict": {"rows": {"dict": {"columns": None}}, "came": {"dict": {"count": 0}}}},
    ),
}


def intrude(rng, of):
    """Give a file attributes and arguments that nothing declares, and seal it."""
    tree, arrays = copy.deepcopy(PARTS[of])
    names = rng.sample(INTRUDERS, rng.choice([1, 1, 3]))
    place = rng.choice(["undeclared", "undeclared", "arguments", "value", "plots", "states"])
    part = {
        "undeclared": tree["undeclared"],
        "arguments": tree["metric"]["arguments"]["dict"],
        "value": tree["states"]["held"]["value"].get("dict", {}) if isinstance(tree["states"]["held"]["value"], dict) else {},
        "plots": tree["metric"]["plots"],
        "states": tree["states"],
    }[place]
    state = tree["states"]["held"]
    part.update({name: {"plots": "held", "states": state}.get(place, rng.choice(INTRUSIONS)) for name in names})
    return packed(tree, arrays)


INTRUDERS = [
    *(
        "__array_interface__",
        "__array__",
        "__fspath__",
        "__tf_tensor__",
        "__deepcopy__",
        "__class__",
        "__dict__",
        "__wrapped__",
    ),
    *(
        "_repr_html_",
        "_slots",
        "_lock",
        "_waiting",
        "_frozen",
        "update",
        "update_state",
        "result",
        "name",
        "dtype",
        "extra",
        "",
    ),
]
INTRUSIONS = [
    0,
    "x",
    {"dict": {"shape": {"tuple": [1]}, "typestr": "<f8", "data": {"tuple": [1, False]}, "version": 3}},
    {"list": {"array": ["<f8", [2], "00" * 16]}},
]

ATTACKS = {
    "bytes, not sealed": damage,
    "bytes of an entry": rewrite,
    "nodes of the manifest": graft,
    "numbers and texts": tweak,
    "parts of another file": swap,
    "arrays and headers": misdescribe,
    "the zip file itself": rezip,
    "pickles": poison,
    "states in states": nest,
    "attributes and arguments": intrude,
}
"""What is done to a good file. All but the first seal what they made."""


def _scrambled(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at : at + rng.choice([1, 1, 4, 100])]
        elif kind == 3:
            data[at:at] = data[at : at + rng.choice([1, 1, 4, 100])]
        elif kind == 4:
            data[at:at] = rng.choice(
                [b"\0", b"{", b"}", b"[", b"]", b'"', b",", b"0", b"9", b"-", b"e9", b"NaN", b"\xff", b"\xc3\xa9"]
            )
        else:
            del data[at:]
    return bytes(data)


def _places(root):
    """Return every node below the root as its holder and its key."""
    found = []
    for node in _nodes(root):
        found.extend((node, key) for key in (node if isinstance(node, dict) else range(len(node))))
    return found


def _nodes(root):
    """Return every object and list at and below the root."""
    found = [root]
    for node in found:
        found.extend(part for part in (node.values() if isinstance(node, dict) else node) if isinstance(part, dict | list))
    return found


def _mutate(rng, root):
    places = _places(root)
    if not places:
        return
    holder, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        holder[key] = copy.deepcopy(rng.choice(PLAIN))
    elif kind in (1, 2):
        holder[key] = copy.deepcopy(rng.choice(TAGGED))
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        other, place = rng.choice(places)
        holder[key] = copy.deepcopy(other[place])
    elif kind == 5:
        if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[rng.choice(["a", "0", "1", "array", "tuple", *holder])] = holder.pop(key)
    elif kind == 6:
        holder[key] = rng.choice([[holder[key]], {"tuple": [holder[key]]}, {"list": holder[key]}, {"dict": {"a": holder[key]}}])
    elif isinstance(holder[key], str):
        holder[key] = rng.choice(NAMES)
    else:
        holder[key] = _near(rng, holder[key])


def _near(rng, value):
    """Return a value like this one."""
    if isinstance(value, bool) or value is None:
        return rng.choice([True, False, None, 0, 1])
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, value * 2, value << 40, float(value), str(value), 0])
    if isinstance(value, float):
        return rng.choice([-value, value * 2, value + 1.0, int(value) if abs(value) < 1e300 else 0, 0.0, 1e-310])
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        return rng.choice(
            [value[:at] + rng.choice("0123456789abcdef-xp\x00") + value[at + 1 :], value[:at], value[at:], "-" + value]
        )
    return copy.deepcopy(rng.choice(PLAIN))


# What a program may do with a file.

SOURCE = "stranger.mg"


class Broken(AssertionError):
    """A file was read as something that it may not be."""


def outcome(data, of):
    """Read a file and use what loads; return "refused" or "consistent", and raise where it does anything else."""
    ran.clear()
    try:
        loaded = read_snapshot(data, SOURCE, trusted=False)
    except mg.SnapshotError as error:
        expect(str(error).startswith(f"{SOURCE}: "), f"the text is {error}")
        expect(not ran, "code has run")
        return "refused"
    use(loaded, of)
    expect(not ran, "code has run")
    return "consistent"


def use(loaded, of):
    """Do with a snapshot what a program may do with it."""
    states = loaded.states
    expect(loaded.coverage.updates >= 0 and loaded.coverage.rows >= 0, "the coverage is negative")
    str(loaded), loaded.arguments, loaded.origins

    again = read_snapshot(loaded.to_bytes(), "again", trusted=False)
    expect(loaded.to_bytes() == again.to_bytes(), "the file that it writes is read as another one")
    expect(canonical_bytes(states) == canonical_bytes(again.states), "the states that it writes are read as others")
    expect(results(states) == results(again.states), "the results differ after a round trip")
    expect(loaded.coverage == again.coverage and loaded.coverage.missing == again.coverage.missing, "the coverage differs")
    expect(canonical_bytes([*loaded.metadata]) == canonical_bytes([*again.metadata]), "the metadata differ")

    for pieces in ([OTHERS[of], loaded], [loaded, OTHERS[of]]):
        try:
            merged = mg.merge(pieces)
        except REFUSALS:
            continue
        known = read_snapshot(merged.to_bytes(), "merged", trusted=False).states
        found = {name: state for name, state in merged.states.items() if name in known}
        expect(canonical_bytes(found) == canonical_bytes(known), "what was merged is read as something else")
        results(found)
    if of not in OWN:
        try:
            loaded.result()
        except REFUSALS:
            pass
        except ValueError as error:
            expect(ALIKE in str(error), repr(error))
    take_over(loaded, of)


def take_over(loaded, of):
    """Restore a metric from a snapshot: no attribute may come of it."""
    metric = Holder(of)
    before = {name: value for name, value in metric.__dict__.items() if name != "_slots"}
    with contextlib.suppress(*REFUSALS):
        metric.restore(loaded)
    after = {name: value for name, value in metric.__dict__.items() if name != "_slots"}
    expect(before == after, f"the attributes were {sorted(before)} and are {sorted(after)}")
    expect(not internals(metric).undeclared, "an attribute was set")


REFUSALS = (mg.SnapshotError, mg.IncompatibleStates, mg.DuplicateOrigin, mg.UndeclaredState)
ALIKE = "which are two keys here and one in a dict"
"""What ``Keyed.result`` says of keys that no dict tells apart, whether they came from updates or from a file."""


def results(states):
    """Return the results of states, or the texts of the error that is the result of such values, as bytes."""
    found = {}
    for name, state in states.items():
        try:
            found[name] = state.result()
        except ValueError as error:
            expect(ALIKE in str(error), repr(error))
            found[name] = str(error)
    return canonical_bytes(found)


def expect(holds, otherwise):
    """Raise ``Broken`` unless a claim holds."""
    if not holds:
        raise Broken(otherwise)
