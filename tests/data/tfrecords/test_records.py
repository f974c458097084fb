"""TFRecord files as TensorFlow writes them; whatever is damaged is found, with its place."""

import random

import pytest
import tensorflow as tf

from ms_pixelcnn_tf.data.tfrecords.records import index_of, read_record, records_of
from support.errors import refuses

RECORDS = [b"first", b"", bytes(range(256)) * 10, b"last"]


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


def test_records_are_tensorflows(path):
    assert list(records_of(path)) == RECORDS
    assert [record.numpy() for record in tf.data.TFRecordDataset(path)] == RECORDS


def test_records_in_any_order(path):
    index = index_of(path)
    with open(path, "rb") as file:
        for number in (3, 0, 2, 2, 1):
            assert read_record(file, path, *index[number]) == RECORDS[number]


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty").touch()
    assert index_of(tmp_path / "empty").shape == (0, 2)


def test_every_cut_is_told_unless_it_is_between_records(path):
    whole = open(path, "rb").read()
    ends = [0] + [int(offset + length + 4) for offset, length in index_of(path)]
    for length in range(len(whole)):
        with open(path, "wb") as file:
            file.write(whole[:length])
        if length in ends:
            assert len(list(records_of(path))) == ends.index(length)
        else:
            start = max(end for end in ends if end < length)
            with refuses(path, f"byte {start}", "cut short"):
                list(records_of(path))


def test_every_flipped_bit_is_found_and_placed(path):
    whole = open(path, "rb").read()
    starts = [int(offset) - 12 for offset, _ in index_of(path)]
    for place in [*range(60), *random.Random(0).sample(range(len(whole)), 60)]:
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        with open(path, "wb") as file:
            file.write(content)
        start = max(start for start in starts if start <= place)
        with refuses(path, f"byte {start}"):
            list(records_of(path))
