"""RMSprop as TensorFlow 1 had it, and steps whose new weights are not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.runs import snapshots
from ms_pixelcnn_tf.runs.checkpoint import Checkpoints, State
from ms_pixelcnn_tf.training.optimizer import RMSprop, build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step
from support.errors import refuses
from support.runs import TinySource, tiny_run


def weight(values, dtype="float32"):
    values = np.asarray(values, dtype)
    return keras.Variable(values, dtype=dtype, name="weight")


def built(optimizer, *variables):
    optimizer.build([*variables])
    return optimizer


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_the_formula_is_tensorflow_1s(centered, start):
    """tf.compat.v1.train.RMSPropOptimizer's, which starts at 1, without momentum."""
    gradients = np.random.default_rng(0).normal(size=(5, 3))
    variable, rate, rho, epsilon = weight([1.0, -2.0, 3.0], "float64"), 0.1, 0.9, 1e-8
    optimizer = built(RMSprop(rate, rho, epsilon, centered, start), variable)
    expected, mean_square, mean = variable.numpy(), np.full(3, start), np.zeros(3)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
        mean_square = mean_square + (gradient**2 - mean_square) * (1 - rho)
        mean = mean + (gradient - mean) * (1 - rho) * centered
        expected = expected - rate * gradient / np.sqrt(mean_square - mean**2 + epsilon)
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_gradient_that_hardly_changes_leaves_the_weights_finite(start):
    """Rounding puts the mean square below the square of the mean."""
    generator = np.random.default_rng(0)
    gradients = 3.0 + 1e-4 * generator.normal(size=(300, 1000)).astype("float32")
    variable = weight(np.zeros(1000))
    optimizer = built(RMSprop(1e-4, centered=True, epsilon=1e-8, start=start), variable)
    below = 0
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
        square, mean = optimizer._velocities[0], optimizer._average_gradients[0]
        below += int(np.sum(square.numpy() - mean.numpy() ** 2 + 1e-8 < 0))
    assert below, "the variance never went below 0"
    assert np.isfinite(variable.numpy()).all()


@pytest.mark.parametrize("centered", [False, True])
def test_it_goes_on_from_a_checkpoint_of_keras_own(tmp_path, centered):
    """Bit for bit: the same variables, the same next step."""
    run = tiny_run()
    found = []
    for kind in (keras.optimizers.RMSprop, RMSprop):
        keras.utils.set_random_seed(0)
        model = make_model(run.model)
        optimizer = built(kind(0.01, centered=centered), *model.trainable_variables)
        gradients = [tf.fill(v.shape, 0.1) for v in model.trainable_variables]
        checkpoints = Checkpoints(tmp_path, model, model, optimizer)
        if kind is RMSprop:
            assert checkpoints.restore().step == 1
        else:
            optimizer.apply(gradients, model.trainable_variables)
            checkpoints.save(State(step=1))
        optimizer.apply(gradients, model.trainable_variables)
        found.append([v.numpy() for v in (*model.variables, *optimizer.variables)])
    for expected, got in zip(*found, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert snapshots.steps(tmp_path / "checkpoints") == [1]


def test_it_is_saved_and_read_as_keras_objects_are():
    train = make_run("robot_pushing", "OTN", "paper").train
    optimizer = build_optimizer(train)
    read = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(read) is RMSprop and read.get_config() == optimizer.get_config()
    assert read.centered and read.start == 1.0 and read.epsilon == 1e-8


@pytest.mark.parametrize("dataset, variant", [("imagenet", "OlogN"), ("robot_pushing", "OTlogN")])
def test_the_papers_recipes_start_at_one(dataset, variant):
    optimizer = build_optimizer(make_run(dataset, variant, "paper").train)
    variable = weight(np.zeros(3))
    optimizer.build([variable])
    np.testing.assert_array_equal(optimizer._velocities[0].numpy(), 1.0)
    assert build_optimizer(tiny_run(optimizer="rmsprop").train).start == 0.0
    with refuses("rmsprop_start", 0.5, "0.0, 1.0"):
        tiny_run(rmsprop_start=0.5)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_a_step_whose_new_weights_are_not_finite_changes_nothing_and_is_counted(optimizer):
    run = tiny_run(optimizer=optimizer, epsilon=1e-8, gradient_clip_norm=0.0, warmup_steps=0)
    keras.utils.set_random_seed(0)
    model, averaged = make_model(run.model), make_model(run.model)
    optimizer = built(build_optimizer(run.train), *model.trainable_variables)
    rate = tf.Variable(0.01)
    optimizer.learning_rate = lambda: rate
    train_step = make_train_step(model, averaged, optimizer, run.train)
    batch = {"image": tf.constant(TinySource().examples("train", np.arange(4))["image"] // 128)}

    def taken(step):
        metrics = train_step(batch, tf.constant(step, tf.int64))
        assert np.isfinite(float(metrics["bits"]))
        assert np.isfinite(float(metrics["gradient_norm"]))
        held = (*model.variables, *averaged.variables, *optimizer.variables)
        return float(metrics["skipped"]), [variable.numpy() for variable in held]

    skipped, before = taken(0)
    assert skipped == 0
    rate.assign(np.inf)
    skipped, after = taken(1)
    assert skipped == 1
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)
    rate.assign(0.01)
    skipped, after = taken(1)
    assert skipped == 0 and any((old != new).any() for old, new in zip(before, after, strict=True))
    assert all(np.isfinite(value).all() for value in after)
