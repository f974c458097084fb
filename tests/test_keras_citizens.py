"""Layers and models in other people's Keras: every public layer goes through each test."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf import encoders, layers, networks
from ms_pixelcnn_tf.distributions import Categorical, DiscretizedLogisticMixture, FreeCategorical
from support.models import random_frames, random_levels, random_model, random_video_model, randomise

SOFTMAX, DMOL = Categorical(4, 3), DiscretizedLogisticMixture(256, 1, 2)
FREE = FreeCategorical(4, 3)
READS = {"prediction_path": "none", "pixel_inputs": "values"}  # as the paper
GENERATOR = np.random.default_rng(0)


def maps(*shape):
    return GENERATOR.normal(size=shape).astype("float32")


def levels(high, *shape):
    return GENERATOR.integers(0, high, shape).astype("int32")


LAYERS = {  # class → made, what it is called with
    layers.MaskedConvolution: (
        lambda: layers.MaskedConvolution([0, 1], [0, 1, 1]),
        [maps(2, 4, 4, 2)],
    ),
    layers.MaskedDense: (lambda: layers.MaskedDense([0, 1, 1], [0, 1], "A"), [maps(2, 4, 4, 3)]),
    layers.ChannelMaskedConvolution: (
        lambda: layers.ChannelMaskedConvolution([0, 1, 1], [0, 1], "A"),
        [maps(2, 4, 4, 3)],
    ),
    layers.GatedLayer: (
        lambda: layers.GatedLayer([0, 1, 2], 6, 3, first=True),
        [maps(2, 4, 4, 3), maps(2, 4, 4, 3)],
    ),
    layers.ResidualBlock: (lambda: layers.ResidualBlock(5), [maps(2, 4, 4, 5)]),
    layers.MultiplicativeUnit: (lambda: layers.MultiplicativeUnit(5), [maps(2, 4, 4, 5)]),
    layers.ResidualMultiplicativeBlock: (
        lambda: layers.ResidualMultiplicativeBlock(3),
        [maps(2, 4, 4, 6)],
    ),
    layers.ConvLSTM: (
        lambda: layers.ConvLSTM(3, 2),
        [maps(2, 4, 4, 2), (maps(2, 4, 4, 3), maps(2, 4, 4, 3))],
    ),
    layers.ChannelHead: (
        lambda: layers.ChannelHead(SOFTMAX, 5, 4),
        [maps(2, 4, 4, 5), maps(2, 4, 4, 3), maps(2, 4, 4, 25)],
    ),
    encoders.TextEncoder: (lambda: encoders.TextEncoder(3, 8), [levels(71, 2, 201)]),
    encoders.SpatialEncoder: (lambda: encoders.SpatialEncoder(2, 4, 1), [maps(2, 8, 8, 2)]),
    encoders.FrameEncoder: (lambda: encoders.FrameEncoder(4, 1, 3, 1, 2), [levels(4, 2, 8, 8, 1)]),
    encoders.PoseEncoder: (lambda: encoders.PoseEncoder(3, 2, (4, 4)), [maps(2, 2)]),
    networks.MultiplicativePixelCNN: (
        lambda: networks.MultiplicativePixelCNN(SOFTMAX, 1, 9, 9),
        [levels(4, 2, 4, 4, 3), None, maps(2, 4, 4, 3)],
    ),
    networks.GatedPixelCNN: (
        lambda: networks.GatedPixelCNN(SOFTMAX, 2, 9, 9, first_kernel=3, gated_kernel=5),
        [levels(4, 2, 4, 4, 3)],
    ),
}
UPSCALERS = {
    "A, softmax": lambda: networks.UpscalerA(SOFTMAX, 3, 1, 6, 6),
    "A, dmol": lambda: networks.UpscalerA(DMOL, 2, 1, 6, 6, conditioning_features=2),
    "A, two 3x3": lambda: networks.UpscalerA(SOFTMAX, 3, 1, 6, 6, residual_block="3x3_3x3"),
    "A, masked": lambda: networks.MaskedUpscalerA(SOFTMAX, 3, 1, 6, 6, conditioning_features=2),
    "A, masked, two 3x3": lambda: networks.MaskedUpscalerA(
        SOFTMAX, 2, 1, 6, 6, residual_block="3x3_3x3"
    ),
    "B": lambda: networks.UpscalerB(SOFTMAX, 4, 1, 6, 6, (2, 2), 1, 9),
    "A, free": lambda: networks.UpscalerA(FREE, 3, 1, 6, 6, **READS),
    "B, free": lambda: networks.UpscalerB(FREE, 4, 1, 6, 6, (2, 2), 1, 9, **READS),
    "B, kernel 5": lambda: networks.UpscalerB(SOFTMAX, 4, 1, 6, 6, (2, 2), 2, 9, gated_kernel=5),
}
NOT_LAYERS = {layers.Constant, layers.GivenRows, layers.DistributionLayer}
TESTED_BELOW = {networks.UpscalerA, networks.MaskedUpscalerA, networks.UpscalerB, encoders.Encoder}


def test_every_public_layer_is_in_the_table():
    public = {
        value
        for module in (layers, encoders, networks)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, keras.layers.Layer)
    }
    assert public - TESTED_BELOW - NOT_LAYERS == set(LAYERS)
    assert all(
        name in keras.saving.get_custom_objects()
        for name in (f"ms_pixelcnn_tf>{layer.__name__}" for layer in (*LAYERS, *TESTED_BELOW))
    )


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_layer_is_made_anew_of_its_configuration(kind):
    make, arguments = LAYERS[kind]
    layer = make()
    first = layer(*arguments)
    randomise(layer)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again(*arguments)
    assert type(again) is kind
    again.set_weights(layer.get_weights())
    for one, other, before in zip(
        *(tf.nest.flatten(x) for x in (layer(*arguments), again(*arguments), first)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        assert np.abs(np.asarray(one) - np.asarray(before)).max() > 0


OF_PIXELS = [
    *(
        LAYERS[kind][0]
        for kind in (
            layers.ChannelHead,
            encoders.FrameEncoder,
            networks.MultiplicativePixelCNN,
            networks.GatedPixelCNN,
        )
    ),
    *(UPSCALERS[name] for name in ("A, softmax", "A, dmol", "B")),
]


@pytest.mark.parametrize("make", OF_PIXELS)
def test_configurations_of_before_there_was_a_choice_are_read(make):
    """They name neither a prediction path nor inputs."""
    layer = make()
    written = keras.saving.serialize_keras_object(layer)
    for name in READS:
        written["config"].pop(name, None)
    assert keras.saving.deserialize_keras_object(written).get_config() == layer.get_config()


def test_a_law_of_before_there_was_a_choice_is_the_tent():
    written = {
        "module": "ms_pixelcnn_tf.distributions",  # a module then, a package now
        "class_name": "Categorical",
        "config": {"num_levels": 4, "channels": 3},
        "registered_name": "ms_pixelcnn_tf>Categorical",
    }
    law = keras.saving.deserialize_keras_object(written)
    assert type(law) is Categorical and law.num_outputs == 4 + 1 + 3


@pytest.mark.parametrize(
    "kind, new",
    [
        (layers.MultiplicativeUnit, "dilation"),
        (layers.ResidualMultiplicativeBlock, "dilation"),
        (layers.ConvLSTM, "norms"),
        (encoders.FrameEncoder, "max_dilation"),
        (encoders.PoseEncoder, "places"),
    ],
)
def test_a_configuration_without_an_argument_that_came_later_is_read(kind, new):
    layer = LAYERS[kind][0]()
    written = keras.saving.serialize_keras_object(layer)
    del written["config"][new]
    assert keras.saving.deserialize_keras_object(written).get_config() == layer.get_config()


@pytest.mark.parametrize("name", UPSCALERS)
def test_an_upscaler_is_made_anew_of_its_configuration(name):
    upscaler = UPSCALERS[name]()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(upscaler))
    law = upscaler.distribution
    group = upscaler.arguments["group"]
    context, target = (
        levels(4, 2, 4, 4, law.channels * (group - 1)),
        levels(4, 2, 4, 4, law.channels),
    )
    found = []
    for each in (upscaler, again):
        each.build()
        if each is upscaler:
            randomise(each)
        else:
            each.set_weights(upscaler.get_weights())
        given = maps(2, 1, 1, 2) * 0 + 1 if upscaler.arguments["conditioning_features"] else None
        found.append(each(each.trunk(context, given), target))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("sharing", ["all", "text"])
def test_an_encoder_is_made_anew_of_its_configuration(sharing):
    model = random_model(
        text=True,
        num_keypoints=2,
        text_features=4,
        text_width=8,
        spatial_features=4,
        spatial_blocks=1,
        image_size=8,
        encoder_sharing=sharing,
    )
    encoder = model.encoders[-1]  # with "text" it is handed the text encoder of another
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    if not again.built:
        again.build()
    again.set_weights(encoder.get_weights())
    assert again.config == model.config
    given = {"text": levels(71, 2, 201), "keypoints": maps(2, 32, 32, 2)}
    for one, other in zip(encoder(given), again(given), strict=True):
        np.testing.assert_array_equal(one, other)


@keras.saving.register_keras_serializable("tests")
class Bits(keras.layers.Layer):
    """Somebody's layer with one of our models inside."""

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        self.model = model

    def call(self, images):
        return -sum(self.model.log_prob_terms(images).values())[:, None]

    def get_config(self):
        return super().get_config() | {"model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config):
        return cls(**(config | {"model": keras.saving.deserialize_keras_object(config["model"])}))


@pytest.mark.slow
def test_a_model_learns_inside_somebody_elses_and_is_saved_with_it(tmp_path):
    """Functional, by `fit`, from numpy and from tf.data."""
    inner = random_model(weight_scale=0.1)
    images = random_levels(inner, 12)
    inputs = keras.Input((4, 4, 1), dtype="int32")
    outer = keras.Model(
        inputs, keras.layers.Dense(1, name="scale", kernel_initializer="ones")(Bits(inner)(inputs))
    )
    expected = -np.asarray(inner.log_prob(images))
    np.testing.assert_allclose(outer.predict(images, verbose=0)[:, 0], expected, rtol=1e-5)
    outer.compile(keras.optimizers.Adam(0.01), loss=lambda truth, nats: ops.mean(nats))
    zeros = np.zeros(len(images), "float32")
    losses = outer.fit(images, zeros, epochs=3, batch_size=4, verbose=0).history["loss"]
    stream = tf.data.Dataset.from_tensor_slices((images, zeros)).batch(4)
    losses += outer.fit(stream, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    outer.save(tmp_path / "outer.keras")
    again = keras.saving.load_model(tmp_path / "outer.keras", compile=False)
    np.testing.assert_array_equal(
        again.predict(images, verbose=0), outer.predict(images, verbose=0)
    )


def test_a_model_of_videos_stands_inside_somebody_elses(tmp_path):
    inner = random_video_model("OT", action_size=0, state_size=0)
    frames = random_frames(inner, 3)
    inputs = keras.Input(frames.shape[1:], dtype="int32")
    outer = keras.Model(inputs, Bits(inner)(inputs))
    np.testing.assert_allclose(
        outer.predict(frames, verbose=0)[:, 0], -np.asarray(inner.log_prob(frames)), rtol=1e-5
    )
    outer.save(tmp_path / "outer.keras")
    again = keras.saving.load_model(tmp_path / "outer.keras")
    np.testing.assert_array_equal(
        again.predict(frames, verbose=0), outer.predict(frames, verbose=0)
    )


def test_a_model_takes_numpy_and_tensors_alike():
    model = random_model()
    images = random_levels(model, 5)
    expected = np.asarray(model.log_prob(images))
    np.testing.assert_array_equal(model.log_prob(tf.constant(images)), expected)
    batches = (
        tf.data.Dataset.from_tensor_slices(images).batch(5).map(lambda each: model.log_prob(each))
    )
    np.testing.assert_array_equal(next(iter(batches)), expected)
