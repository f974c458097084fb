"""What a run has left, less what its clock shows: for comparing runs."""

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.training import events
from ms_pixelcnn_tf.training.monitor import TENSORBOARD, read_metrics
from ms_pixelcnn_tf.training.parts import latest_checkpoint

CLOCK = ("state/seconds", "state/cpu_seconds")
OTHERS = ("save_counter", "_CHECKPOINTABLE")


def state(workdir):
    """Every tensor of the newest checkpoint, by name, except how long it took."""
    reader = tf.train.load_checkpoint(latest_checkpoint(workdir))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith((*CLOCK, *OTHERS))
    }


def curve(workdir):
    """The lines of metrics.jsonl, less how long it took."""
    lines = read_metrics(workdir)
    for line in lines:
        del line["seconds"], line["cpu_seconds"]
    return lines


def shown(workdir):
    """What TensorBoard shows: `(step, tag)` → the value's bytes. No step may be there twice."""
    found = {}
    for step, tag, value in events.values(workdir / TENSORBOARD):
        if not tag.endswith("_per_second"):
            assert (step, tag) not in found, (step, tag)
            found[step, tag] = value.tensor.SerializeToString()
    return found


def assert_same_state(workdir, other):
    """Two runs' newest checkpoints agree bit for bit."""
    got, expected = state(workdir), state(other)
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def assert_same_run(workdir, other):
    """The same of their validation curves and of what TensorBoard shows, too."""
    assert_same_state(workdir, other)
    assert curve(workdir) == curve(other)
    assert shown(workdir) == shown(other)
