"""Pickles: data comes back, code does not run, and no small pickle takes much memory."""

import functools
import os
import pickle
import random
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ms_pixelcnn_tf.errors import UserError
from support.errors import refuses
from tfrecords_tools.pickles import loads

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ARRAYS = [
    np.arange(12, dtype="uint8").reshape(3, 4),
    np.asfortranarray(np.arange(6, dtype="float64").reshape(2, 3)),
    np.array([1.5, -2, np.inf], ">f4"),
    np.array([True, False]),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array(3, "int16"),
    np.zeros((0, 5), "int64"),
    np.array([1 + 2j], "complex64"),
]
BATCH = {
    "data": np.arange(24, dtype="uint8").reshape(2, 12),
    "labels": [1, 1000],
    "mean": np.linspace(0, 1, 12),
}


def assert_same(found, wanted):
    # numpy brings what it unpickles to the byte order of the machine.
    assert found.dtype.newbyteorder("=") == wanted.dtype.newbyteorder("=")
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_data_comes_back(protocol):
    for array in ARRAYS:
        assert_same(loads(pickle.dumps(array, protocol), "x"), array)
    value = [1, -(2**70), 2.5, "é", b"", b"\xff", None, True, (1, (2,)), {"a": [], 3: {}}]
    assert loads(pickle.dumps(value, protocol), "x") == value
    scalar = loads(pickle.dumps(np.float32(2.5), protocol), "x")
    assert scalar == 2.5 and scalar.dtype == "float32"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_array_named_twice_is_one(protocol):
    shared = np.arange(3)
    found = loads(pickle.dumps([shared, shared, np.arange(2)], protocol), "x")
    assert found[0] is found[1]
    assert_same(found[0], shared)
    assert_same(found[2], np.arange(2))


@pytest.mark.parametrize("protocol", [0, 1])
def test_names_of_numpy_1_are_read(protocol):
    content = pickle.dumps(BATCH, protocol).replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in content
    assert_same(loads(content, "x")["data"], BATCH["data"])


def test_bytes_of_python_2_are_read():
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x03\x00\x80\xfftb."
    )
    assert_same(loads(content, "x"), np.array([0, 128, 255], "uint8"))


def test_a_list_of_names_is_read():
    names = ["001.Black/a_1", "002.White/b_2"]
    assert loads(b"(lp0\nS'001.Black/a_1'\np1\naS'002.White/b_2'\np2\na.", "x") == names


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_is_refused(tmp_path, protocol):
    marker = tmp_path / "ran"
    calls = [
        Runs(os.system, f"touch {marker}"),
        Runs(eval, f"open({str(marker)!r}, 'w')"),
        Runs(functools.partial, os.system, f"touch {marker}"),
        Runs(getattr, "x", "format"),
    ]
    for call in calls:
        objects = np.empty(1, object)
        objects[0] = call
        for value in (call, [call], {"data": call}, objects):
            with refuses("folder/x", "pickle", "refused"):
                loads(pickle.dumps(value, protocol), "folder/x")
    assert not marker.exists()


@pytest.mark.parametrize(
    "value",
    [np.array([None, 1], object), np.zeros(2, "u1,f4"), np.zeros(2, "M8[s]"), {1, 2}, {(1,): 2}],
)
def test_what_is_no_plain_data_is_refused(value):
    with refuses("folder/x", "pickle", "refused"):
        loads(pickle.dumps(value), "folder/x")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cos\nsystem\n.",
        b"(S'x'\nios\nsystem\n.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"Pname\n.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_every_way_to_name_a_class_is_refused(content):
    with refuses("folder/x", "pickle", "refused"):
        loads(content, "folder/x")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_anywhere_is_an_error(protocol):
    content = pickle.dumps(BATCH, protocol)
    for length in range(len(content)):
        with refuses("folder/batch"):
            loads(content[:length], "folder/batch")


def array_pickle(shape, kind=b"u1", content=b"ab"):
    """An array that claims `shape`, through `_frombuffer` and through BUILD."""
    length = pickle.dumps(shape, 2)[2:-1]
    of_type = b"cnumpy\ndtype\nU" + bytes([len(kind)]) + kind + b"K\x00K\x01\x87R"
    held = b"C" + bytes([len(content)]) + content
    return (
        b"\x80\x05cnumpy._core.numeric\n_frombuffer\n(" + held + of_type + length + b"U\x01CtR.",
        b"\x80\x05cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01" + length + of_type + b"\x89" + held + b"tb.",
        b"\x80\x05cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + length
        + b"U\x01b\x87R.",
        b"\x80\x05cnumpy\nndarray\n" + length + b"\x85R.",
    )


HUGE = 2**33
BOMBS = [
    b"\x80\x05\x8e" + struct.pack("<Q", HUGE) + b"x.",  # BINBYTES8
    b"\x80\x05\x8d" + struct.pack("<Q", HUGE) + b"x.",  # BINUNICODE8
    b"\x80\x05\x96" + struct.pack("<Q", HUGE) + b"x.",  # BYTEARRAY8
    b"\x80\x05\x95" + struct.pack("<Q", 13) + b"\x96" + struct.pack("<Q", HUGE) + b"xxx.",
    b"\x80\x05\x95" + struct.pack("<Q", HUGE) + b"N.",  # FRAME
    b"\x80\x02B" + struct.pack("<I", 2**32 - 1) + b"x.",
    b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"x.",  # LONG4
    b"\x80\x02c__builtin__\nbytes\n\x8a\x05\x00\x00\x00\x00\x02\x85R.",
    *array_pickle((HUGE,)),
    *array_pickle((2**62, 4)),
    *array_pickle((-1,)),
    *array_pickle((HUGE,), b"S0", b""),
    *array_pickle((HUGE, 0), b"O", b""),
    b"\x80\x02" + b"N" + b"\x85" * 10**6 + b"}\x94" + b"0h\x00" + b"N" + b"\x85" * 10**6 + b"Ns.",
]


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_what_is_announced_takes_no_memory(number):
    content = BOMBS[number]
    tracemalloc.start()
    with pytest.raises(UserError):
        loads(content, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 + 200 * len(content)


def test_a_far_place_in_the_memo_takes_no_memory():
    for content in (b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".", b"Np99999999999\n."):
        tracemalloc.start()
        assert loads(content, "x") is None
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20


def survives(content):
    try:
        loads(content, "x")
    except UserError as error:
        assert "\n" not in str(error)


WHOLE = [pickle.dumps(value, p) for value in (BATCH, ["a/b", "c"], ARRAYS) for p in PROTOCOLS]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(content):
    survives(content)
    survives(b"\x80\x04" + content + b".")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(WHOLE), st.integers(0, 2**32))
def test_changed_pickles_raise_nothing_else(content, seed):
    generator = random.Random(seed)
    content = bytearray(content)
    for _ in range(generator.randint(1, 8)):
        place = generator.randrange(len(content))
        change = generator.randrange(3)
        if change == 0:
            content[place] = generator.randrange(256)
        elif change == 1:
            del content[place : place + generator.randint(1, 9)]
        else:
            content[place:place] = content[: generator.randint(1, 9)]
    survives(bytes(content))
