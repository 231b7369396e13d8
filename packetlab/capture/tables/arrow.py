"""Column batches for other libraries: the Arrow C stream interface, by ctypes alone.

Follows https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html. What the structures point to
is kept in `_kept` until the consumer calls their release. Knows nothing of packets: it takes named, typed buffers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.errors import PacketlabError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Buffers = tuple[NDArray[Any] | None, ...]


class ArrowColumn(NamedTuple):
    """One column of a batch: how many rows are null, and its buffers as Arrow lays them out, validity first (or None)."""

    nulls: int
    buffers: Buffers


class ArrowBatch(NamedTuple):
    """Some rows of all columns."""

    rows: int
    columns: tuple[ArrowColumn, ...]


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_release_schema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_release_array = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))
_release_stream = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_get_schema = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Schema))
_get_next = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))
_last_error = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Stream))

_Schema._fields_ = [
    ("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p), ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64), ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p), ("release", _release_schema), ("private_data", ctypes.c_void_p),
]  # fmt: skip
_Array._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64), ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))), ("dictionary", ctypes.c_void_p),
    ("release", _release_array), ("private_data", ctypes.c_void_p),
]  # fmt: skip
_Stream._fields_ = [
    ("get_schema", _get_schema), ("get_next", _get_next), ("get_last_error", _last_error),
    ("release", _release_stream), ("private_data", ctypes.c_void_p),
]  # fmt: skip

NULLABLE = 2
EIO = 5
_kept: dict[int, object] = {}
"""Number in a structure's private_data -> what must live as long as it."""
_numbers = count(1)


def _keep(structure: ctypes.Structure, *things: object) -> None:
    number = next(_numbers)
    _kept[number] = things
    structure.private_data = number


def _forget(structure: Any, kind: Callable[[], object]) -> None:
    # A released structure is known by its release being null. What is kept goes last, so nothing freed is written to.
    number = structure.contents.private_data or 0
    structure.contents.release = kind()
    _kept.pop(number, None)


def _with_children(structure: Any, kind: Callable[[], object]) -> None:
    for place in range(structure.contents.n_children):
        child = structure.contents.children[place]
        if child.contents.release:
            child.contents.release(child)
    _forget(structure, kind)


@_release_schema  # type: ignore[untyped-decorator]
def _schema_released(schema: object) -> None:
    _with_children(schema, _release_schema)


@_release_array  # type: ignore[untyped-decorator]
def _array_released(array: object) -> None:
    _with_children(array, _release_array)


@_release_stream  # type: ignore[untyped-decorator]
def _stream_released(stream: object) -> None:
    _forget(stream, _release_stream)


def _fill_schema(schema: _Schema, format: str, name: str, children: list[tuple[str, str]]) -> None:
    ctypes.memset(ctypes.byref(schema), 0, ctypes.sizeof(schema))
    inner = [_Schema() for _ in children]
    for child, (child_name, child_format) in zip(inner, children, strict=True):
        _fill_schema(child, child_format, child_name, [])
        child.flags = NULLABLE
    pointers = (ctypes.POINTER(_Schema) * max(1, len(inner)))(*map(ctypes.pointer, inner))
    texts = format.encode(), name.encode()  # the structure has their addresses alone
    schema.format, schema.name = texts
    schema.n_children, schema.children = len(inner), pointers
    schema.release = _schema_released
    _keep(schema, texts, inner, pointers)


def _fill_array(array: _Array, rows: int, nulls: int, buffers: Buffers, children: tuple[ArrowColumn, ...]) -> None:
    ctypes.memset(ctypes.byref(array), 0, ctypes.sizeof(array))
    inner = [_Array() for _ in children]
    for child, column in zip(inner, children, strict=True):
        _fill_array(child, rows, column.nulls, column.buffers, ())
    pointers = (ctypes.POINTER(_Array) * max(1, len(inner)))(*map(ctypes.pointer, inner))
    addresses = (ctypes.c_void_p * max(1, len(buffers)))(*(None if b is None else b.ctypes.data for b in buffers))
    array.length, array.null_count = rows, nulls
    array.n_buffers, array.buffers = len(buffers), addresses
    array.n_children, array.children = len(inner), pointers
    array.release = _array_released
    _keep(array, inner, pointers, addresses, buffers)


class _Source:
    """What one stream reads from; the callbacks are made for each, and live in `_kept` with it."""

    def __init__(self, schema: list[tuple[str, str]], batches: Iterator[ArrowBatch]) -> None:
        self.schema, self.batches = schema, batches
        self.message = ctypes.create_string_buffer(b"")
        self.calls = _get_schema(self.get_schema), _get_next(self.get_next), _last_error(self.last_error)

    def failed(self, error: Exception) -> int:
        self.message = ctypes.create_string_buffer(str(error).encode("utf-8", "backslashreplace"))
        return EIO

    def get_schema(self, stream: object, out: ctypes._Pointer[Any]) -> int:
        try:
            _fill_schema(out.contents, "+s", "", self.schema)
        except Exception as error:  # nothing may leave a callback
            return self.failed(error)
        return 0

    def get_next(self, stream: object, out: ctypes._Pointer[Any]) -> int:
        try:
            batch = next(self.batches, None)
            if batch is None:
                ctypes.memset(ctypes.byref(out.contents), 0, ctypes.sizeof(_Array))
            else:
                _fill_array(out.contents, batch.rows, 0, (None,), batch.columns)
        except Exception as error:  # nothing may leave a callback; the consumer asks for the message
            return self.failed(error)
        return 0

    def last_error(self, stream: object) -> int:
        return ctypes.addressof(self.message)


_destructor = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p
)  # an address: a reference to what is being freed would free it again
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _destructor]
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_NAME = b"arrow_array_stream"  # the capsule keeps the address, so the name must stay
_streams: dict[int, _Stream] = {}
"""Address -> the structure in a capsule; consumers may use it in place, so it lives as long as the capsule."""


@_destructor  # type: ignore[untyped-decorator]
def _capsule_freed(capsule: int) -> None:
    structure = _streams.pop(_pointer(capsule, _NAME))
    if structure.release:  # nobody took it, or never released it
        structure.release(structure)


def stream(schema: list[tuple[str, str]], batches: Iterator[ArrowBatch], requested: object = None) -> object:
    """Return a capsule of an ArrowArrayStream. `schema`: (name, Arrow format) of each column.

    PacketlabError for a requested schema: columns come as they are.
    """
    if requested is not None:
        raise PacketlabError("__arrow_c_stream__", "no schema requested", "one")
    structure = _Stream()
    source = _Source(schema, batches)
    structure.get_schema, structure.get_next, structure.get_last_error = source.calls
    structure.release = _stream_released
    _keep(structure, source)
    _streams[ctypes.addressof(structure)] = structure
    return _capsule(ctypes.addressof(structure), _NAME, _capsule_freed)
