"""A file from a stranger is read as what it says, whole and unchanged, or refused: no code, no wrong number, no bomb."""

import contextlib
import copy
import gc
import json
import math
import random
import re
import sys
import tracemalloc

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding import plain
from mergeable.encoding.archive import Archive, seal
from mergeable.encoding.canonical import canonical_bytes
from mergeable.snapshot import read_snapshot
from tests import hostile
from tests.effort import tries
from tests.hostile import Entry, npy, packed, zipped

SMALL = hostile.FILES["wide Count"]
ADVICE = "Expected a snapshot of mergeable, whole and unchanged; save it again, or leave it out."


def refusal(data, **options):
    """Return the text with which a file is refused."""
    with pytest.raises(mg.SnapshotError) as caught:
        read_snapshot(bytes(data), "dir/a.mg", **{"trusted": False, **options})
    text = str(caught.value)
    assert text.startswith("dir/a.mg: ")
    assert text.endswith((ADVICE, "because reading a pickle runs code that it chooses."))
    assert len(text) < 1000
    return text


def manifest(of="Max", **members):
    """Return the manifest of a good file, with other members."""
    return {**copy.deepcopy(hostile.PARTS[of][0]), **members}


def forged(kind, parameters, value, copies=1, **more):
    """Return a sealed file whose states say this of themselves."""
    writer = plain.Writer(lambda value: pytest.fail(f"{value!r} is no plain data"))
    state = {"class": kind, "parameters": writer.tree(parameters), "value": writer.tree(value), "pickled": [], **more}
    tree = manifest(states={f"s{i}": state for i in range(copies)}, metadata=[])
    return packed(tree, [npy(array.dtype.str, array.shape, array.tobytes()) for array in writer.arrays])


# Damage: every bit is checked.


def test_the_small_file_is_good():
    """The file that is damaged below loads, holds an array of its own, and is small."""
    assert list(range(40)) == read_snapshot(SMALL, "here", trusted=False).states["held"].result().tolist()
    assert 2 == len(hostile.PARTS["wide Count"][1])
    assert 1500 < len(SMALL) < 2800


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_counts(bit):
    """A file with any one bit flipped does not load, not even with what it held."""
    data = bytearray(SMALL)
    for i in range(len(data)):
        data[i] ^= 1 << bit
        refusal(data)
        data[i] ^= 1 << bit


def test_every_byte_counts():
    """A file that was cut anywhere, or has any byte removed, doubled or inserted, does not load."""
    for i in range(len(SMALL)):
        refusal(SMALL[:i])
        refusal(SMALL[i + 1 :])
        refusal(SMALL[:i] + SMALL[i + 1 :])
        refusal(SMALL[:i] + SMALL[i : i + 1] + SMALL[i:])
        refusal(SMALL[:i] + b"\0" + SMALL[i:])


@pytest.mark.parametrize("more", [b"\0", b"\n", b"PK", SMALL, SMALL[-47:], bytes(70_000)], ids=range(6))
def test_nothing_stands_before_or_after(more):
    """A file with bytes before or after it, a second file among them, does not load."""
    refusal(SMALL + more)
    refusal(more + SMALL)


def test_a_seal_that_fits_is_no_accident():
    """The helper that forges files makes what the library makes, where it changes nothing."""
    for name, (tree, arrays) in hostile.PARTS.items():
        assert "consistent" == hostile.outcome(packed(tree, arrays), name), name
    tree, arrays = hostile.PARTS["wide Count"]
    text = json.dumps(tree, separators=(",", ":")).encode()
    assert Archive(zipped([Entry("manifest.json", text)])).tree == Archive(seal(tree)).tree == tree


# The zip file.


def entries(**changes):
    """Return the entries of a good file, the last of them with other fields."""
    tree, arrays = hostile.PARTS["wide Count"]
    made = [Entry("manifest.json", json.dumps(tree).encode()), *(Entry(f"arrays/{i}.npy", a) for i, a in enumerate(arrays))]
    for name, value in changes.items():
        setattr(made[-1], name, value)
    return made


ZIPS = {
    "../../etc/passwd": (lambda: zipped(entries(name="../../etc/passwd")), r"has the entry '\.\./\.\./etc/passwd', expected"),
    "/etc/passwd": (lambda: zipped(entries(name="/etc/passwd")), "has the entry '/etc/passwd', expected"),
    "a backslash": (lambda: zipped(entries(name=r"arrays\1.npy")), r"has the entry 'arrays\\\\1.npy', expected"),
    "a drive": (lambda: zipped(entries(name="C:/arrays/1.npy")), "has the entry 'C:/arrays/1.npy', expected"),
    "another case": (lambda: zipped(entries(name="ARRAYS/1.npy")), "has the entry 'ARRAYS/1.npy', expected"),
    "another number": (lambda: zipped(entries(name="arrays/01.npy")), "has the entry 'arrays/01.npy', expected"),
    "a gap in the numbers": (lambda: zipped(entries(name="arrays/2.npy")), "has the entry 'arrays/2.npy', expected"),
    "a zero byte": (lambda: zipped(entries(name="arrays/1.npy\0.exe")), r"has the entry 'arrays/1\.npy\\x00\.exe', expected"),
    "no name": (lambda: zipped(entries(name="")), "has the entry '', expected"),
    "two names": (lambda: zipped(entries(local_name=b"arrays/7.npy")), "'arrays/1.npy' is .* hidden"),
    "an entry twice": (lambda: zipped([*entries(), entries()[-1]]), "has the entry 'arrays/1.npy', expected arrays/2.npy"),
    "two manifests": (lambda: zipped([entries()[0], *entries()]), "has the entry 'manifest.json', expected arrays/0.npy"),
    "out of order": (lambda: zipped(entries()[::-1]), "has the entry 'arrays/1.npy', expected manifest.json"),
    "no manifest": (lambda: zipped(entries()[1:]), "has the entry 'arrays/0.npy', expected manifest.json"),
    "no entries": (lambda: b"PK\3\4" + zipped([])[4:], "damaged|no zip file"),
    "no entries but bytes": (lambda: zipped([], gap=b"PK\3\4"), "bytes between the last entry and the directory"),
    "an entry more": (lambda: zipped([*entries(), Entry("arrays/2.npy", npy("<f8", (1,), bytes(8)))]), "nothing refers to"),
    "an entry less": (lambda: zipped(entries()[:-1]), "the array 1, which is missing or used before"),
    "compressed": (lambda: zipped(entries(method=8)), "'arrays/1.npy' is compressed"),
    "a zip bomb": (lambda: zipped(entries(method=8, content=npy("|u1", (10**8,), bytes(10**8)))), "is compressed"),
    "a compressed manifest": (
        lambda: zipped([Entry("manifest.json", b" " * 10**7, method=8)]),
        "'manifest.json' is compressed",
    ),
    "another method": (lambda: zipped(entries(method=14)), "'arrays/1.npy' is compressed"),
    "encrypted": (lambda: zipped(entries(flags=1)), "'arrays/1.npy' is compressed, encrypted"),
    "sizes that follow": (lambda: zipped(entries(flags=8)), "hidden, or not where it should be"),
    "a size too large": (lambda: zipped(entries(size=10**9)), "not where it should be"),
    "both sizes too large": (lambda: zipped(entries(size=10**9, packed_size=10**9)), "bytes between the last entry and"),
    "both sizes too small": (lambda: zipped(entries(size=9, packed_size=9)), "bytes between the last entry and the directory"),
    "sizes of zip64": (lambda: zipped(entries(size=2**32 - 1, packed_size=2**32 - 1)), "damaged"),
    "the largest offset": (lambda: zipped(entries(offset=2**32 - 1)), "damaged"),
    "overlapping": (lambda: zipped(entries(offset=0)), "not where it should be"),
    "another checksum": (lambda: zipped(entries(crc=7)), "arrays/1.npy: the checksum differs, so a bit of it was changed"),
    "bytes in a gap": (lambda: zipped(entries(), gap=b"hidden"), "bytes between the last entry and the directory"),
    "bytes in the comment": (lambda: zipped(entries(), comment=b"hidden" + hostile.BLANK), "bytes before the seal"),
    "no seal": (lambda: zipped(entries(), comment=b""), "no seal at its end, so it was cut, changed, or written by another"),
    "another seal": (lambda: zipped(entries())[:-1] + b"x", "the seal does not fit the file, so a bit of it was changed"),
    "nothing": (lambda: b"", "this is no zip file of mergeable"),
    "text": (lambda: b"hello", "this is no zip file of mergeable"),
    "a seal alone": (lambda: b"PK\3\4" + hostile.BLANK, "the zip file's directory is damaged"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_zip_files_of_another_form(name):
    """A sealed zip file with other entries, names, sizes, places or flags is refused, and the error says which."""
    make, text = ZIPS[name]
    assert re.search(text, refusal(make()))


def test_names_write_nothing(tmp_path, monkeypatch):
    """Reading extracts nothing: the folder of a file with hostile names stays as it was."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mg").write_bytes(zipped(entries(name="../b.npy")))

    with pytest.raises(mg.SnapshotError, match=r"^a\.mg: the zip file has the entry '\.\./b\.npy'"):
        mg.load("a.mg")
    assert ["a.mg"] == [path.name for path in tmp_path.iterdir()]
    assert not (tmp_path.parent / "b.npy").exists()


# Arrays.

INTS = np.arange(40).tobytes()
ARRAYS = {
    "10**9 elements": (npy("<i8", (10**9,), INTS), "found 320 bytes for an array of '<i8' and shape .1000000000."),
    "10**9 elements of nothing": (npy("<i8", (10**9, 0)), "shape"),
    "negative": (npy("<i8", (-40,), INTS), "found the shape"),
    "minus times minus": (npy("<i8", (-40, -1), INTS), "found the shape"),
    "floats": (npy("<i8", (40.0,), INTS), "found the shape .40.0,."),
    "bools": (npy("<i8", (40, True), INTS), "found the shape"),
    "a list": (npy("<i8", [40], INTS), "the header is damaged"),
    "a number": (npy("<i8", 40, INTS), "the header is damaged"),
    "huge": (npy("<i8", (2**62, 2**62, 0)), "found the shape"),
    "huger": (npy("<i8", (10**500, 0)), "found the shape"),
    "40 axes": (npy("<i8", (1,) * 40, INTS[:8]), "found the shape"),
    "text of 800 MB": (npy("<U200000000", (0,)), "found the dtype '<U200000000'"),
    "objects": (npy("|O", (40,), INTS), "found the dtype '|O', expected little-endian numbers or strings"),
    "objects in fields": (npy([("a", "|O")], (40,), INTS), "found the dtype list, expected little-endian numbers"),
    "fields": (npy([("a", "<i8")], (40,), INTS), "expected little-endian numbers or strings"),
    "arrays in arrays": (npy(("<i8", (2,)), (20,), INTS), "found the dtype tuple, expected little-endian numbers or strings"),
    "big-endian": (npy(">i8", (40,), INTS), "found the dtype '>i8', expected little-endian numbers or strings"),
    "void": (npy("|V8", (40,), INTS), "expected little-endian numbers or strings"),
    "long doubles": (npy("<f16", (20,), INTS), "expected little-endian numbers or strings"),
    "complex long doubles": (npy("<c32", (10,), INTS), "expected little-endian numbers or strings"),
    "bools of 2": (npy("|b1", (320,), INTS), "found bools that are neither 0 nor 1"),
    "no text": (npy("<U1", (1,), b"\0\0\x11\0"), "found strings with characters beyond Unicode"),
    "column by column": (npy("<i8", (8, 5), INTS, fortran="True"), "stored column by column"),
    "no truth": (npy("<i8", (40,), INTS, fortran="1"), "the header is damaged"),
    "version 2": (npy("<i8", (40,), INTS, version=b"\2\0"), "no header of the npy format 1.0"),
    "version 3": (npy("<i8", (40,), INTS, version=b"\3\0"), "no header of the npy format 1.0"),
    "version 0": (npy("<i8", (40,), INTS, version=b"\0\0"), "no header of the npy format 1.0"),
    "a header of 60 KB": (npy("", (), INTS, header=" " * 60_000 + "{}"), "no header of the npy format 1.0"),
    "a header that is code": (npy("", (), INTS, header="__import__('os').system('touch owned')"), "the header is damaged"),
    "a header that nests": (npy("", (), INTS, header="(" * 900), "the header is damaged"),
    "a header of signs": (npy("", (), INTS, header="-" * 900 + "1"), "the header is damaged"),
    "a header of a list": (npy("", (), INTS, header="[]"), "the header is damaged"),
    "a member more": (
        npy("", (), INTS, header="{'descr':'<i8','fortran_order':False,'shape':(40,),'x':1}"),
        "the header is damaged",
    ),
    "a header of the first years": (
        npy("", (), INTS, header="{'descr': '<i8', 'fortran_order': False, 'shape': (40L,)}"),
        "the header is damaged",
    ),
    "a header that names a type": (npy("int64", (40,), INTS), "found the dtype 'int64', expected little-endian numbers"),
    "half a header": (npy("<i8", (40,), INTS)[:20], "the header is damaged"),
    "no header": (b"", "no header of the npy format 1.0"),
    "a byte more": (npy("<i8", (40,), INTS + b"\0"), "found 321 bytes for an array of '<i8' and shape .40."),
    "a byte less": (npy("<i8", (40,), INTS[:-1]), "found 319 bytes for an array of '<i8' and shape .40."),
    "int32": (npy("<i4", (80,), INTS), "found an array of int32 and shape .80,., expected an array of int64 and shape .40,."),
    "floats for counts": (npy("<f8", (40,), INTS), "found an array of float64 and shape .40,., expected an array of int64"),
    "two axes": (npy("<i8", (8, 5), INTS), "found an array of int64 and shape .8, 5., expected an array of int64 and shape"),
    "negative counts": (npy("<i8", (40,), np.arange(40).astype("<i8").tobytes()[:-8] + b"\xff" * 8), "found -1, expected a"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_another_form(name):
    """An array whose header or content is not what the state's would be is refused, and the error says why."""
    content, text = ARRAYS[name]
    tree, arrays = hostile.PARTS["wide Count"]
    at = next(i for i, array in enumerate(arrays) if array == npy_of_the_count())
    assert re.search(text, refusal(packed(tree, [*arrays[:at], content, *arrays[at + 1 :]])))


def npy_of_the_count():
    return next(array for array in hostile.PARTS["wide Count"][1] if array.endswith(INTS))


def test_an_array_is_used_once():
    """An array that two places refer to, or none, is refused: no small text stands for much data."""
    tree, arrays = hostile.PARTS["wide Count"]
    twice = {**tree, "metadata": [*tree["metadata"], *tree["metadata"]]}

    assert "which is missing or used before" in refusal(packed(twice, arrays))
    assert "found entries that nothing refers to" in refusal(packed({**tree, "metadata": []}, arrays))


# The manifest.

GOOD = json.dumps(manifest(metadata=[]))
TEXTS = {
    "nothing": ("", "manifest.json: found what is not JSON"),
    "no JSON": ("{", "manifest.json: found what is not JSON"),
    "two values": (GOOD + "{}", "found what is not JSON"),
    "a comment": (GOOD + "// more", "found what is not JSON"),
    "Latin-1": (GOOD.replace('"holder"', '"h\xf6lder"').encode("latin1"), "found text that is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "found text that is not UTF-8"),
    "UTF-32": (GOOD.encode("utf-32-le"), "found what is not JSON"),
    "a lone surrogate in UTF-8": (GOOD.replace('"holder"', '"\ud800"').encode("utf-8", "surrogatepass"), "that is not UTF-8"),
    "a byte-order mark": (b"\xef\xbb\xbf" + GOOD.encode(), "found what is not JSON"),
    "NaN": (GOOD.replace('"n_nan": 1', '"n_nan": NaN'), "found NaN, which is not JSON"),
    "Infinity": (GOOD.replace('"n_nan": 1', '"n_nan": -Infinity'), "found -Infinity, which is not JSON"),
    "1e999": (GOOD.replace('"n_nan": 1', '"n_nan": 1e999'), "found the number '1e999', expected finite ones"),
    "5,000 digits": (GOOD.replace('"n_nan": 1', f'"n_nan": {"9" * 5000}'), r"found the number '9{36}\.\.\., expected whole"),
    "2**53": (GOOD.replace('"n_nan": 1', f'"n_nan": {2**53}'), "found the number '9007199254740992', expected whole numbers"),
    "a member twice": (GOOD.replace('"version"', '"format": "mergeable snapshot", "version"'), "twice in one object"),
    "a kind twice": (GOOD.replace('{"dict"', '{"dict": {}, "dict"', 1), "twice in one object"),
    "100,000 lists": ("[" * 100_000, "found JSON that nests too deeply"),
    "100,000 objects": ('{"dict":' * 100_000, "found JSON that nests too deeply"),
    "a list": ("[]", "manifest.json does not say that this is a snapshot"),
    "a number": ("1", "manifest.json does not say that this is a snapshot"),
    "null": ("null", "manifest.json does not say that this is a snapshot"),
    "an empty object": ("{}", "manifest.json does not say that this is a snapshot"),
    "another format": (GOOD.replace("mergeable snapshot", "a snapshot"), "manifest.json does not say that this is a snapshot"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_manifests_of_another_form(name):
    """A manifest that is not UTF-8, not JSON, or has numbers, members and depths that no save writes, is refused."""
    text, expected = TEXTS[name]
    assert GOOD != text
    assert re.search(expected, refusal(packed(text)))


@pytest.mark.parametrize(
    "version", [0, -1, 3, 10**9, "1", 1.0, True, None, [1], {}, [[]] * 10_000], ids=lambda version: repr(version)[:20]
)
def test_versions(version):
    """A file of a version that this library does not read says so; where the version is newer, it says to upgrade."""
    text = refusal(packed(manifest(version=version)))

    assert "of the format, and mergeable 0.1.0 reads up to 2" in text
    assert (type(version) is int and version > 2) == ("upgrade mergeable" in text)


MEMBERS = {
    "no metric": (lambda t: t.pop("metric"), "manifest.json has the members"),
    "a member more": (lambda t: t.update(more=1), "manifest.json has the members"),
    "no library version": (lambda t: t.update(mergeable=1), "manifest.json has the members"),
    "a metric that is none": (lambda t: t.update(metric=[]), "manifest.json holds a list where an object should be"),
    "a metric without a name": (lambda t: t["metric"].pop("name"), "expected class, name, arguments, omitted, merge, plots"),
    "a metric with more": (lambda t: t["metric"].update(code="x"), "expected class, name, arguments, omitted, merge, plots"),
    "a class that is no text": (lambda t: t["metric"].update({"class": 1}), "does not say which metric this is"),
    "a name that is no text": (lambda t: t["metric"].update(name=None), "does not say which metric this is"),
    "arguments that are no dict": (lambda t: t["metric"].update(arguments=[]), "does not say which metric this is"),
    "arguments without names": (
        lambda t: t["metric"].update(arguments={"items": [[1, 2]]}),
        "does not say which metric this is",
    ),
    "omitted that are no texts": (lambda t: t["metric"].update(omitted=[1]), "does not say which metric this is"),
    "another merge": (lambda t: t["metric"].update(merge="mine"), "does not say which metric this is"),
    "a merge that is no text": (lambda t: t["metric"].update(merge=[]), "does not say which metric this is"),
    "plots that are no texts": (lambda t: t["metric"].update(plots={"a": 1}), "does not say which metric this is"),
    "plots that are no object": (lambda t: t["metric"].update(plots=[]), "holds a list where an object should be"),
    "states that are none": (lambda t: t.update(states=[]), "holds a list where an object should be"),
    "a state that is none": (lambda t: t["states"].update(held=1), "holds a int where an object should be"),
    "a state without a value": (lambda t: t["states"]["held"].pop("value"), "state 'held' is described by"),
    "a state with more": (lambda t: t["states"]["held"].update(code=1), "state 'held' is described by"),
    "a state's class": (lambda t: t["states"]["held"].update({"class": None}), "state 'held' is described by"),
    "a state's parameters": (
        lambda t: t["states"]["held"].update(parameters=1),
        "state 'held' has parameters that are no dict",
    ),
    "parameters without names": (
        lambda t: t["states"]["held"].update(parameters={"items": [[1, 2]]}),
        "state 'held' has parameters that are no dict",
    ),
    "a state's pickles": (lambda t: t["states"]["held"].update(pickled=1), "state 'held' does not say what in it is pickled"),
    "pickles that are no texts": (lambda t: t["states"]["held"].update(pickled=[1]), "does not say what in it is pickled"),
    "a state's make": (lambda t: t["states"]["held"].update(make=1), "holds a int where an object should be"),
    "a make that is no array": (lambda t: t["states"]["held"].update(make={"array": "0"}), "found the array '0', which is"),
    "attributes": (lambda t: t.update(undeclared=[]), "holds a list where an object should be"),
    "coverage": (lambda t: t.update(coverage=[]), "the coverage is damaged .found no coverage"),
    "origins": (lambda t: t["coverage"].update(origins=[]), "the coverage is damaged .found no coverage"),
    "coverage with more": (lambda t: t["coverage"].update(more=1), "the coverage is damaged .found no coverage"),
    "missing pieces": (lambda t: t["coverage"].update(missing=[1]), "found no list of missing pieces"),
    "an id with a line's end": (
        lambda t: t["coverage"]["origins"].update({"a\n": t["coverage"]["origins"]["0a"]}),
        r"got the origin 'a\\n' of 2 characters",
    ),
    "an endless id": (
        lambda t: t["coverage"]["origins"].update({"a" * 999: t["coverage"]["origins"]["0a"]}),
        "of 999 characters, expected 1 to 200",
    ),
    "names in version 1": (
        lambda t: t["coverage"].update(pieces={"a": ["0a"]}),
        "the coverage has names of pieces, which version 1 of the format does not know",
    ),
    "names that are none": (lambda t: t["coverage"].update(pieces=["a"]), "found pieces of other origins than those"),
    "a name of another origin": (
        lambda t: t["coverage"].update(pieces={"a": ["0b"]}),
        "found pieces of other origins than those",
    ),
    "a name of no list": (lambda t: t["coverage"].update(pieces={"a": "0a"}), "found pieces of other origins than those"),
    "an origin twice in a piece": (lambda t: t["coverage"].update(pieces={"a": ["0a"] * 2}), "found pieces of other origins"),
    "a name with an escape": (lambda t: t["coverage"].update(pieces={"\x1b": ["0a"]}), r"got the origin '\\x1b' of 1 char"),
    "an endless name": (
        lambda t: t["coverage"].update(pieces={"a" * 10**5: ["0a"]}),
        "of 100000 characters, expected 1 to 200",
    ),
    "an origin that is none": (lambda t: t["coverage"]["origins"].update(a=1), "found an origin that says something else"),
    "an origin with more": (lambda t: t["coverage"]["origins"]["0a"].update(x=1), "an origin that says something else"),
    "negative updates": (lambda t: t["coverage"]["origins"]["0a"].update(updates=-1), "an origin that says something else"),
    "half an update": (lambda t: t["coverage"]["origins"]["0a"].update(updates=0.5), "an origin that says something else"),
    "true updates": (lambda t: t["coverage"]["origins"]["0a"].update(updates=True), "an origin that says something else"),
    "huge updates": (
        lambda t: t["coverage"]["origins"]["0a"].update(updates={"int": "0x1p99"}),
        "an origin that says something else",
    ),
    "metadata": (lambda t: t.update(metadata={}), "holds a dict where a list should be"),
    "metadata that are no dict": (lambda t: t.update(metadata=[1]), "the metadata are no dicts with origins"),
    "metadata without origins": (lambda t: t.update(metadata=[{"dict": {}}]), "the metadata are no dicts with origins"),
    "metadata of numbers": (
        lambda t: t.update(metadata=[{"dict": {"origins": [1]}}]),
        "the metadata are no dicts with origins",
    ),
    "metadata without names": (
        lambda t: t.update(metadata=[{"items": [["origins", []], [1, 2]]}]),
        "the metadata are no dicts with origins",
    ),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_of_another_form(name):
    """A member that is missing, unknown or of another type is refused, and the error names it."""
    change, text = MEMBERS[name]
    tree = manifest(metadata=[])
    change(tree)
    assert re.search(text, refusal(packed(tree)))


ELSEWHERE = [None, True, -1, 1.5, "x", [], [[]], {"dict": {}}, {"array": 0}, {"tuple": [1, 2]}, {"float": "7ff8000000000000"}]


MOST = tries(12, 48)


def some(places, most=MOST):
    """Return all of few places, and some of many, the same ones every time."""
    listed = [*places]
    return random.Random(0).sample(listed, min(most, len(listed)))


@pytest.mark.parametrize("name", hostile.STATES)
def test_nodes_of_another_form(name):
    """The nodes of every state's entry, dropped, doubled or put in place of by another, is refused or is a possible value."""
    tree, arrays = hostile.PARTS[name]
    root = {"held": copy.deepcopy(tree["states"]["held"])}
    seen = set()
    for holder, key in some(hostile._places(root)):
        before = copy.copy(holder)
        for node in ELSEWHERE:
            holder[key] = node
            seen.add(hostile.outcome(packed({**tree, "states": root}, arrays), name))
        del holder[key]
        seen.add(hostile.outcome(packed({**tree, "states": root}, arrays), name))
        holder.clear()
        if isinstance(holder, list):
            holder.extend([*before[: key + 1], *before[key:]])
            seen.add(hostile.outcome(packed({**tree, "states": root}, arrays), name))
            holder[:] = before
        else:
            holder.update(before)

    assert tree["states"] == root
    assert "refused" in seen


@pytest.mark.parametrize("part", ["metric", "coverage", "metadata", "undeclared"])
def test_parts_of_another_form(part):
    """The nodes of the rest of a manifest, dropped or put in place of by anything, is refused or is a possible value."""
    tree, arrays = hostile.PARTS["wide Set"]
    root = {part: copy.deepcopy(tree[part])}
    for holder, key in some(hostile._places(root), 8):
        before = holder[key]
        for node in [*hostile.PLAIN, *hostile.TAGGED]:
            holder[key] = node
            hostile.outcome(packed({**tree, **root}, arrays), "wide Set")
        holder[key] = before
    assert tree[part] == root[part]


# Values.

HUGE = 2**8000
KINDS = {
    "a large number of few digits": ({"int": "0x1p9999"}, "found the whole number"),
    "a number of many bits": ({"int": "0x" + "f" * 2049}, "found the whole number"),
    "a number with an underscore": ({"int": "0x1_0"}, "found the whole number"),
    "a number with a space": ({"int": "0x10 "}, "found the whole number"),
    "a number in other digits": ({"int": "0x\u0661"}, "found the whole number"),
    "a decimal number": ({"int": "10"}, "found the whole number"),
    "a negative shift": ({"int": "0x1p-4"}, "found the whole number"),
    "a number that is one": ({"int": 1}, "found the whole number"),
    "a short float": ({"float": "7ff8"}, "found the bytes"),
    "a float in capitals": ({"float": "7FF8000000000000"}, "found the bytes"),
    "bytes with spaces": ({"bytes": "00 ff"}, "found the bytes"),
    "a set with a member twice": ({"set": [1, 1.0]}, "found a set with a member twice"),
    "a set of lists": ({"set": [[1]]}, "found what is no set .TypeError: unhashable type: 'list'"),
    "a dict with a key twice": ({"items": [[1, 0], [True, 0]]}, "found a dict with a key twice"),
    "a dict of no pairs": ({"items": [[1, 2, 3]]}, "found what is no items"),
    "a dict that is a list": ({"dict": []}, "found what is no dict"),
    "an unknown kind": ({"code": 1}, "found the kind 'code', expected one of int, float"),
    "two kinds": ({"int": "0x1", "float": "00"}, "expected an object with one member"),
    "no kind": ({}, "expected an object with one member"),
    "numbers of another kind": ({"list": {"array": ["<i4", [1], "00000000"]}}, "expected an array of numbers"),
    "a table as numbers": ({"tuple": {"array": ["<i8", [1, 1], "00" * 8]}}, "expected an array of numbers"),
    "numbers that are a tuple": ({"list": {"tuple": []}}, "expected an array of numbers"),
    "an array of dates and a zero": ({"array": ["<M8[0s]", [1], "00" * 8]}, "found the dtype"),
    "an array of a record": ({"array": ["<i8,<i8", [1], "00" * 16]}, "found the dtype"),
    "an array that is no list": ({"array": {"a": 1}}, "expected a list"),
    "objects of another shape": ({"objects": [[2, 10**9], [1]]}, "found 1 objects for an array of shape .2, 1000000000."),
    "a scalar that is a date": ({"scalar": ["<M8[s]", "00" * 8]}, "found the dtype '<M8.s.', expected a number's"),
    "a scalar that is a text": ({"scalar": ["<U1", "00" * 4]}, "found the dtype '<U1', expected a number's"),
    "a scalar of two": ({"scalar": ["<f8", "00" * 16]}, "found 16 bytes for an array of '<f8' and shape"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_another_form(name):
    """A value that is written as no save writes it is refused, wherever it stands, and the error says where."""
    node, text = KINDS[name]
    tree = manifest(metadata=[{"dict": {"origins": [], "x": node}}])
    found = refusal(packed(tree))
    assert re.search(f"the metadata: .*{text}", found)
    tree = manifest(metadata=[])
    tree["states"]["held"]["value"] = node
    assert re.search(f"state 'held': .*{text}", refusal(packed(tree)))


def test_many_keys_of_one_hash():
    """Keys that have one hash, of which a dict would compare each with all others, are refused."""
    alike = [(2**61 - 1) * n for n in range(2**60, 2**60 + 5000)]
    for kind, parameters, value in [
        ("Set", {}, {"keys": alike}),
        ("Counter", {}, {"keys": alike, "counts": [1] * 5000}),
        ("Keyed", {"state": ("Max", {})}, {"keys": alike, "states": [{"value": None, "n_nan": 0}] * 5000}),
        ("ConfusionMatrix", {"classes": None, "weighted": False}, {"true": alike, "pred": alike, "amounts": [1] * 5000}),
        ("Unknown", {}, set(alike)),
        ("Unknown", {}, dict.fromkeys(alike)),
        ("Unknown", {"classes": frozenset(alike)}, None),
    ]:
        assert "have one hash" in refusal(forged(kind, parameters, value)), kind
    few = forged("Set", {}, {"keys": [2**n for n in range(5000)]})
    assert 5000 == len(read_snapshot(few, "here", trusted=False).states["s0"])


LIMIT = 32


def nested(levels, wrap=lambda inner: [inner]):
    value = 0
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: [inner],
        lambda inner: (inner, 1),
        lambda inner: {"a": inner},
        lambda inner: {1: inner},
        lambda inner: np.array([inner, None], object),
        lambda inner: frozenset([inner]),
    ],
    ids=["list", "tuple", "dict", "items", "objects", "frozenset"],
)
def test_depth(wrap):
    """Values nest so deep that everything works with them, and what is written can be read; deeper ones are pickled."""
    deep = nested(LIMIT - 1, wrap)
    writer = plain.Writer(lambda value: b"pickle")
    tree = writer.tree({"deep": deep})
    reader = plain.Reader(writer.arrays, None)

    assert [] == writer.pickled
    assert canonical_bytes({"deep": deep}) == canonical_bytes(reader.value(tree))
    assert plain.is_plain({"deep": deep})
    assert not plain.is_plain({"deep": wrap(deep)})
    writer.tree({"deep": wrap(deep)})
    assert 1 == len(writer.pickled)


def test_depth_in_files():
    """A file whose values nest deeper than any that is written is refused, and says so."""
    for node in (nested(LIMIT + 1), nested(LIMIT + 1, lambda inner: {"tuple": [inner]}), nested(300), nested(900)):
        tree = manifest(metadata=[{"dict": {"origins": [], "x": node}}])
        assert re.search("the metadata: .*nest|JSON that nests too deeply", refusal(packed(tree)))
    parameters = nested(LIMIT, lambda inner: {"state": ("Keyed", inner)} if inner else {"state": ("Max", {})})
    assert "nest" in refusal(
        packed(manifest(states={"s": {"class": "Keyed", "parameters": tree_of(parameters), "value": 0, "pickled": []}}))
    )


def tree_of(value):
    """Return a value as a tree that no limit of depth ends."""
    if isinstance(value, dict):
        return {"dict": {key: tree_of(part) for key, part in value.items()}}
    return {"tuple": [*map(tree_of, value)]} if isinstance(value, tuple) else value


@pytest.mark.parametrize("depth", [1, 10, 15])
def test_states_nest_as_deep_as_they_are_read(depth):
    """States in states that load can be used, saved, and merged."""
    parameters, value = {"state": ("Max", {})}, {"keys": [1], "states": [{"value": 1.0, "n_nan": 0}]}
    kind = "Keyed"
    for _ in range(depth - 1):
        parameters, value, kind = {"0": (kind, parameters)}, {"0": value}, "Tuple"
    loaded = read_snapshot(forged(kind, parameters, value), "here", trusted=False)
    twin = copy.deepcopy(loaded.states["s0"])
    twin.merge(loaded.states["s0"])

    assert canonical_bytes(loaded.states) == canonical_bytes(read_snapshot(loaded.to_bytes(), "again", trusted=False).states)
    assert canonical_bytes(twin.result()) == canonical_bytes(loaded.states["s0"].result())


EDGES = (0.0, 1.0, 2.0)
INF = math.inf
NAN = math.nan
LARGEST = (2**53 - 1) << 2045  # the largest float64 in units of 2**-1074
VALUES = {
    "Count": [
        ({"shape": ()}, {"count": count}, text)
        for count, text in [
            (-1, "found -1, expected a whole number of at least 0"),
            (-HUGE, r"found -1737662\d+\.\.\., expected a whole number of at least 0"),
            (1.0, "found 1.0, expected a whole number"),
            (True, "found True, expected a whole number"),
            (None, "found None, expected a whole number"),
            ("1", "found '1', expected a whole number"),
            (np.array(1), "expected a whole number"),
            (np.int64(1), "expected a whole number"),
        ]
    ]
    + [
        ({"shape": (2,)}, {"count": count}, "expected an array of int64 and shape .2,." if text is None else text)
        for count, text in [
            (1, None),
            ([1, 2], None),
            (np.array([1.0, 2.0]), None),
            (np.array([1, 2], np.int32), None),
            (np.array([1, 2], np.uint64), None),
            (np.array([True, False]), None),
            (np.array([1, 2, 3]), None),
            (np.array([[1, 2]]), None),
            (np.array([1, 2], object), None),
            (np.array([1, -1]), "found -1, expected a whole number of at least 0"),
        ]
    ]
    + [({"shape": ()}, {"total": 1}, "found .'total'., expected count"), ({"shape": ()}, [1], "found list, expected count")],
    "Sum": [
        ({"shape": ()}, {"units": units, "special": special}, text)
        for units, special, text in [
            ([], [], "expected 1 whole numbers"),
            ([1, 2], [], "found 2 items, expected 1 whole numbers"),
            (1, [], "found 1, expected 1 whole numbers"),
            ([1.0], [], "found 1.0, expected a whole number"),
            ([True], [], "found True, expected a whole number"),
            (np.array([1.0]), [], "found an array of float64"),
            (np.array([[1]]), [], "found an array of int64 and shape .1, 1."),
            ([LARGEST << 65], [], "sums that no values have"),
            ([-LARGEST << 65], [], "sums that no values have"),
            ([0], [[0, 0, 0, 0]], "hold none"),
            ([0], [[1, 1, 0, 0]], "cells that do not exist"),
            ([0], [[-1, 1, 0, 0]], "found -1, expected a whole number from 0 to 9223372036854775807"),
            ([0], [[0, 1, 0, 0], [0, 1, 0, 0]], "come twice"),
            ([0], [[0, 1, 0]], "found 3 items, expected 4 whole numbers"),
            ([0], [[0, -1, 0, 0]], "found -1, expected a whole number from 0 to 9223372036854775807"),
            ([0], [[0, 2**63, 0, 0]], "expected a whole number from 0 to 9223372036854775807"),
            ([0], [0], "expected 4 whole numbers"),
            ([0], None, "found None, expected a list of special values"),
            ([0], {"a": 1}, "found dict, expected a list of special values"),
        ]
    ],
    "Mean": [
        ({}, {"total": total, "weight": weight, "special": special}, text)
        for total, weight, special, text in [
            (1, 0, [0, 0, 0], "found a total that no values of this weight have"),
            (0, -1, [0, 0, 0], "found -1, expected a whole number of at least 0"),
            (0.0, 0, [0, 0, 0], "found 0.0, expected a whole number"),
            (LARGEST * 7 + 1, 7, [0, 0, 0], "found a total that no values of this weight have"),
            (-LARGEST * 7 - 1, 7, [0, 0, 0], "found a total that no values of this weight have"),
            (0, LARGEST << 65, [0, 0, 0], "found a total that no values of this weight have"),
            (0, 1, [0, 0], "found 2 items, expected 3 whole numbers"),
            (0, 1, [0, 0, -1], "found -1, expected a whole number of at least 0"),
            (0, 1, [0, 0, True], "found True, expected a whole number of at least 0"),
            (0, 1, "000", "found '000', expected 3 whole numbers"),
        ]
    ],
    "Moments": [
        ({"ddof": 0}, {"powers": powers, "special": [0, 0, 0]}, text)
        for powers, text in [
            ([1, 2, 3], "found sums of powers that no values have"),  # 2 * 2 > 3 * 1
            ([-1, 0, 0], "found sums of powers that no values have"),
            ([1, 0, -1], "found sums of powers that no values have"),
            ([0, 0, 1], "found sums of powers that no values have"),
            ([0, 1, 0], "found sums of powers that no values have"),
            ([1, 0, LARGEST**2 + 1], "found sums of powers that no values have"),
            ([LARGEST << 65, 0, 0], "found sums of powers that no values have"),
            ([1, 0], "found 2 items, expected 3 whole numbers"),
            ([1, 0, 0.0], "found 0.0, expected a whole number"),
        ]
    ],
    "Max": [
        ({}, {"value": value, "n_nan": n_nan}, text)
        for value, n_nan, text in [
            (NAN, 0, "found nan, expected a float"),
            (1, 0, "found 1, expected a float"),
            (True, 0, "found True, expected a float"),
            (np.float64(1), 0, "expected a float"),
            ("1.0", 0, "found '1.0', expected a float"),
            (1.0, -1, "found -1, expected a whole number of at least 0"),
            (1.0, True, "found True, expected a whole number of at least 0"),
            (1.0, None, "found None, expected a whole number of at least 0"),
        ]
    ],
    "ArgMin": [
        ({}, {"best": best, "n_nan": 0}, text)
        for best, text in [
            ([NAN, 1], "found nan, expected a float"),
            ([1, 1], "found 1, expected a float"),
            ([1.0], "expected a list of a value and its key"),
            ([1.0, 1, 2], "expected a list of a value and its key"),
            ((1.0, 1), "expected a list of a value and its key"),
            ("ab", "expected a list of a value and its key"),
            ([1.0, [1]], r"got the key \[1\] .list., expected None, a bool"),
            ([1.0, {"a": 1}], "got the key"),
            ([1.0, np.complex128(1)], "got the key"),
        ]
    ],
    "Counter": [
        ({}, {"keys": found, "counts": counts}, text)
        for found, counts, text in [
            (["a"], [0], "found 0, expected a whole number of at least 1"),
            (["a"], [-1], "found -1, expected a whole number of at least 1"),
            (["a"], [1.0], "found 1.0, expected a whole number of at least 1"),
            (["a"], [1, 2], "found 1 keys and 2 parts, expected one for each"),
            (["a", "b"], [1], "found 2 keys and 1 parts, expected one for each"),
            (["a", "a"], [1, 2], "found a key twice"),
            ([NAN, NAN], [1, 2], "found a key twice"),
            ([0.0, -0.0], [1, 2], "found a key twice"),
            ([1, np.int64(1)], [1, 2], "found a key twice"),
            ([["a"]], [1], "got the key"),
            ([{"a"}], [1], "got the key"),
            ({"a": 1}, [1], "expected a list or an array of keys"),
            ("a", [1], "found 'a', expected a list or an array of keys"),
            (np.array([1], np.int32), [1], "found an array of int32 and shape .1,., expected a list or an array of keys"),
            (np.array([[1]]), [1], "found an array of int64 and shape .1, 1., expected a list or an array of keys"),
            (np.array(["a"]), [1], "expected a list or an array of keys"),
            (np.array([1]), np.array([1.0]), "expected whole numbers"),
        ]
    ],
    "Set": [
        ({}, {"keys": found}, text)
        for found, text in [
            (["a", "a"], "found a key twice"),
            (np.array([1.0, 1.0]), "found a key twice"),
            ([NAN, NAN], "found a key twice"),
            ({"a"}, "expected a list or an array of keys"),
            (None, "found None, expected a list or an array of keys"),
        ]
    ],
    "Histogram": [
        ({"edges": edges, "weighted": False}, {"count": np.arange(7)}, "has parameters that no Histogram has")
        for edges in [
            (0.0, 2.0, 1.0),
            (0.0, 0.0, 1.0),
            (0.0, NAN, 1.0),
            (0.0, 1.0, INF),
            (0.0,),
            (),
            (0, 1, 2),
            [0.0, 1.0, 2.0],
            (-0.0, 1.0, 2.0, "a"),
            "012",
            None,
            np.array([0.0, 1.0, 2.0]),
        ]
    ]
    + [
        ({"edges": EDGES, "weighted": 0}, {"count": np.arange(7)}, "has parameters that no Histogram has"),
        ({"edges": EDGES}, {"count": np.arange(7)}, "has parameters that no Histogram has"),
        ({"edges": EDGES, "weighted": False, "more": 1}, {"count": np.arange(7)}, "has parameters that no Histogram has"),
        ({"edges": EDGES, "weighted": False}, {"count": np.arange(6)}, "expected an array of int64 and shape .7,."),
        ({"edges": EDGES, "weighted": False}, {"count": -np.arange(7)}, "expected a whole number of at least 0"),
        ({"edges": EDGES, "weighted": False}, {"units": [0] * 7, "special": []}, "expected count"),
        ({"edges": EDGES, "weighted": True}, {"count": np.arange(7)}, "expected units, special"),
        ({"edges": EDGES, "weighted": True}, {"units": [0] * 6, "special": []}, "expected 7 whole numbers"),
        ({"edges": EDGES, "weighted": True}, {"units": [0] * 6 + [-1], "special": []}, "sums of weights that are negative"),
        ({"edges": EDGES, "weighted": True}, {"units": [0] * 7, "special": [[0, 1, 0, 0]]}, "sums of weights that are neg"),
    ],
    "ConfusionMatrix": [
        (
            {"classes": classes, "weighted": False},
            {"count": np.zeros((2, 2), np.int64)},
            "has parameters that no ConfusionMatrix",
        )
        for classes in [
            (1, 1),
            ("a", "a"),
            2,
            [0, 1],
            "ab",
            {"a", "b"},
            (0.5, 1),
            (0.0, 1.0),
            (True, 0),
            b"ab",
            (),
        ]
    ]
    + [
        ({"classes": (0, 1), "weighted": False}, {"count": np.zeros((3, 3), np.int64)}, "expected an array of int64"),
        ({"classes": (0, 1), "weighted": False}, {"count": np.zeros((2, 2))}, "expected an array of int64"),
        ({"classes": (0, 1), "weighted": True}, {"units": [-1, 0, 0, 0], "special": []}, "sums of weights that are negative"),
        ({"classes": (0, 1), "weighted": 1}, {"units": [0, 0, 0, 0], "special": []}, "has parameters that no ConfusionMatrix"),
    ]
    + [
        ({"classes": None, "weighted": False}, {"true": true, "pred": pred, "amounts": amounts}, text)
        for true, pred, amounts, text in [
            ([1, 1], [2, 2], [1, 1], "found a key twice"),
            ([1.0], [2], [1], "labels that are neither whole numbers nor strings"),
            ([None], [2], [1], "labels that are neither whole numbers nor strings"),
            ([True], [2], [1], "labels that are neither whole numbers nor strings"),
            ([1], [2], [0], "found 0, expected a whole number"),
            ([1], [2], [-1], "found -1, expected a whole number"),
            ([1], [2], [2**63], "expected a whole number from 1 to 9223372036854775807"),
            ([1], [2], [1.0], "found 1.0, expected a whole number"),
            ([1], [2], [1, 1], "found 2 items, expected 1 whole numbers"),
            ([1, 2], [2], [1], "zip|shorter|longer"),
        ]
    ],
    "Rows": [
        ({"columns": ("a", "b")}, {"columns": columns}, text)
        for columns, text in [
            ([np.arange(2), np.arange(3)], "columns of unequal lengths"),
            ([np.arange(0), np.arange(0)], "columns without rows"),
            ([np.arange(2)], "found 1 items, expected a list of 2 columns"),
            ([], "found 0 items, expected a list of 2 columns"),
            (np.zeros((2, 2)), "expected a list of 2 columns"),
            (3, "expected a list of 2 columns"),
            ([[1, 2], [3, 4]], "found a column that is no array"),
            ([np.array(1), np.array(2)], "got one value for 'a', expected an array"),
            ([np.arange(2) + 0j, np.arange(2)], "of dtype complex128"),
            ([np.arange(2), np.array(["a", "b"])], "a dtype that rows do not have"),
            ([np.arange(2), np.array([b"a", b"b"])], "a dtype that rows do not have"),
            ([np.arange(2), np.array(["a", b"b"], object)], "of dtype object"),
            ([np.arange(2), np.array([1, 2], object)], "of a dtype that rows do not have"),
            ([np.arange(2), np.arange(2).astype("<M8[s]")], "of dtype datetime64"),
            ([np.zeros((10**8, 0)), np.zeros((10**8, 0))], "found 100000000 rows of nothing, expected values in them"),
        ]
    ]
    + [({"columns": columns}, {"columns": None}, "that no Rows has") for columns in [("a", "a"), (), ("a", 1), ["a"], "ab", 3]],
    "Tuple": [
        ({"0": ("Max", {}), "1": ("Count", {"shape": ()})}, value, text)
        for value, text in [
            ({"0": {"value": None, "n_nan": 0}}, "found .'0'., expected 0, 1"),
            ([], "found list, expected 0, 1"),
            ({"0": {"value": None, "n_nan": 0}, "1": {"count": -1}}, "found -1, expected a whole number of at least 0"),
        ]
    ]
    + [
        (parameters, {}, "that no Tuple has")
        for parameters in [
            {},
            {"0": ("Max",)},
            {"0": ("Max", {}, 1)},
            {"0": ["Max", {}]},
            {"0": "Max"},
            {"0": 3},
            {"1": ("Max", {})},
            {"00": ("Max", {})},
            {"0": ("Max", {"x": 1})},
            {"0": ("Max", [])},
            {"0": (3, {})},
        ]
    ],
    "Dict": [
        ({"a": ("Max", {})}, {"b": {}}, "found .'b'., expected a"),
        ({"a": 1}, {}, "that no Dict has"),
        ({}, {}, "no Dict has"),
    ],
    "Keyed": [
        ({"state": ("Count", {"shape": ()})}, {"keys": found, "states": states}, text)
        for found, states, text in [
            ([1, 1], [{"count": 1}, {"count": 1}], "found a key twice"),
            ([1], [], "found 1 keys and 0 parts, expected one for each"),
            ([1], [{"count": 1}, {"count": 2}], "found 1 keys and 2 parts, expected one for each"),
            ([1], [{"count": -1}], "found -1, expected a whole number of at least 0"),
            ([[]], [{"count": 1}], "got the key"),
            ([1], 3, "expected a list of states"),
            ([1], {"count": 1}, "expected a list of states"),
        ]
    ]
    + [
        (parameters, {"keys": [], "states": []}, "that no Keyed has")
        for parameters in [{}, {"state": "Max"}, {"state": ("Max",)}, {"state": ("Max", {}), "more": 1}, {"state": ["Max", {}]}]
    ],
}


@pytest.mark.parametrize(
    ("kind", "parameters", "value", "text"),
    [(kind, *row) for kind, rows in VALUES.items() for row in rows],
    ids=[f"{kind}-{i}" for kind, rows in VALUES.items() for i in range(len(rows))],
)
def test_values_that_no_updates_make(kind, parameters, value, text):
    """A state with parameters that its class does not have, or a value that no updates make, is refused by name."""
    assert re.search(f"state 's0' .*({text})", refusal(forged(kind, parameters, value)))


def test_values_that_updates_make_at_their_limits():
    """What the limits above refuse begins right behind what updates can make."""
    mean, moments, total = mg.Mean(), mg.Moments(), mg.Sum()
    for state in (mean, moments):
        state.update([1.7976931348623157e308] * 3 + [-1.7976931348623157e308], [1.7976931348623157e308] * 3 + [5e-324])
    mean.update([1.7976931348623157e308], [5e-324])
    total.update([1.7976931348623157e308] * 100 + [NAN])
    for state in (mean, moments, total):
        back = state.empty()
        back.from_data(state.to_data())
        assert canonical_bytes(state) == canonical_bytes(back)


PARAMETERS = {
    "Count of 10**9": ("Count", {"shape": (10**9,)}, {"count": 0}),
    "Count of 10**5 by 10**5": ("Count", {"shape": (10**5, 10**5)}, {"count": 0}),
    "Sum of 10**9": ("Sum", {"shape": (10**9,)}, {"units": [], "special": []}),
    "ConfusionMatrix of 5,000": ("ConfusionMatrix", {"classes": tuple(range(5000)), "weighted": False}, {"count": 0}),
    "weighted ConfusionMatrix of 5,000": ("ConfusionMatrix", {"classes": tuple(range(5000)), "weighted": True}, {}),
    "Keyed": ("Keyed", {"state": ("Count", {"shape": (10**9,)})}, {"keys": [], "states": []}),
    "Keyed Sum": ("Keyed", {"state": ("Sum", {"shape": (10**7,)})}, {"keys": [], "states": []}),
    "Tuple of Keyed": (
        "Tuple",
        {str(i): ("Keyed", {"state": ("Count", {"shape": (60_000,)})}) for i in range(100)},
        {str(i): {"keys": [], "states": []} for i in range(100)},
    ),
    "Dict of Tuple of Keyed": (
        "Dict",
        {"a": ("Tuple", {"0": ("Keyed", {"state": ("Sum", {"shape": (10**7,)})})})},
        {"a": {"0": {"keys": [], "states": []}}},
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_that_would_allocate(name):
    """A state that would be far larger than its file stays unbuilt, and only a metric in hand can bring it."""
    data = forged(*PARAMETERS[name])
    with measured() as used:
        loaded = read_snapshot(data, "here", trusted=False)
        assert {} == loaded.states
        assert loaded.to_bytes() == read_snapshot(loaded.to_bytes(), "again", trusted=False).to_bytes()
        with pytest.raises(mg.SnapshotError, match=r"these states cannot be built, as .* memory than their file: s0 "):
            mg.merge([loaded])

    assert used.peak < MULTIPLE * len(data) + ROOM


NEVER = {
    "Count of 10**9 classes": ("ConfusionMatrix", {"classes": 10**9, "weighted": False}, {}),
    "a shape that wraps around": ("Sum", {"shape": np.array([255, 255, 255, 1], np.uint8)}, {}),
    "a shape of 2**32 by 2**32": ("Count", {"shape": np.array([2**32, 2**32])}, {}),
    "a shape in bytes": ("Sum", {"shape": b"\xff\xff\xff"}, {}),
    "a shape of NaN": ("Count", {"shape": (NAN,)}, {}),
    "a shape of floats": ("Count", {"shape": (1e9, 0.5)}, {}),
    "a shape of signs": ("Count", {"shape": (10**9, -1)}, {}),
    "a shape of many axes": ("Count", {"shape": (2**40,) * 30_000}, {}),
    "parts in another order": ("Tuple", {"1": ("Count", {"shape": (1,)}), "0": ("Max", {"shape": (10**9,)})}, {}),
    "a part of another class": ("Tuple", {"0": ("Max", {"shape": (10**9,)})}, {}),
}


@pytest.mark.parametrize("name", NEVER)
def test_parameters_that_nothing_has(name):
    """Parameters of no state are refused before anything is made of them."""
    data = forged(*NEVER[name])
    with measured() as used:
        assert "has parameters that no" in refusal(data)

    assert used.peak < MULTIPLE * len(data) + ROOM


def test_all_states_share_one_room():
    """Many states that are each allowed to be larger than what the file says of them are not so together."""
    one = forged("Keyed", {"state": ("Count", {"shape": (50_000,)})}, {"keys": [], "states": []})
    many = forged("Keyed", {"state": ("Count", {"shape": (50_000,)})}, {"keys": [], "states": []}, copies=200)
    inner = ("Keyed", {"state": ("Count", {"shape": (50_000,)})})
    nest = forged("Keyed", {"state": inner}, {"keys": [*range(2000)], "states": [{"keys": [], "states": []}] * 2000})

    assert ["s0"] == list(read_snapshot(one, "here", trusted=False).states)
    for data in (many, nest):
        with measured() as used:
            read_snapshot(data, "here", trusted=False)
        assert used.peak < MULTIPLE * len(data) + ROOM
    assert {} != read_snapshot(nest, "here", trusted=False).states


def test_a_metric_in_hand_brings_what_is_large():
    """A small file of a state that is large when empty restores into its metric, merges into it, and gives its result."""

    class Wide(mg.Metric):
        cells = mg.Keyed(mg.Count(shape=(1000, 1000)))

        def update_state(self, key):
            self.cells[key].update(np.ones((1000, 1000)))

        def result(self):
            return len(self.cells)

    data = Wide().snapshot().to_bytes()
    loaded = mg.Snapshot.from_bytes(data)
    metric = Wide()
    metric.merge_state([loaded])

    assert {} == loaded.states
    assert 0 == loaded.result(Wide) == metric.result()


# Pickles and classes.


def bombed(place):
    """Return a sealed file with a pickle that would run code."""
    tree, bomb = manifest(metadata=[]), {"pickle": {"array": 0}}
    held = tree["states"]["held"]
    if place == "value":
        held["value"] = bomb
    elif place == "in the value":
        held["value"] = {"dict": {"value": bomb, "n_nan": 0}}
    elif place == "parameters":
        held["parameters"] = {"dict": {"x": bomb}}
    elif place == "make":
        held["make"] = {"array": 0}
    elif place == "undeclared":
        tree["undeclared"]["note"] = [bomb]
    elif place == "arguments":
        tree["metric"]["arguments"] = {"dict": {"of": bomb}}
    else:
        tree["metadata"] = [{"dict": {"origins": [], "x": {"tuple": [bomb]}}}]
    return packed(tree, [hostile.BOMB])


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("value", "state 'held'"),
        ("in the value", "state 'held'"),
        ("parameters", "the parameters of state 'held'"),
        ("undeclared", "attribute 'note'"),
        ("arguments", "the arguments"),
        ("metadata", "the metadata"),
    ],
)
def test_pickles_do_not_run(tmp_path, place, name):
    """A pickle that would run code is refused by the name of its place, and runs only where the caller says allow_pickle."""
    (tmp_path / "a.mg").write_bytes(bombed(place))
    hostile.ran.clear()
    for read in (lambda: mg.load(tmp_path / "a.mg"), lambda: mg.merge([tmp_path / "a.mg"])):
        with pytest.raises(mg.SnapshotError) as caught:
            read()
        assert f"{tmp_path / 'a.mg'}: {name} is stored by pickle. Pass allow_pickle=True if you trust" in str(caught.value)
    mg.merge([tmp_path / "a.mg", hostile.OTHERS["Max"]], keep_going=True, on_duplicate="newer")
    read_snapshot(bombed("make"), "here", trusted=False, peek=True)
    assert [] == hostile.ran

    assert "is stored by pickle" not in str(read_with_trust(tmp_path / "a.mg"))
    assert ["code of a file has run"] == hostile.ran


def read_with_trust(path):
    try:
        return mg.load(path, allow_pickle=True)
    except mg.SnapshotError as error:  # what the pickle gives is no such value
        return error


def test_makers_do_not_run():
    """What would make an object is never read without allow_pickle: the state stays unbuilt, also when it is saved again."""
    hostile.ran.clear()
    loaded = read_snapshot(bombed("make"), "here", trusted=False)
    again = read_snapshot(loaded.to_bytes(), "again", trusted=False)

    assert {} == loaded.states == again.states
    with pytest.raises(mg.SnapshotError, match=r"pass allow_pickle=True if you trust the files"):
        mg.merge([again])
    assert [] == hostile.ran
    assert "state 'held' is made by what cannot be read" in refusal(bombed("make"), trusted=True)
    assert ["code of a file has run"] == hostile.ran


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "os:system",
        "builtins:eval",
        "builtins.exec",
        "subprocess:Popen",
        "mergeable.states.sums:Sum",
        "Held",
        "tests.Holder",
        "State",
        "",
    ],
)
def test_files_choose_no_class(name):
    """A class that is not registered as what the file says stays unbuilt: as a state, as a part of one, and as the metric."""
    max_of = {"value": None, "n_nan": 0}
    for kind, parameters, value in [
        (name, {}, max_of),
        (name, {"shell": True, "args": "touch owned"}, max_of),
        ("Tuple", {"0": (name, {})}, {"0": max_of}),
        ("Keyed", {"state": (name, {})}, {"keys": [], "states": []}),
    ]:
        assert {} == read_snapshot(forged(kind, parameters, value), "here", trusted=False).states
    tree = manifest(metadata=[])
    tree["metric"]["class"] = name
    loaded = read_snapshot(packed(tree), "here", trusted=False)
    if name != "tests.Holder":
        with pytest.raises(mg.SnapshotError, match=f"Snapshot.result: got no metric, and no class of the name '{name}' is"):
            loaded.result()


def test_arguments_that_the_constructor_refuses():
    """Arguments that the registered class does not take are a SnapshotError."""
    for arguments in ({}, {"of": "no such state"}, {"of": None}, {"command": "touch owned"}, {"self": 1}, {"of": HUGE}):
        tree = manifest(metadata=[])
        writer = plain.Writer(pytest.fail)
        tree["metric"]["arguments"] = writer.tree(arguments)
        with pytest.raises((mg.SnapshotError, mg.IncompatibleStates)):
            read_snapshot(packed(tree), "here", trusted=False).result()


# Every text says what is wrong, what was expected, and what to do.


def test_the_path_comes_first(tmp_path):
    """The error of each way to read a file begins with its path, or says it first after the verb."""
    path = tmp_path / "broken.mg"
    path.write_bytes(SMALL[:-1])
    metric = hostile.Holder("wide Count")

    for read, start in [
        (lambda: mg.load(path), f"{path}: "),
        (lambda: mg.load(str(path)), f"{path}: "),
        (lambda: mg.merge([path]), f"{path}: "),
        (lambda: metric.restore(path), f"{path}: "),
        (lambda: metric.merge_state([path]), f"{path}: "),
        (lambda: mg.Snapshot.from_bytes(SMALL[:-1], source="the cache"), "the cache: "),
        (lambda: mg.Snapshot.from_bytes(SMALL[:-1]), "the bytes: "),
    ]:
        with pytest.raises(mg.SnapshotError) as caught:
            read()
        assert str(caught.value).startswith(start)
        assert str(caught.value).endswith(ADVICE)


# Memory, and time.


class measured:  # noqa: N801 - reads as what it does
    """Measures what a block takes at most, in bytes."""

    def __enter__(self):
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def promised():
    """Return what the docstring of snapshots says: times the file's size."""
    return int(re.search(r"at most (\d+) times its size while it is read, and one megabyte", mg.Snapshot.__doc__)[1])


MULTIPLE, ROOM = promised(), 2**20
IN_USE = 96  # for copies of its states, its bytes and a merge


def repeated(node, times, wrap="[{}]"):
    """Return a sealed file with the text of a node so many times among its metadata."""
    text = json.dumps(manifest(metadata=[{"dict": {"origins": [], "x": "@"}}]), separators=(",", ":"))
    return packed(text.replace('"@"', wrap.format(",".join([node] * times))))


def chain(kind, part, levels, inner, value):
    """Return the parameters and the value of parts of parts."""
    for _ in range(levels):
        inner, value = (kind, {part: inner}), {part: value}
    return inner, value


def keyed(inner, value, n=200):
    return forged("Keyed", {"state": inner}, {"keys": [*range(n)], "states": [value] * n})


SET = ("Set", {}), {"keys": []}
BOMBS = {
    "lists": lambda: repeated("[" * 30 + "]" * 30, 1000),
    "lists too deep": lambda: repeated("[" * 900 + "]" * 900, 50),
    "lists beside a wide character": lambda: repeated("[" * 900 + "]" * 900, 50, '["\U0001f600",{}]'),
    "objects too deep": lambda: repeated('{"":' * 900 + "0" + "}" * 900, 30),
    "objects beside a wide character": lambda: repeated('{"":' * 900 + "0" + "}" * 900, 30, '["\U0001f600",{}]'),
    "empty lists": lambda: repeated("[]", 20_000),
    "empty objects": lambda: repeated("{}", 20_000),
    "empty sets": lambda: repeated('{"set":[]}', 8000),
    "sets in lists": lambda: repeated('[{"set":[]}]', 8000),
    "empty dicts": lambda: repeated('{"dict":{}}', 8000),
    "empty counters": lambda: repeated('{"counter":[]}', 8000),
    "dicts in dicts": lambda: repeated('{"dict":{"":' * 15 + "0" + "}}" * 15, 500),
    "tuples in tuples": lambda: repeated('{"tuple":[' * 15 + "0" + "]}" * 15, 500),
    "small arrays": lambda: repeated('{"array":["|b1",[0],""]}', 4000),
    "small objects": lambda: repeated('{"objects":[[],[0]]}', 5000),
    "numbers of 4,097 bits": lambda: repeated('{"int":"0x1p4096"}', 5000),
    "texts": lambda: repeated('"\\u0100"', 10_000),
    "a set of numbers": lambda: packed(manifest(metadata=[{"dict": {"origins": [], "x": {"set": [*range(20_000)]}}}])),
    "a Set of numbers": lambda: state_of("Set", {}, {"keys": [*range(20_000)]}),
    "a Set of one number": lambda: state_of("Set", {}, {"keys": [1] * 20_000}),
    "a Counter of texts": lambda: state_of("Counter", {}, {"keys": [f"{i:x}" for i in range(9000)], "counts": [1] * 9000}),
    "pairs of labels": lambda: state_of(
        "ConfusionMatrix",
        {"classes": None, "weighted": False},
        {"true": [0] * 9000, "pred": [*range(9000)], "amounts": [1] * 9000},
    ),
    "a Sum of zeros": lambda: state_of("Sum", {"shape": (40_000,)}, {"units": [0] * 40_000, "special": []}),
    "a Sum of NaN": lambda: state_of(
        "Sum", {"shape": (1000,)}, {"units": [0] * 1000, "special": [[i, 1, 0, 0] for i in range(1000)]}
    ),
    "Rows of texts": lambda: state_of(
        "Rows", {"columns": ("a",)}, {"columns": [np.array([f"{i:x}" for i in range(9000)], object)]}
    ),
    "many columns": lambda: state_of(
        "Rows", {"columns": tuple(f"{i:x}" for i in range(2000))}, {"columns": [np.array([True])] * 2000}
    ),
    "Keyed Set": lambda: keyed(*SET, n=4000),
    "Keyed Rows": lambda: keyed(("Rows", {"columns": ("a",)}), {"columns": None}, n=4000),
    "Keyed Tuple of Tuple": lambda: keyed(*chain("Tuple", "0", 13, *SET)),
    "Keyed Dict of Dict": lambda: keyed(*chain("Dict", "", 13, *SET)),
    "a Tuple of many parts": lambda: forged("Tuple", {str(i): SET[0] for i in range(3000)}, 0),
    "a Tuple of chains": lambda: forged("Tuple", {str(i): chain("Dict", "", 12, *SET)[0] for i in range(150)}, 0),
    "many states": lambda: forged(*SET[0], SET[1], copies=1500),
    "many unknown states": lambda: forged("X", {}, 0, copies=3000),
    "many entries": lambda: zipped([entries()[0], *(Entry(f"arrays/{i}.npy", npy("|b1", (1,), b"\0")) for i in range(2000))]),
    "many names": lambda: zipped([entries()[0], *(Entry(f"{i}", b"") for i in range(20_000))]),
    "many origins": lambda: packed(manifest(coverage={"origins": {f"{i:x}": NOTHING for i in range(3000)}, "missing": []})),
    "many names of pieces": lambda: packed(
        manifest(version=2, coverage={"origins": {}, "missing": [], "pieces": {f"{i:x}": [] for i in range(9000)}})
    ),
    "many pieces": lambda: packed(manifest(coverage={"origins": {}, "missing": [f"{i:x}" for i in range(9000)]})),
    "a Count that is all of the room": lambda: forged("Count", {"shape": (64_000,)}, 0),
    "a Tuple that is all of the room": lambda: forged("Tuple", {"0": ("Sum", {"shape": (64_000,)})}, 0),
    "a Keyed that is all of the room": lambda: forged(
        "Keyed", {"state": ("ConfusionMatrix", {"classes": tuple(range(250)), "weighted": True})}, 0
    ),
    "a Keyed Histogram of many edges": lambda: forged(
        "Keyed", {"state": ("Histogram", {"edges": tuple(np.arange(60_000.0).tolist()), "weighted": True})}, 0
    ),
    "a Bootstrap that is all of the room": lambda: forged(
        "Bootstrap",
        {"state": ("Sliced", {"state": ("Sum", {"shape": ()}), "by": None, "max_slices": 9}), "replicates": 230, "seed": 0},
        {"states": [{"kept": {"keys": [], "states": []}, "overflow": 0}]},
    ),
    "Deduplicated Bootstrap": lambda: state_of(
        "Deduplicated",
        {"state": ("Bootstrap", {"state": ("Sum", {"shape": ()}), "replicates": 1000, "seed": 0}), "columns": ("a", "b")},
        {"rows": {"columns": [np.arange(2000), np.arange(2000), np.zeros(2000)]}, "came": {"count": 2000}},
    ),
    **{
        f"{levels} times {kind}": lambda kind=kind, levels=levels: hostile.chain(kind, levels)
        for kind in hostile._OUTER
        for levels in ((1, 3, 5) if kind == "Bootstrap" else (1, 4, 5, 7, 14))
    },
}
NOTHING = {"replica": 0, "worker": 0, "updates": 0, "rows": 0}
ONE_OF_EACH_KIND = {
    "lists",
    "objects beside a wide character",
    "empty sets",
    "dicts in dicts",
    "small arrays",
    "numbers of 4,097 bits",
    "a Set of numbers",
    "a Counter of texts",
    "a Sum of NaN",
    "Rows of texts",
    "Keyed Rows",
    "a Tuple of chains",
    "many unknown states",
    "many entries",
    "many origins",
    "a Count that is all of the room",
    "a Bootstrap that is all of the room",
    "Deduplicated Bootstrap",
    "4 times Keyed",
    "14 times Tuple",
}
bombs = pytest.mark.parametrize(
    "name", [name if name in ONE_OF_EACH_KIND else pytest.param(name, marks=pytest.mark.long) for name in BOMBS]
)


def state_of(kind, parameters, value):
    """Return a sealed file whose state is written out in the manifest, without arrays of numbers."""
    tree = manifest(metadata=[])
    writer = plain.Writer(pytest.fail)
    written = {"dict": {name: part if is_text(part) else writer.tree(part) for name, part in value.items()}}
    tree["states"] = {"s0": {"class": kind, "parameters": writer.tree(parameters), "value": written, "pickled": []}}
    return packed(tree, [npy(array.dtype.str, array.shape, array.tobytes()) for array in writer.arrays])


def is_text(part):
    return isinstance(part, list) and not any(isinstance(item, np.ndarray) for item in part)


@bombs
def test_memory(tmp_path, name):
    """Reading a file takes no more memory than the docstring says, and what a program does with it not much more."""
    data = BOMBS[name]()
    (tmp_path / "a.mg").write_bytes(data)
    loaded = None
    read_snapshot(SMALL, "here", trusted=False)
    with measured() as reading, contextlib.suppress(mg.SnapshotError):
        loaded = mg.load(tmp_path / "a.mg")

    assert reading.peak < MULTIPLE * len(data) + ROOM
    for act in (lambda: loaded.states, lambda: loaded.to_bytes(), lambda: mg.merge([tmp_path / "a.mg"])):
        if loaded is not None:
            with measured() as using, contextlib.suppress(mg.MergeableError):
                act()
            assert using.peak < IN_USE * len(data) + ROOM


class counted:  # noqa: N801 - reads as what it does
    """Counts the calls that Python makes in a block."""

    def __enter__(self):
        self.calls = 0
        sys.setprofile(self.count)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def count(self, frame, event, argument):
        self.calls += event in ("call", "c_call")


@bombs
def test_time(name):
    """Reading a file takes no more calls than the docstring says, however deep states stand in states."""
    data = BOMBS[name]()
    says = " ".join(mg.Snapshot.__doc__.split())
    each, more = re.search(r"at most (\d+) calls in Python for each byte, and ([\d,]+) more", says).groups()
    with counted() as reading, contextlib.suppress(mg.SnapshotError):
        read_snapshot(data, "here", trusted=False)

    assert reading.calls < int(each) * len(data) + int(more.replace(",", ""))


@pytest.mark.parametrize(("kind", "most"), [("Keyed", 15), ("Dict", 15), ("Sliced", 5), ("Windowed", 5)])
def test_states_stand_so_deep_inside_one_another(kind, most):
    """Each class says how deep states may stand, and deeper ones are refused, where they are made and in files."""
    make = {
        "Keyed": mg.Keyed,
        "Dict": lambda inner: mg.Dict(a=inner),
        "Sliced": mg.Sliced,
        "Windowed": lambda inner: mg.Windowed(inner, 2),
    }[kind]
    state = mg.Sum()
    for _ in range(most):
        state = make(state)
    with pytest.raises(
        ValueError, match=r"got states that stand 1[678] deep inside one another, expected at most 15, which files hold"
    ):
        make(state)
    assert "at most 15 deep" in " ".join(mg.Tuple.__doc__.split())


@pytest.mark.parametrize("kind", ["Keyed", "Windowed", "Deduplicated", "Tuple", "Dict"])
def test_files_of_states_too_deep_are_refused(kind):
    """A file whose states stand deeper inside one another than any that is made is refused, and says so."""
    assert re.search("deep inside one another, expected at most 15|values that nest deeper", refusal(hostile.chain(kind, 16)))


def test_the_figure_is_not_far_from_the_truth():
    """Some file takes more than half of what the docstring allows."""
    data = BOMBS["lists beside a wide character"]()
    with measured() as reading, pytest.raises(mg.SnapshotError):
        read_snapshot(data, "here", trusted=False)

    assert MULTIPLE * len(data) / 2 < reading.peak


# What was made at random.


def test_inputs_are_the_same_every_time():
    """A number gives the same input whatever was made before, so that what a run finds can be shown again."""
    before = {number: hostile.case(number).data for number in range(500)}
    assert before == {number: hostile.case(number).data for number in reversed(range(500))}


@pytest.mark.parametrize("attack", hostile.ATTACKS)
def test_made_at_random(attack):
    """Inputs of each attack are refused, or hold what a state can hold: nothing else comes of them."""
    kinds = len(hostile.ATTACKS)
    first = [*hostile.ATTACKS].index(attack)
    numbers = range(first, tries(100, 4000) * kinds, kinds)
    seen = [hostile.outcome(case.data, case.of) for case in map(hostile.case, numbers)]

    assert 10 < seen.count("refused")
    assert ("consistent" in seen) == (attack != "bytes, not sealed")
