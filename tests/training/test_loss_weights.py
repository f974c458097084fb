"""Scales that are trained together learn as they do by themselves."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.configs import RunConfig, make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import _loss_parts, make_train_step
from support.cases import fast
from support.runs import tiny_video_run

SMALL = {
    "output": "softmax",
    "base_layers": 1,
    "base_features": 16,
    "residual_blocks": 1,
    "features": 16,
    "head_features": 16,
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
    ramps = np.linspace(0, 200, width)[:, None]
    images = ramps * generator.random((run.train.batch_size, height, 1, 1))
    images = images + generator.integers(0, 30, (run.train.batch_size, height, width, 3))
    return {"image": tf.constant(images.astype("uint8"))}


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
    fast(
        [
            {"optimizer": "rmsprop", "epsilon": 1e-8, "gradient_clip_norm": 0.0},
            {"optimizer": "adam", "gradient_clip_norm": 0.0},
            {"optimizer": "rmsprop", "epsilon": 1.0, "gradient_clip_norm": 0.01},  # clips visibly
            {"optimizer": "adam", "epsilon": 1.0, "gradient_clip_norm": 0.01, "crop_size": 4},
        ],
        0,
    ),
)
def test_a_scale_takes_the_same_first_step_together_and_by_itself(fields):
    together = small_run(8, loss_weights="per_scale", clip_by="network", **fields)
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


@pytest.mark.slow
def test_no_scale_starves():
    """ε is inside the root of RMSprop: weights whose gradients are below its root, 1e-4, move
    little."""
    base, top = moved_at_the_twelfth_step("per_scale")
    assert top / 3 < base < 3 * top
    base, top = moved_at_the_twelfth_step("per_image")
    assert base < top / 5


@pytest.mark.parametrize(
    "variant, sizes", [("OTlogN", {"": 8, "2to4": 24}), ("OT", {"": 32}), ("OTN", {"": 32})]
)
def test_the_scales_of_a_frame_are_the_parts_of_the_loss(variant, sizes):
    model = make_model(tiny_video_run(variant).model)
    assert _loss_parts(model.term_dims, "per_image") == [([*model.term_dims], 32)]
    parts = _loss_parts(model.term_dims, "per_scale")
    assert [dims for _, dims in parts] == list(sizes.values())
    for (names, _), scale in zip(parts, sizes, strict=True):
        assert names == [name for name in model.term_dims if name.rpartition("/")[0] == scale]
    check_networks(model, 1 + len(sizes))  # and the encoder of the past


@pytest.mark.parametrize(
    "fields, number",
    [
        ({}, 3),
        ({"num_classes": 3, "encoder_shared_to": 8}, 4),  # base and 8 share an encoder
        ({"num_classes": 3, "encoder_shared_to": 0}, 3),  # each has its own
    ],
)
def test_networks_are_clipped_apart(fields, number):
    check_networks(make_model(small_run(16, **fields).model), number)


def check_networks(model, number):
    """Every variable is in one network."""
    networks = model.networks()
    assert len(networks) == number
    paths = [variable.path for network in networks for variable in network]
    assert sorted(paths) == sorted(variable.path for variable in model.trainable_variables)


def test_an_earlier_runs_configuration_keeps_its_training():
    """Fields that its config.json lacks mean what was done then."""
    run = make_run(optimizer="rmsprop", centered=True)
    parts = json.loads(run.to_json())
    for name in ("loss_weights", "clip_by", "rmsprop_start"):
        del parts["train"][name]
    assert RunConfig.from_json(json.dumps(parts)) == run
    fields = run.train.loss_weights, run.train.clip_by, run.train.rmsprop_start
    assert fields == ("per_image", "all", 0.0)


@pytest.mark.parametrize("dataset, variant", [("imagenet", "OlogN"), ("robot_pushing", "OTlogN")])
def test_the_papers_recipes_train_each_scale_alike(dataset, variant):
    train = make_run(dataset, variant, "paper").train
    fields = train.loss_weights, train.clip_by, train.rmsprop_start
    assert fields == ("per_scale", "network", 1.0)
    for preset in ("tiny", "small"):
        train = make_run(dataset, variant, preset).train
        assert (train.loss_weights, train.clip_by) == ("per_image", "all")
