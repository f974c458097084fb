"""Programs for all cores compute what one would."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf import fusing


@pytest.mark.parametrize("cores", [2, 3])
def test_each_core_has_its_part_of_a_batch(cores, monkeypatch):
    """Of any size, once traced: fewer images than cores, as many, and parts that overlap."""

    def double(tree, added):
        return [2 * tree[0] + added, tree[1][..., 0, :, :]]

    monkeypatch.setattr(fusing, "_cores", lambda: cores)
    generator = np.random.default_rng(0)

    @tf.function(input_signature=[tf.TensorSpec(shape) for shape in ((3, None, 2), (3, 4, None, 5), (3, None, 2))])
    def call(first, second, added):
        return fusing.fuse_by_cores(double)((first, second), added)

    for batch in range(1, 2 * cores + 2):
        first, second, added = (
            generator.random(shape).astype("float32")
            for shape in ((3, batch, 2), (3, 4, batch, 5), (3, batch, 2))
        )
        sums, slices = call(first, second, added)
        np.testing.assert_allclose(sums, 2 * first + added, rtol=1e-6)
        np.testing.assert_array_equal(slices, second[:, 0])


def test_one_core_has_one_program(monkeypatch):
    monkeypatch.setattr(fusing, "_cores", lambda: 1)
    called = fusing.fuse_by_cores(lambda x: [x + 1])
    assert called.experimental_get_tracing_count() == 0
    np.testing.assert_array_equal(called(tf.zeros((2, 3)))[0], np.ones((2, 3)))
    assert called.experimental_get_tracing_count() == 1


def test_without_fusing_nothing_is_cut(monkeypatch):
    monkeypatch.setattr(fusing, "_cores", lambda: 2)

    def function(x):
        return [x]

    with fusing.unfused():
        assert fusing.fuse_by_cores(function) is function
