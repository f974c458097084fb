"""A safe reader for pickles of numpy arrays, lists, dicts, strings and numbers.

A pickle is a program: loading one from a stranger can run any code. Some data sets are published as
pickles all the same. This reader accepts the few names that such data needs and refuses all others.

The accepted names are not looked up in numpy. They stand for functions in this module, which make
an array only if all of its bytes are there. So a small pickle can neither run code nor allocate an
array that fills memory. The reader builds on the standard library's unpickler in Python, whose memo
is a dict; the memo of the one in C is as long as the largest index that a pickle names.
"""

import io
import math
import pickle
from typing import IO, Any, cast

import numpy as np

from ms_pixelcnn_tf.errors import UserError

NUMBERS = "biufcSU"  # kinds of numpy types that are data: numbers, booleans, strings
KEYS = (str, bytes, int, float, bool, np.generic)  # no tuples: hashing nested ones fills the stack
# Opcodes that make objects other than these data, or that read outside the pickle.
REFUSED = (
    pickle.INST,
    pickle.OBJ,
    pickle.NEWOBJ,
    pickle.NEWOBJ_EX,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.PERSID,
    pickle.BINPERSID,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
    pickle.FROZENSET,
    pickle.EMPTY_SET,
    pickle.ADDITEMS,
)


def loads(content: bytes, where: str) -> Any:
    """The object in a pickle's bytes.

    Args:
        content: bytes of any pickle protocol; Python 2 strings become str (Latin-1).
        where: name of the pickle, for messages.

    Raises:
        UserError: if it is damaged, or contains anything but data.
    """
    return load(io.BytesIO(content), len(content), where)


def load(file: IO[bytes] | io.RawIOBase, size: int, where: str) -> Any:
    """Like `loads`, but reads the pickle from the next `size` bytes of a binary file."""
    try:
        return _Unpickler(_Reader(file, size), encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{where}: a pickle that {error}") from error
    except Exception as error:  # a damaged pickle can raise any type
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{where}: not a whole pickle: {told}") from error


class _Type:
    """A numpy type that is built in two steps: by name, then byte order and string size."""

    def __init__(self, name):
        self.value = np.dtype(name)
        if self.value.kind not in NUMBERS:
            raise UserError(f"holds numpy's type {name!r}, which is no number or string; refused")

    def set(self, state):
        _, order, subarray, names, fields, size = state[:6]
        if subarray is not None or names is not None or fields is not None:
            raise UserError("holds a numpy type of several fields; refused")
        if self.value.kind in "SU" and size > 0:
            self.value = np.dtype((self.value.type, size // (4 if self.value.kind == "U" else 1)))
        self.value = self.value.newbyteorder(order)


def _dtype(name, align=False, copy=False):
    del align, copy
    return _Type(_checked(name, str))


def _empty_array(cls, shape, kind):
    """Replaces numpy's `_reconstruct`: an empty array that `load_build` fills."""
    del kind
    if cls is not _ARRAY or tuple(shape) != (0,):
        raise UserError("makes an array otherwise than numpy does; refused")
    return np.zeros(0, "int8")


def _proven(content, dtype, shape):
    """`(bytes, numpy type, shape)`. Raises UserError if the bytes do not exactly fill the array."""
    if isinstance(content, str):  # bytes of Python 2
        content = content.encode("latin1")
    dtype = _checked(dtype, _Type).value
    shape = tuple(_checked(length, int) for length in _checked(shape, tuple))
    wanted = math.prod(shape) * dtype.itemsize
    if not dtype.itemsize or min(shape, default=0) < 0 or wanted != len(content):
        raise UserError(
            f"announces an array of shape {shape} of {dtype}, but holds {len(content)} bytes of it"
        )
    return content, dtype, shape


def _array(content, dtype, shape, order):
    content, dtype, shape = _proven(content, dtype, shape)
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _scalar(dtype, content):
    return _array(content, dtype, (), "C")[()]


def _latin1(text, encoding):
    """Replaces `codecs.encode`, with which protocols before 3 write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise UserError(f"encodes as {encoding!r}; refused")
    return text.encode("latin1")


def _no_bytes():
    """Replaces `bytes`, with which protocols before 3 write empty bytes."""
    return b""


def _checked(value, kind):
    if type(value) is not kind:
        raise UserError(f"has a {type(value).__name__} where a {kind.__name__} belongs")
    return value


_ARRAY = object()  # represents the class `numpy.ndarray`, which a pickle must not call
# The names that numpy 1 and 2 use to rebuild arrays.
ADMITTED = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}
for _core in ("numpy.core", "numpy._core"):
    ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    ADMITTED[f"{_core}.numeric", "_frombuffer"] = _array


_Base = cast(Any, pickle._Unpickler)  # its attributes are missing from the library's type stubs


class _Unpickler(_Base):
    dispatch = dict(_Base.dispatch)

    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            raise UserError(f"names {module}.{name}, which is not data; refused")
        return ADMITTED[module, name]

    def load_build(self):
        state = _checked(self.stack.pop(), tuple)
        made = self.stack[-1]
        if type(made) is np.ndarray:
            _, shape, dtype, is_fortran, content = state
            content, dtype, shape = _proven(content, dtype, shape)
            # In place, because the memo already holds this object.
            made.__setstate__((1, shape, dtype, cast(Any, bool(is_fortran)), content))
        else:
            _checked(made, _Type).set(state)

    def load_setitem(self):
        self._check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self):
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self):
        self._check_keys(self.stack[::2])
        super().load_dict()

    def load_bytearray8(self):
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))  # the library's allocates before it reads

    def load_refused(self):
        raise UserError("makes objects that are not data; refused")

    def _check_keys(self, keys):
        for key in keys:
            if not isinstance(key, KEYS):
                raise UserError(f"has a {type(key).__name__} as a key; refused")


_Unpickler.dispatch.update(
    {
        pickle.BUILD[0]: _Unpickler.load_build,
        pickle.SETITEM[0]: _Unpickler.load_setitem,
        pickle.SETITEMS[0]: _Unpickler.load_setitems,
        pickle.DICT[0]: _Unpickler.load_dict,
        pickle.BYTEARRAY8[0]: _Unpickler.load_bytearray8,
        **{opcode[0]: _Unpickler.load_refused for opcode in REFUSED},
    }
)


class _Reader:
    """A part of a file that refuses to read past its end."""

    def __init__(self, file, size):
        self._file, self._left = file, size

    def read(self, size):
        if not 0 <= size <= self._left:
            raise UserError(f"is cut short: {size} bytes announced, {self._left} left")
        content = self._file.read(size)
        if len(content) != size:
            raise UserError("is cut short")
        self._left -= size
        return content

    def readinto(self, buffer):
        buffer[:] = self.read(len(buffer))
        return len(buffer)

    def readline(self):
        content = self._file.readline(self._left)
        self._left -= len(content)
        return content
