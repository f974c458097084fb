"""Every compiled verb takes an empty batch and gives what it gives of any other: no rows."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.configs import ModelConfig, VideoConfig, replace
from ms_pixelcnn_tf.export.signatures import signatures
from ms_pixelcnn_tf.models import make_model
from support.cases import fast

SMALL = {
    "num_levels": 8,
    "base_layers": 1,
    "base_features": 6,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 6,
}
IMAGES = {"image_size": 8, "base_size": 4, "decoder_layers": 1, "decoder_features": 6}
IMAGES |= {"patch_size": 2, "num_classes": 3, "label_features": 4, "num_keypoints": 2}
IMAGES |= {"spatial_blocks": 1, "spatial_features": 4, "joint_features": 6}
VIDEOS = {"image_size": 8, "base_size": 4, "num_frames": 4, "given_frames": 2, "frame_blocks": 1}
VIDEOS |= {"frame_features": 4, "lstm_features": 4, "frame_decoder_blocks": 1, "action_size": 2}


@pytest.fixture(scope="module", params=fast([("A", "softmax"), ("B", "dmol")], 0), ids="-".join)
def model(request):
    upscaler, output = request.param
    fields = SMALL | IMAGES | {"upscaler": upscaler, "output": output}
    return make_model(replace(ModelConfig(), **fields))


@pytest.fixture(scope="module", params=fast(["OTN", "OTlogN"], 1))
def video(request):
    fields = SMALL | VIDEOS | {"variant": request.param, "output": "softmax"}
    return make_model(replace(VideoConfig(), **fields))


def empty(*shape, dtype="uint8"):
    return np.zeros((0, *shape), dtype)


CONDITIONS = {"label": empty(dtype="int32"), "keypoints": empty(32, 32, 2, dtype="float32")}
SEQUENCES = {"actions": empty(4, 2, dtype="float32"), "states": empty(4, 5, dtype="float32")}
FRAMES, GIVEN, DRAWN = empty(4, 8, 8, 3), empty(2, 8, 8, 3), empty(2, 8, 8, 3, dtype="float32")


def shapes(terms):
    return {tuple(term.shape) for term in terms.values()}


def test_images_are_scored(model):
    images = empty(8, 8, 3)
    assert model.log_prob(images, CONDITIONS).shape == (0,)
    terms = model.log_prob_terms(images, CONDITIONS)
    assert terms.keys() == model.term_dims.keys() and shapes(terms) == {(0,)}
    assert shapes(model(images, CONDITIONS)) == {(0,)}
    assert model.log_prob_by_pixel(images, CONDITIONS).shape == (0, 8, 8, 3)
    cropped = model.cropped_log_prob_terms(images, CONDITIONS, 4, empty(2, dtype="float32"))
    assert cropped.keys() == terms.keys() and shapes(cropped) == {(0,)}


@pytest.mark.parametrize("sampler", ["cached", "naive"])
def test_images_are_decoded(model, sampler):
    uniforms = empty(8, 8, 3, dtype="float64")
    images = model.decode(uniforms, CONDITIONS, sampler)
    assert images.shape == (0, 8, 8, 3) and images.dtype == np.uint8
    images, log_prob = model.decode_with_log_prob(uniforms, CONDITIONS, sampler)
    assert images.shape == (0, 8, 8, 3) and log_prob.shape == (0,)
    assert model.sample(0, CONDITIONS).shape == (0, 8, 8, 3)
    assert model.upscale(empty(4, 4, 3), conditions=CONDITIONS).shape == (0, 8, 8, 3)


def test_videos_are_scored(video):
    assert video.log_prob(FRAMES, SEQUENCES).shape == (0,)
    assert shapes(video.log_prob_terms(FRAMES, SEQUENCES)) == {(0,)}
    assert shapes(video.log_prob_by_frame(FRAMES, SEQUENCES)) == {(0, 2)}
    assert shapes(video.log_prob_terms_given(FRAMES, FRAMES, SEQUENCES)) == {(0,)}
    assert shapes(video.cropped_log_prob_terms(FRAMES, SEQUENCES, None, None)) == {(0,)}
    drawn, chosen = empty(1, 4, 8, 8, 3, dtype="float32"), empty(1, 4, dtype="bool")
    assert video.sampled_past(FRAMES, drawn, chosen, SEQUENCES).shape == (0, 4, 8, 8, 3)


@pytest.mark.parametrize("sampler", ["cached", "stepwise", "naive"])
def test_videos_are_decoded(video, sampler):
    assert video.decode(DRAWN, GIVEN, SEQUENCES, sampler).shape == (0, 2, 8, 8, 3)
    frames, log_prob = video.decode_with_log_prob(DRAWN, GIVEN, SEQUENCES, sampler)
    assert frames.shape == (0, 2, 8, 8, 3) and log_prob.shape == (0,)
    assert video.sample(GIVEN, SEQUENCES).shape == (0, 2, 8, 8, 3)


def test_videos_are_upscaled():
    fields = SMALL | VIDEOS | {"variant": "OT_upscaler", "output": "dmol"}
    upscaler = make_model(replace(VideoConfig(), **fields))
    assert upscaler.log_prob(FRAMES).shape == (0,)
    assert upscaler.upscale(empty(4, 4, 4, 3), GIVEN).shape == (0, 4, 8, 8, 3)
    upscale, _ = signatures(upscaler)["upscale"]
    found = tf.function(upscale)(low_frames=empty(4, 4, 4, 3), given_frames=GIVEN, seed=np.int64(0))
    assert found["frames"].shape == (0, 4, 8, 8, 3)


def answers(model, arguments):
    """What each signature answers, as a graph, of an empty batch."""
    found = {}
    for name, (function, specs) in signatures(model).items():
        given = {spec.name: arguments[spec.name] for spec in specs}
        graph = tf.function(function).get_concrete_function(**{spec.name: spec for spec in specs})
        found[name] = graph(**{key: tf.constant(value) for key, value in given.items()})
    return found


def test_exported_images(model):
    drawn, low = empty(8, 8, 3, dtype="float32"), empty(4, 4, 3)
    arguments = CONDITIONS | {"images": empty(8, 8, 3), "uniforms": drawn, "low_resolution": low}
    found = answers(model, arguments | {"seed": np.int64(0), "number": np.int32(0)})
    assert shapes(found["log_prob_terms"]) == shapes(found["log_prob"]) == {(0,)}
    for name in ("decode", "sample", "upscale"):
        assert shapes(found[name]) == {(0, 8, 8, 3)}, name


def test_exported_videos(video):
    arguments = SEQUENCES | {"frames": FRAMES, "given_frames": GIVEN, "uniforms": DRAWN}
    found = answers(video, arguments | {"seed": np.int64(0), "number": np.int32(1)})
    assert shapes(found["log_prob_terms"]) == shapes(found["log_prob"]) == {(0,)}
    assert shapes(found["decode"]) == shapes(found["sample"]) == {(0, 2, 8, 8, 3)}
