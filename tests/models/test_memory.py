"""A picture of 512x512 from 8x8, in a process of its own: within memory, given pixels kept."""

import subprocess
import sys

import pytest

GIB = 2**30
# The levels are all 256, for it is the logits of the largest groups that take the memory.
CODE = """
import re

import numpy as np

import ms_pixelcnn_tf as ms

model = ms.build_model(
    image_size=512, base_size=8, num_levels=256, output="softmax", base_layers=1, base_features=8,
    residual_blocks=1, features=8, head_features=8,
)
low = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), "uint8")
high = model.upscale(low, 512)
assert high.shape == (1, 512, 512, 3) and high.dtype == "uint8"
np.testing.assert_array_equal(high[:, ::64, ::64], low)
assert high.std() > 0
with open("/proc/self/status") as status:
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_512_pixels_a_side_take_less_than_4_gib():
    """The peak of a process's own memory; that of getrusage may be the parent's."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.splitlines()[-1])
    assert 2**28 < peak < 4 * GIB
