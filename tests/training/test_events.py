"""TensorBoard's files are cut back to what a run has behind it."""

import pytest
import tensorflow as tf

from ms_pixelcnn_tf.data.tfrecords.records import places
from ms_pixelcnn_tf.training import events


def write(folder, steps, tags=("train/bits", "validation/bits")):
    with tf.summary.create_file_writer(str(folder)).as_default():
        for step in steps:
            for tag in tags:
                tf.summary.scalar(tag, float(step), step)


def found(folder):
    return sorted(
        (step, tag, float(tf.make_ndarray(value.tensor)))
        for step, tag, value in events.values(folder)
    )


def expected(pairs):
    return sorted((step, tag, float(step)) for step, tag in pairs)


def test_later_steps_go_and_the_rest_stays_in_every_file(tmp_path):
    write(tmp_path, [1, 2, 3])
    write(tmp_path / "other", [4, 5])
    (file,) = (tmp_path / "other").glob(events.FILES)
    file.rename(tmp_path / f"{file.name}.later")
    events.cut(tmp_path, lambda step, tag: step < 2 or (step == 2 and tag.startswith("train/")))
    assert found(tmp_path) == expected(
        [(1, "train/bits"), (1, "validation/bits"), (2, "train/bits")]
    )
    assert len(list(tmp_path.glob(events.FILES))) == 1  # nothing was left of the other


def test_what_is_kept_whole_is_not_touched(tmp_path):
    write(tmp_path, [1, 2])
    (file,) = tmp_path.glob(events.FILES)
    before = file.read_bytes(), file.stat().st_mtime_ns
    events.cut(tmp_path, lambda step, tag: True)
    assert before == (file.read_bytes(), file.stat().st_mtime_ns)
    events.cut(tmp_path / "none", lambda step, tag: True)


@pytest.mark.parametrize("lost", [1, 9, 30])
def test_a_torn_record_goes(tmp_path, lost):
    write(tmp_path, [1, 2, 3], tags=["train/bits"])
    (file,) = tmp_path.glob(events.FILES)
    file.write_bytes(file.read_bytes()[:-lost])
    events.cut(tmp_path, lambda step, tag: True)
    assert found(tmp_path) == expected([(1, "train/bits"), (2, "train/bits")])
    write(tmp_path, [3], tags=["train/bits"])
    assert [step for step, *_ in found(tmp_path)] == [1, 2, 3]


def test_of_a_flipped_byte_nothing_but_its_record_goes(tmp_path):
    write(tmp_path, [1, 2, 3], tags=["train/bits"])
    (file,) = tmp_path.glob(events.FILES)
    content = bytearray(file.read_bytes())
    *_, (offset, length), _ = places(file)  # the second step's
    content[offset + length - 1] ^= 1
    file.write_bytes(content)
    events.cut(tmp_path, lambda step, tag: True)
    assert found(tmp_path) == expected([(1, "train/bits"), (3, "train/bits")])
    assert all(record for record in tf.data.TFRecordDataset(str(file)))  # whole for others too
