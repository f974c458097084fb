"""Scales that are trained together learn as they do by themselves."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step
from support.tiny_video import tiny_video_run

SMALL = {
    "output": "softmax",
    "channels": 1,
    "num_levels": 8,
    "base_layers": 2,
    "base_features": 8,
    "residual_blocks": 2,
    "features": 8,
    "head_features": 8,
    "batch_size": 4,
    "warmup_steps": 0,
}
PAPER = {  # the paper's optimiser
    "optimizer": "rmsprop",
    "epsilon": 1e-8,
    "learning_rate": 1e-4,
    "final_learning_rate": 1e-4,
    "gradient_clip_norm": 0.0,
    "loss_weights": "per_scale",
}


def small_run(image_size, **fields):
    return make_run(**(SMALL | {"image_size": image_size, "base_size": 4} | fields))


def smooth_batch(run):
    """Images with something to learn: ramps with noise."""
    (height, width), generator = run.model.image_size, np.random.default_rng(0)
    ramps = np.linspace(0, 5, width) * generator.random((run.train.batch_size, height, 1))
    images = ramps + generator.integers(0, 3, ramps.shape)
    return {"image": tf.constant(images[..., None].astype("uint8"))}


def start(run, weights=None):
    """A model, with `weights` by path where they are given, and its step."""
    keras.utils.set_random_seed(0)
    model = make_model(run.model)
    for variable in model.trainable_variables:
        if weights is not None:
            variable.assign(weights[variable.path])
    optimizer = build_optimizer(run.train)
    optimizer.build(model.trainable_variables)
    return model, make_train_step(model, model, optimizer, run.train)


def weights_of(model):
    return {variable.path: variable.numpy() for variable in model.trainable_variables}


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "rmsprop", "epsilon": 1e-8, "gradient_clip_norm": 0.0},
        {"optimizer": "adam", "gradient_clip_norm": 0.0},
        {"optimizer": "rmsprop", "epsilon": 1.0, "gradient_clip_norm": 0.01},  # clips visibly
        {"optimizer": "adam", "epsilon": 1.0, "gradient_clip_norm": 0.01, "crop_size": 8},
    ],
)
def test_a_scale_takes_the_same_first_step_together_and_by_itself(fields):
    together = small_run(16, loss_weights="per_scale", clip_by="network", **fields)
    batch, step = smooth_batch(together), tf.constant(0, tf.int64)
    model, train_step = start(together)
    before = weights_of(model)
    metrics = train_step(batch, step)
    after = weights_of(model)
    for scale in model.config.scale_names:
        alone = dataclasses.replace(
            together, model=dataclasses.replace(together.model, scale=scale)
        )
        own_model, own_step = start(alone, before)
        own_metrics = own_step(batch, step)
        for name, bits in own_metrics["terms"].items():
            assert float(bits) == pytest.approx(float(metrics["terms"][name]), rel=1e-5)
        for path, value in weights_of(own_model).items():
            moved = abs(value - before[path]).max()
            np.testing.assert_allclose(after[path], value, atol=1e-3 * moved, err_msg=path)


def moved_at_the_twelfth_step(loss_weights):
    """Mean |Δw| over the learning rate at step 12: of the base, and of the upscalers to 32."""
    run = small_run(32, **PAPER | {"loss_weights": loss_weights})
    batch, (model, train_step) = smooth_batch(run), start(run)
    for step in range(11):
        train_step(batch, tf.constant(step, tf.int64))
    before = weights_of(model)
    train_step(batch, tf.constant(11, tf.int64))
    moved = [
        np.concatenate(
            [
                abs(value - before[path]).ravel()
                for path, value in weights_of(model).items()
                if path.startswith(owner)
            ]
        ).mean()
        for owner in ("base", "16to32")
    ]
    return np.array(moved) / run.train.learning_rate


def test_no_scale_starves():
    """ε stands within the root of RMSprop: gradients below its root, 1e-4, move little."""
    base, top = moved_at_the_twelfth_step("per_scale")
    assert top / 3 < base < 3 * top
    base, top = moved_at_the_twelfth_step("per_image")
    assert base < top / 8
