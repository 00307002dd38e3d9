"""A JSON tree and arrays as one sealed zip file, and back.

The zip file holds ``manifest.json`` and ``arrays/0.npy``, ``arrays/1.npy`` and so on, in this order, one after another and not
compressed, so that what is read never takes more memory than a small multiple of the file. Zip's checksums cover each entry. The
seal, which is the zip file's comment, is a hash of all that they do not cover: headers, directory and end. So every bit of the
file is checked, and a file that was cut is no such file. Any reader of zip files can open it.

Not its job: to know what the tree says, or where the bytes lie.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mergeable.encoding.plain import Unreadable, from_text, shaped, to_text
from mergeable.wording import brief, short

MANIFEST = "manifest.json"

_SEAL = b"mergeable seal "
_DIGEST_BYTES = 16
_SEAL_BYTES = len(_SEAL) + 2 * _DIGEST_BYTES
_END_BYTES = 22  # of a zip file's last record, without the comment
_MAX_HEADER_BYTES = 1024  # of an array of 32 axes: under 900


def seal(tree: Any, arrays: Sequence[np.ndarray] = (), head: bytes = b"") -> bytes:
    """Return a tree and arrays as bytes that begin with ``head``; equal contents are equal bytes. Arrays are contiguous."""
    file = io.BytesIO()
    file.write(head)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_entry(MANIFEST), to_text(tree).encode())
        for i, array in enumerate(arrays):
            with archive.open(_entry(_name(i)), "w", force_zip64=array.nbytes > zipfile.ZIP64_LIMIT // 2) as entry:
                np.lib.format.write_array_header_1_0(entry, np.lib.format.header_data_from_array_1_0(array))
                entry.write(array.reshape(-1).view(np.uint8).data if array.nbytes else b"")
        archive.comment = bytes(_SEAL_BYTES)
    with file.getbuffer() as data:
        data[-_SEAL_BYTES:] = _seal_of(data, archive.infolist(), archive.start_dir, len(head))
    return file.getvalue()


class Archive:
    """The entries of bytes that ``seal`` gave, from ``start`` on, where its head ends.

    Raises:
        Unreadable: the bytes are cut, changed in any bit, or were never such a file.
    """

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = memoryview(data)
        if not data.startswith(b"PK\3\4", start):
            raise Unreadable("this is no zip file of mergeable")
        if not data[-_SEAL_BYTES:].startswith(_SEAL):
            raise Unreadable("the file has no seal at its end, so it was cut, changed, or written by another program")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                self._entries, end, comment = archive.infolist(), archive.start_dir, archive.comment
            self._starts = _content_starts(self._data, self._entries, end, start)
        except Exception as error:  # zipfile raises many kinds for what is no zip file
            raise Unreadable(f"the zip file's directory is damaged ({brief(error)})") from error
        if len(comment) != _SEAL_BYTES:
            raise Unreadable("there are bytes before the seal")
        if _seal_of(self._data, self._entries, end, start) != data[-_SEAL_BYTES:]:
            raise Unreadable("the seal does not fit the file, so a bit of it was changed")
        for i, info in enumerate(self._entries):
            name = _name(i - 1) if i else MANIFEST
            if info.orig_filename != name:
                raise Unreadable(f"the zip file has the entry {short(info.orig_filename)}, expected {name}")
        if not self._entries:
            raise Unreadable(f"the zip file has no entries, expected {MANIFEST}")

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of every entry."""
        return {info.filename: info.file_size for info in self._entries}

    @functools.cached_property
    def tree(self) -> Any:
        """The manifest."""
        content = bytes(self._content(0))
        try:
            return from_text(content)
        except Unreadable as error:
            raise Unreadable(f"{MANIFEST}: {error}") from error

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays, which are read-only views of the bytes; every checksum is compared."""
        return [self._array(i) for i in range(1, len(self._entries))]

    def _content(self, i: int) -> memoryview:
        info = self._entries[i]
        content = self._data[self._starts[i] : self._starts[i] + info.file_size]
        if zlib.crc32(content) != info.CRC:
            raise Unreadable(f"{info.filename}: the checksum differs, so a bit of it was changed")
        return content

    def _array(self, i: int) -> np.ndarray:
        content = self._content(i)
        try:
            start = 10 + int.from_bytes(content[8:10], "little")
            if bytes(content[:8]) != b"\x93NUMPY\1\0" or start > _MAX_HEADER_BYTES:
                raise Unreadable("no header of the npy format 1.0")
            dtype, shape = _parsed(bytes(content[:start]))
            return shaped(content[start:], dtype, shape)
        except Unreadable as error:
            raise Unreadable(f"{self._entries[i].filename}: {error}") from error


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # no clock, no user: equal contents are equal bytes


def _name(i: int) -> str:
    return f"arrays/{i}.npy"


def _content_starts(data: memoryview, entries: Sequence[zipfile.ZipInfo], end: int, start: int = 0) -> list[int]:
    """Return where the entries' contents start; refuse gaps, overlaps, compression, encryption, and a second name."""
    starts = []
    position = start
    for info in entries:
        name_bytes, extra_bytes = struct.unpack("<HH", data[position + 26 : position + 30])
        name = data[position + 30 : position + 30 + name_bytes]
        is_bare = not info.compress_type and not info.flag_bits and info.compress_size == info.file_size
        if info.header_offset != position or not is_bare or name != info.orig_filename.encode("cp437"):
            raise Unreadable(f"{short(info.orig_filename)} is compressed, encrypted, hidden, or not where it should be")
        starts.append(position + 30 + name_bytes + extra_bytes)
        position = starts[-1] + info.file_size
    if position != end:
        raise Unreadable("there are bytes between the last entry and the directory")
    return starts


def _seal_of(data: memoryview, entries: Sequence[zipfile.ZipInfo], end: int, start: int = 0) -> bytes:
    """Return the seal: a hash of all bytes but the contents of entries, whose checksums are among them, and the seal."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for info, content in zip(entries, _content_starts(data, entries, end, start), strict=True):
        digest.update(data[info.header_offset : content])
    digest.update(data[end:-_SEAL_BYTES])
    return _SEAL + digest.hexdigest().encode()


@functools.lru_cache
def _parsed(header: bytes) -> tuple[Any, tuple[Any, ...]]:
    """Return dtype and shape of an npy header, which is a dict in Python's notation."""
    try:
        found = ast.literal_eval(header[10:].decode("latin1"))  # NumPy would mend headers of its first years
        dtype, is_fortran, shape = found["descr"], found["fortran_order"], found["shape"]
    except Exception as error:  # what is no literal fails in many ways
        raise Unreadable(f"the header is damaged ({type(error).__name__}: {brief(error)})") from error
    if len(found) != 3 or type(is_fortran) is not bool or type(shape) is not tuple:
        raise Unreadable("the header is damaged, expected descr, fortran_order and shape")
    if is_fortran:
        raise Unreadable("the array is stored column by column, expected row by row")
    return dtype, shape
