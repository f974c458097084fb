"""Pictures and frames of 512x512, in a process of their own: within memory, given pixels kept."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

GIB = 2**30
LOGITS = 256 * 256 * 3 * 256 * np.dtype("float32").itemsize  # bytes, of the last scale's group
# A second picture may add this, for its own pixels and the allocator's waste; measured: 0.53.
SECOND = 0.75 * LOGITS
# The levels are all 256, for it is the logits of the largest groups that take the memory.
CODE = """
import json, re, sys

import numpy as np

import ms_pixelcnn_tf as ms


def peak():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024


fields, start, numbers = json.loads(sys.argv[1])
model = ms.build_model(
    image_size=512, base_size=8, num_levels=256, output="softmax", base_layers=1, base_features=8,
    residual_blocks=1, **fields,
)
peaks = [peak()]
for num in numbers:
    low = np.random.default_rng(0).integers(0, 256, (num, start, start, 3), "uint8")
    if fields.get("variant") == "OT_upscaler":  # the frame after one that stands still
        given = low.repeat(2, 1).repeat(2, 2)[:, None]
        high = model.upscale(np.stack([low, low], 1), given)[:, 1]
    else:
        high = model.upscale(low, 512)
    peaks.append(peak())
    assert high.shape == (num, 512, 512, 3) and high.dtype == "uint8"
    step = 512 // start
    np.testing.assert_array_equal(high[:, ::step, ::step], low)
    assert high.std() > 0
print(json.dumps(peaks))
"""


def peaks(fields, start, numbers):
    """A process's own peak, bytes: before any picture, and after each batch of them."""
    given = json.dumps([fields, start, numbers])
    done = subprocess.run([sys.executable, "-c", CODE, given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def widths(width):
    """Fields of networks of images of one width."""
    features = dict.fromkeys(("features", "head_features", "decoder_features"), width)
    return features | {"decoder_layers": 1}


linux = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


@linux
def test_512_pixels_a_side_take_less_than_4_gib_and_two_no_more_than_one():
    """From 8x8; the peak of a process's own memory, for that of getrusage may be the parent's."""
    before, one, two = peaks({"upscaler": "A"} | widths(8), 8, [1, 2])
    assert two < 4 * GIB
    assert one - before > LOGITS  # of all levels, which are there at once: the peak sees decoding
    assert two - one < SECOND, "a second picture should wait for the first"


@linux
def test_frames_of_512_pixels_a_side_take_less_than_4_gib_and_two_videos_no_more_than_one():
    fields = {"variant": "OT_upscaler", "features": 8, "head_features": 8}
    before, one, two = peaks(fields, 256, [1, 2])
    assert two < 4 * GIB
    assert one - before > LOGITS
    assert two - one < SECOND, "a second video should wait for the first"


@linux
def test_type_b_of_a_real_width_takes_less_than_4_gib():
    """The scale to 512x512 by itself, whose maps are the largest."""
    before, one = peaks({"upscaler": "B", "scale": "512"} | widths(128), 256, [1])
    assert one < 4 * GIB
    maps = 256 * 256 * 128 * np.dtype("float32").itemsize
    assert one - before > 3 * maps  # of the trunk several are there at once
