"""A program that all cores call computes what one call would."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.sampling import per_core


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("batch_axis", [0, -2])
@pytest.mark.parametrize("parts", [2, 3])
def test_each_core_has_its_part_of_a_batch(parts, batch_axis, fused, monkeypatch):
    """Of any size, traced once: parts of one size, zeros after the last; few images: one call."""
    monkeypatch.setattr(per_core, "_parts", lambda: parts)
    generator = np.random.default_rng(0)

    def program(tree, added):
        size = tf.cast(tf.shape(added)[batch_axis], "float32")
        return [2 * tree["a"] + added, tree["b"][..., :3], size + 0 * added]

    def shapes(batch):
        first, second = (
            ((3, batch, 2), (3, 4, batch, 5)) if batch_axis else ((batch, 3, 2), (batch, 5))
        )
        return first, second, first

    @tf.function(input_signature=[tf.TensorSpec(shape) for shape in shapes(None)])
    def call(first, second, added):
        called = per_core.by_cores(program, fused, batch_axis)
        return called({"a": first, "b": second}, added)

    for batch in range(2 * parts + 2):
        first, second, added = (
            generator.random(shape).astype("float32") for shape in shapes(batch)
        )
        sums, slices, sizes = call(first, second, added)
        np.testing.assert_allclose(sums, 2 * first + added, rtol=1e-6)
        np.testing.assert_array_equal(slices, second[..., :3])
        assert sizes.shape == added.shape
        np.testing.assert_array_equal(sizes, batch if batch < parts else -(-batch // parts))
    assert call.experimental_get_tracing_count() == 1


def test_one_core_has_one_program(monkeypatch):
    monkeypatch.setattr(per_core, "_parts", lambda: 1)
    called = per_core.by_cores(lambda x: [x + 1], fused=True, batch_axis=0)
    assert called.experimental_get_tracing_count() == 0
    np.testing.assert_array_equal(called(tf.zeros((2, 3)))[0], np.ones((2, 3)))
    assert called.experimental_get_tracing_count() == 1


def test_without_fusing_nothing_is_cut(monkeypatch):
    monkeypatch.setattr(per_core, "_parts", lambda: 2)

    def function(x):
        return [x]

    with per_core.unfused():
        assert per_core.by_cores(function, fused=True, batch_axis=0) is function
        assert per_core.by_cores(function, fused=False, batch_axis=-2) is function


def test_as_many_parts_as_cores_up_to_a_bound_and_one_beside_a_gpu(monkeypatch):
    monkeypatch.setattr(per_core.os, "sched_getaffinity", lambda _: range(3), raising=False)
    monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda: 0)
    assert per_core._parts() == 3
    monkeypatch.setattr(per_core.os, "sched_getaffinity", lambda _: range(64))
    assert per_core._parts() == per_core.MOST_PARTS
    monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda: 2)
    assert per_core._parts() == 2
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert per_core._parts() == 1
