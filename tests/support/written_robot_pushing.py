"""Records of robot pushing in the authentic layout."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image


def jpeg(left=(200, 40, 40), middle=(40, 200, 40), right=(40, 40, 200)):
    """640x512: 64 columns of one colour on the left, 64 of another on the right."""
    pixels = np.empty((512, 640, 3), "uint8")
    pixels[:], pixels[:, :64], pixels[:, -64:] = middle, left, right
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


FRAME = jpeg()


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=value))


def sequence(steps, start=0.0, **changes):
    """A record; `changes` are of keys written move_3_image for move/3/image/encoded; None: none."""
    features = {"pre/image/encoded": FRAME}
    for step in range(steps):
        features[f"move/{step}/image/encoded"] = FRAME
        pose = step + np.arange(5) / 8
        features[f"move/{step}/commanded_pose/vec_pitch_yaw"] = start + pose
        features[f"move/{step}/endeffector/vec_pitch_yaw"] = start - pose
        features[f"move/{step}/joint/positions"] = [0.0] * 7
    ends = {
        "image": "image/encoded",
        "action": "commanded_pose/vec_pitch_yaw",
        "state": "endeffector/vec_pitch_yaw",
    }
    for name, value in changes.items():
        step, kind = name.split("_")[1:]
        key = f"move/{step}/{ends[kind]}"
        features.pop(key) if value is None else features.update({key: value})
    features = {key: feature(value) for key, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(folder, kind, number, records, total=None):
    total = total or (264 if kind == "train" else 5)
    path = folder / f"push_{kind}" / f"push_{kind}.tfrecord-{number:05d}-of-{total:05d}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path
