"""Training the Keras way: what `fit` minimises is the negative of `log_prob`, and Keras' own tools
(callbacks, tf.data, files) find what they expect."""

import importlib.util
import math
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.errors import refuses
from support.models import (
    random_conditions,
    random_frames,
    random_levels,
    random_model,
    random_sequences,
    random_video_model,
)

ROOT = pathlib.Path(__file__).parents[2]


def small_model(**overrides):
    return random_model(weight_scale=0.2, **{"variant": "ON"} | overrides)


def stripes(count):
    """Images that a model can learn: columns of 0 and 1, one in four of them the other way."""
    images = np.zeros((count, 4, 4, 1), "uint8")
    images[:, :, ::2] = 1
    images[::4] = 1 - images[::4]
    return images


def assert_reports(model, x, examples, conditions=None, atol=0.0):
    """`evaluate` says what `log_prob` says, up to `atol` nats per sub-pixel."""
    nats = -np.asarray(model.log_prob(examples, conditions)).mean() / sum(model.term_dims.values())
    said = model.evaluate(x, batch_size=5, verbose=0, return_dict=True)
    np.testing.assert_allclose(said["loss"], nats, rtol=1e-5, atol=atol)
    np.testing.assert_allclose(said["bits_per_dim"], said["loss"] / math.log(2), rtol=1e-6)


def weights(model):
    return {variable.path: np.asarray(variable) for variable in model.variables}


def assert_same_weights(model, other, **tolerance):
    ours, theirs = weights(model), weights(other)
    assert list(ours) == list(theirs)
    for path, values in ours.items():
        np.testing.assert_allclose(values, theirs[path], err_msg=path, **tolerance)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_loss_falls_and_is_the_likelihood(dtype):
    model, images = small_model(dtype=dtype), stripes(12)
    atol = {"float32": 0, "mixed_bfloat16": 2**-8}[dtype]  # a rounding of each sub-pixel's nats
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(images, batch_size=4, epochs=6, validation_split=0.25, verbose=0).history
    assert set(history) == {"loss", "bits_per_dim", "val_loss", "val_bits_per_dim"}
    for name in ("loss", "val_bits_per_dim"):
        assert history[name][-1] < 0.9 * history[name][0], name
    assert_reports(model, images, images, atol=atol)
    nats = model.predict(images, batch_size=5, verbose=0)
    np.testing.assert_allclose(nats, model.log_prob(images), rtol=1e-5, atol=16 * atol)


@pytest.mark.slow
def test_a_multiscale_model_is_fitted_with_all_its_terms():
    model, images = random_model(weight_scale=0.2), stripes(8)
    nats, before = -np.asarray(model.log_prob(images)).mean() / 16, weights(model)
    model.compile("adam")
    losses = model.fit(images, verbose=0).history["loss"]  # one step: the loss before it
    np.testing.assert_allclose(losses, nats, rtol=1e-5)
    for name in ("base", "2to4_group2", "2to4_group3", "2to4_group4"):
        paths = [path for path in before if path.startswith(name)]
        assert any((before[path] != weights(model)[path]).any() for path in paths), name


def test_a_step_is_that_of_a_loop_by_hand():
    images = random_levels(small_model(), 6)
    model, other = small_model(), small_model()
    model.compile()
    model.fit(images, batch_size=6, epochs=2, verbose=0)
    optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8, global_clipnorm=1.0)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(other.log_prob(images)) / 16
        gradients = tape.gradient(loss, [variable.value for variable in other.trainable_variables])
        optimizer.apply(gradients, other.trainable_variables)
    assert_same_weights(model, other, rtol=1e-5, atol=1e-6)
    moved = max(
        np.abs(v - weights(small_model())[path]).max() for path, v in weights(model).items()
    )
    assert 1e-3 < moved < 3e-3


def test_conditions_are_in_the_dict():
    model = small_model(num_classes=3, text=True)
    images, conditions = random_levels(model, 6), random_conditions(model, 6)
    model.compile("adam")
    x = {"images": images} | conditions
    assert_reports(model, x, images, conditions)
    before = weights(model)
    model.fit(x, verbose=0, validation_data=x)
    labels = next(path for path in before if "label" in path)
    assert (weights(model)[labels] != before[labels]).any()
    terms = model(x | {"text": model.check_inputs(model.config, images, conditions)[1]["text"]})
    np.testing.assert_allclose(sum(terms.values()), model.log_prob(images, conditions), rtol=1e-6)


def test_datasets_of_tensorflow():
    model, images = small_model(num_classes=3), stripes(8)
    labels = np.arange(8) % 3
    model.compile(keras.optimizers.Adam(0.02))
    data = tf.data.Dataset.from_tensor_slices({"images": images, "label": labels}).batch(3)
    history = model.fit(data, epochs=3, validation_data=data, verbose=0).history
    assert history["val_bits_per_dim"][-1] < history["val_bits_per_dim"][0]
    of_arrays = model.evaluate({"images": images, "label": labels}, batch_size=3, verbose=0)
    assert model.evaluate(data, verbose=0) == pytest.approx(of_arrays, rel=1e-6)


def test_callbacks_stop_and_keep_the_best(tmp_path):
    model, images = small_model(), stripes(4)
    model.compile(
        keras.optimizers.SGD(0.0)
    )  # learns nothing, so that the second epoch is no better
    path = tmp_path / "best.keras"
    best = {"monitor": "val_bits_per_dim", "mode": "min"}
    callbacks = [
        keras.callbacks.EarlyStopping(**best, patience=0),
        keras.callbacks.ModelCheckpoint(path, **best, save_best_only=True),
    ]
    history = model.fit(
        images, epochs=5, validation_data=images, callbacks=callbacks, verbose=0
    ).history
    assert len(history["val_bits_per_dim"]) == 2
    assert_same_weights(model, keras.models.load_model(path), rtol=0)


def test_a_loaded_model_goes_on_as_if_never_saved(tmp_path):
    def fit(model):
        model.fit(images, batch_size=4, epochs=2, shuffle=False, verbose=0)

    images, model, other = stripes(8), small_model(), small_model()
    for each in (model, other):
        each.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.5))
        fit(each)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.iterations == 4 and loaded.optimizer.global_clipnorm == 0.5
    for each in (loaded, other):
        fit(each)
    assert_same_weights(loaded, other, rtol=0)


@pytest.mark.slow
def test_videos():
    model = random_video_model("OT", weight_scale=0.1, num_frames=3, given_frames=1)
    frames, sequences = random_frames(model, 6), random_sequences(model, 6)
    model.compile(keras.optimizers.Adam(0.01))
    x = {"frames": frames} | sequences
    losses = model.fit(x, batch_size=3, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert_reports(model, x, frames, sequences)
    with refuses("y", '"frames"', '"actions"', '"states"'):
        model.fit(frames, sequences["actions"])


IMAGES, LABELS = np.zeros((4, 4, 4, 1), "uint8"), np.zeros(4, "int32")
GOOD = {"images": IMAGES, "label": LABELS}
SLICES = tf.data.Dataset.from_tensor_slices
WRONG = {
    "targets": ((IMAGES, LABELS), {}, ["y", '"images"', '"label"']),
    "targets of validation": ((GOOD,), {"validation_data": (IMAGES, LABELS)}, ["y", '"images"']),
    "targets of a dataset": ((SLICES((IMAGES, LABELS)).batch(2),), {}, ["y", '"images"']),
    "weights": ((GOOD,), {"sample_weight": np.ones(4)}, ["sample_weight"]),
    "no condition": ((IMAGES,), {}, ["label"]),
    "no images": (({"label": LABELS},), {}, ["x", "label", "images"]),
    "unknown field": ((GOOD | {"depth": LABELS},), {}, ["depth", "label"]),
    "other number": ((GOOD | {"label": LABELS[:3]},), {}, ["images", 4, "label", 3]),
    "no levels": ((GOOD | {"images": IMAGES / 2},), {}, ["images", "float64"]),
    "levels out of range": ((GOOD | {"images": IMAGES + 7},), {}, ["levels", 7, "0 to 1"]),
    "labels out of range": ((GOOD | {"label": LABELS + 3},), {}, ["label", 3]),
    "validation out of range": (
        (GOOD,),
        {"validation_data": GOOD | {"images": IMAGES + 7}},
        ["levels", 7, "0 to 1"],
    ),
    "no batches": ((SLICES(GOOD),), {}, ["images", "(4, 4, 1)"]),
    "dataset of floats": (
        (SLICES(GOOD | {"images": IMAGES / 2}).batch(2),),
        {},
        ["images", "float64"],
    ),
}


@pytest.fixture(scope="module")
def labelled():
    model = small_model(num_classes=3)
    model.compile()
    return model


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_get_one_line(labelled, name):
    arguments, options, facts = WRONG[name]
    with refuses(*facts):
        labelled.fit(*arguments, **options, verbose=0)


def test_values_far_inside_are_checked(labelled):
    images = np.zeros((3000, 4, 4, 1), "uint8")
    images[2500] = 2
    with refuses("levels", 2):
        labelled.evaluate({"images": images, "label": np.zeros(3000, "int32")})


@pytest.mark.parametrize("name", ["loss", "metrics"])
def test_loss_and_metrics_are_the_models_own(labelled, name):
    with refuses(name):
        labelled.compile("adam", **{name: ["mse"]})
    assert labelled.optimizer.global_clipnorm == 1.0


def run_python(program, **environment):
    environment = os.environ | environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-2000:]


ON_JAX = """
import keras, numpy as np
from support.models import random_levels, random_model
assert keras.backend.backend() == "jax"
model = random_model(weight_scale=0.2, variant="ON", num_classes=3)
x = {"images": random_levels(model, 7), "label": np.arange(7) % 3}
model.compile(keras.optimizers.Adam(0.01))
losses = model.fit(x, batch_size=4, epochs=3, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
nats = -np.asarray(model.log_prob(x["images"], {"label": x["label"]}))
said = model.evaluate(x, batch_size=4, verbose=0)
np.testing.assert_allclose(said, [nats.mean() / 16, nats.mean() / 16 / np.log(2)], rtol=1e-5)
np.testing.assert_allclose(model.predict(x, verbose=0), -nats, rtol=1e-5)
"""
ON_REPLICAS = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from support.models import random_levels, random_model
alone = random_model(weight_scale=0.2, variant="ON")
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    mirrored = random_model(weight_scale=0.2, variant="ON")
images, losses = random_levels(alone, 6), []
for model in (alone, mirrored):
    with model.distribute_strategy.scope():
        model.compile("sgd")
    losses += model.fit(images, batch_size=6, verbose=0).history["loss"]
np.testing.assert_allclose(*losses, rtol=1e-5)
for one, other in zip(alone.get_weights(), mirrored.get_weights(), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_fit_on_jax():
    run_python(ON_JAX, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")


@pytest.mark.slow
def test_two_replicas_of_half_a_batch_step_as_one():
    run_python(ON_REPLICAS)


@pytest.mark.slow
def test_the_readme_snippet_runs_as_typed(tmp_path, monkeypatch):
    section = (ROOT / "README.md").read_text().split("## Train on your own arrays")[1]
    snippet = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    assert len(snippet.split("\n\n", 1)[1].splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    fewer = snippet.replace("512", "16")
    assert fewer != snippet, "the snippet's number of images is not 512; change it here too"
    found = {}
    exec(fewer, found)
    assert found["samples"].shape == (4, 16, 16, 3) and 0 < found["bits"] < 20
    loaded = keras.models.load_model(tmp_path / "own.keras")
    np.testing.assert_array_equal(loaded.sample(4, seed=0), found["samples"])
