"""Models conditioned on captions and maps: their laws, their batches, their crops, their inputs."""

import keras
import numpy as np
import pytest
from keras import ops

from ms_pixelcnn_tf import text
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models.crop import Crop
from ms_pixelcnn_tf.models.inputs import check_conditions
from ms_pixelcnn_tf.networks.upscaler import Trunk
from proofs import (
    all_images,
    probabilities,
    random_conditions,
    random_levels,
    random_model,
    random_uniforms,
    randomise,
    taken,
    teacher_forced,
)

WIDTHS = {
    "label_features": 3, "text_features": 4, "text_width": 8, "spatial_features": 4,
    "spatial_blocks": 1,
}
TEXT = WIDTHS | {"text": True}
KEYPOINTS = WIDTHS | {"num_keypoints": 2}
SEGMENTATION = WIDTHS | {"num_segments": 3}
ALL = TEXT | KEYPOINTS | SEGMENTATION | {"num_classes": 3}
KINDS = {"text": TEXT, "keypoints": KEYPOINTS, "segmentation": SEGMENTATION, "all": ALL}
NETWORKS = {"ON": {"variant": "ON"}, "A": {"upscaler": "A"}, "B": {"upscaler": "B"}}
RGB = {"image_size": 2, "base_size": 1, "channels": 3}  # 4,096 images


# -- likelihood -----------------------------------------------------------------------------------


DIFFERENT = {
    "label": [0, 2],
    "text": ["a red circle", "two blue stars below a moon"],
    "keypoints": np.arange(2 * 32 * 32 * 2).reshape(2, 32, 32, 2) >= 32 * 32 * 2,  # none, all
    "segmentation": np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3) < 32 * 32 * 3,
}


def two_laws(model):
    """p of all images under each of two conditions that differ in all their parts."""
    conditions = random_conditions(model, 2, seed=1) | {
        name: values for name, values in DIFFERENT.items() if name in model.config.conditions
    }
    for encoder in model.encoders:
        randomise(encoder, 2, 0.5)
    everything = all_images(model)
    return [
        probabilities(model, everything, taken(conditions, [row]), chunk=2048) for row in (0, 1)
    ]


def check_laws(laws):
    for law in laws:
        assert law.sum() == pytest.approx(1.0, abs=1e-4)
        assert law.std() > 0.1 * law.mean(), "the law should be far from uniform"
        assert law.max() < 0.5, "the law should not sit on one image"
    assert np.abs(laws[0] - laws[1]).sum() > 1e-3, "the condition should matter"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_all_images_have_probability_one_under_each_condition(network, kind):
    output = "softmax" if kind in ("text", "all") else "dmol"
    model = random_model(1, 0.25, **RGB, **NETWORKS[network], **KINDS[kind], output=output)
    check_laws(two_laws(model))


def test_all_larger_images_have_probability_one():
    """Gray 4x4, whose maps and patches are of 2x2: 65,536 images, one law."""
    model = random_model(1, 0.25, upscaler="B", **KEYPOINTS | {"spatial_features": 2})
    conditions = random_conditions(model, 1, seed=1)
    law = probabilities(model, all_images(model), conditions, chunk=4096)
    assert law.sum() == pytest.approx(1.0, abs=1e-4)
    assert law.std() > 0.1 * law.mean() and law.max() < 0.5


def test_each_place_of_a_map_conditions_its_own_pixels():
    """A corner of the maps changes the terms of pixels that it reaches, and not the far ones."""
    model = random_model(2, 0.3, **KEYPOINTS, image_size=16, base_size=8, residual_blocks=1)
    images = random_levels(model, 1)
    given = random_conditions(model, 1, seed=1)
    changed = {"keypoints": given["keypoints"].copy()}
    changed["keypoints"][:, :2, :2] = 1 - changed["keypoints"][:, :2, :2]
    before, after = (
        [np.asarray(params) for params, _, _ in teacher_forced(model, images, conditions)][1]
        for conditions in (given, changed)
    )
    moved = np.abs(before - after).max(axis=(0, 3))
    assert moved[0, 0] > 1e-5
    np.testing.assert_array_equal(moved[5:, 5:], 0)


# -- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_a_batch_of_conditions_equals_single_calls(network):
    """In float64, where rounding cannot carry a value over a step of the CDF."""
    model = random_model(
        3, 0.4, **NETWORKS[network], **ALL, dtype="float64", num_levels=256, channels=3
    )
    batch = 4
    uniforms, conditions = random_uniforms(model, batch), random_conditions(model, batch, seed=2)
    together = model.decode(uniforms, conditions)
    alone = [
        model.decode(uniforms[row : row + 1], taken(conditions, [row])) for row in range(batch)
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    swapped = model.decode(uniforms, taken(conditions, [1, 0, 3, 2]))
    assert (swapped != together).any(), "the conditions should matter"
    np.testing.assert_allclose(
        model.log_prob(together, conditions),
        [model.log_prob(together[row : row + 1], taken(conditions, [row]))[0]
         for row in range(batch)],
        rtol=1e-5,
    )


# -- crops ----------------------------------------------------------------------------------------

OFFSETS = np.array([[0.0, 0.0], [0.5, 0.999], [0.999, 0.4], [0.4, 0.1]], "float32")
STARTS = [(0, 0), (1, 2), (2, 1), (1, 0)]  # in blocks of 2x2: 8x8 images have 3 places for 4x4


@pytest.fixture(scope="module", params=["A", "B"])
def large(request):
    """8x8 images from 2x2, on all conditions; patches of one pixel, which any crop keeps whole."""
    return random_model(
        4, 0.3, upscaler=request.param, image_size=8, base_size=2, patch_size=1, **ALL
    )


@pytest.fixture
def recorded(monkeypatch):
    """What every trunk is given as its conditioning, in order."""
    seen, call = [], Trunk.call

    def recording(self, context, conditioning=None):
        seen.append(np.asarray(conditioning))
        return call(self, context, conditioning)

    monkeypatch.setattr(Trunk, "call", recording)
    return seen


def test_a_crop_sees_the_features_of_its_own_place(large, recorded):
    batch = len(OFFSETS)
    images, conditions = random_levels(large, batch), random_conditions(large, batch, seed=3)
    large.cropped_log_prob_terms(images, conditions, 8, OFFSETS)  # whole
    whole = recorded[:]
    recorded.clear()
    large.cropped_log_prob_terms(images, conditions, 4, OFFSETS)
    assert [maps.shape[1:3] for maps in whole] == 3 * [(2, 2)] + 3 * [(4, 4)]
    assert [maps.shape[1:3] for maps in recorded] == 6 * [(2, 2)]
    for full, cropped in zip(whole[:3], recorded[:3]):  # the scale to 4x4 is no larger than a crop
        np.testing.assert_array_equal(cropped, full)
    for full, cropped in zip(whole[3:], recorded[3:]):
        expected = [full[i, y : y + 2, x : x + 2] for i, (y, x) in enumerate(STARTS)]
        np.testing.assert_array_equal(cropped, expected)
        assert np.abs(cropped - full[:, :2, :2]).max() > 1e-3, "places should differ"


def test_groups_are_cut_where_the_image_is_and_a_vector_stays():
    crop = Crop((8, 8), 4, OFFSETS)
    places = np.stack(np.meshgrid(range(8), range(8), indexing="ij"), axis=-1)
    image = np.broadcast_to(places, (4, 8, 8, 2)).astype("int32")
    groups = np.asarray(crop.cut_groups(ops.convert_to_tensor(image[:, ::2, ::2])))
    np.testing.assert_array_equal(groups, np.asarray(crop.cut_image(image))[:, ::2, ::2])
    np.testing.assert_array_equal(groups[:, 0, 0], 2 * np.array(STARTS))
    vector = np.ones((4, 1, 1, 3), "float32")
    assert crop.cut_groups(vector) is vector and crop.cut_groups(None) is None


def test_crops_terms_are_the_slice_of_the_whole_ones():
    """A trunk whose kernels see one pixel has no border, so that a crop's terms are exact."""
    model = random_model(5, 0.3, image_size=8, base_size=2, **ALL)
    for upscaler in model.upscalers:
        trunk = upscaler.trunk
        for layer in (trunk.entry, trunk.prediction, *(block.spatial for block in trunk.blocks)):
            centre = np.zeros(layer.kernel.shape)
            centre[1, 1] = np.asarray(layer.kernel)[1, 1]
            layer.kernel.assign(centre)
    batch = len(OFFSETS)
    images, conditions = random_levels(model, batch), random_conditions(model, batch, seed=3)
    cropped = model.cropped_log_prob_terms(images, conditions, 4, OFFSETS)
    factors = list(teacher_forced(model, images, conditions))[4:]  # of the scale to 8x8
    for group, (params, _, levels) in zip((2, 3, 4), factors, strict=True):
        log_probs = np.asarray(model.distribution.log_prob(params, levels))
        expected = [
            log_probs[i, y : y + 2, x : x + 2].sum() * 4 for i, (y, x) in enumerate(STARTS)
        ]
        np.testing.assert_allclose(cropped[f"4to8/group{group}"], expected, rtol=1e-4)


# -- inputs ---------------------------------------------------------------------------------------


def given(**changes):
    """Right conditions for two images, with changes; None leaves one out."""
    right = {
        "label": [0, 2], "text": ["a", "b"], "keypoints": np.zeros((2, 32, 32, 2)),
        "segmentation": np.zeros((2, 32, 32, 3)),
    }
    return {name: values for name, values in (right | changes).items() if values is not None}


def maps(value, size=32, parts=2, dtype="float64"):
    return np.full((2, size, size, parts), value, dtype)


WRONG = [
    ({"text": None}, "given: keypoints, label, segmentation; this model needs label, text"),
    ({"pose": [0, 1]}, "conditions given: keypoints, label, pose, "),
    ({"label": [0, 3]}, "label 3 is out of range; valid: 0 to 2"),
    ({"label": [[0], [1]]}, r"label has shape \(2, 1\)"),
    ({"text": "a red circle"}, "text is one str"),
    ({"text": ["a"]}, "text has shape"),
    ({"text": ["a", 3]}, "caption 1 is 3; valid: text"),
    ({"text": np.zeros((2, 200), "int32")}, r"text has shape \(2, 200\); valid: \(2, 201\)"),
    ({"text": np.full((2, 201), 71)}, "text 71 is out of range; valid: 0 to 70"),
    ({"text": np.zeros((2, 201))}, "text is float64; valid: integers"),
    ({"keypoints": maps(0, size=16)}, r"keypoints have shape \(2, 16, 16, 2\)"),
    ({"keypoints": maps(0, parts=3)}, r"keypoints have shape \(2, 32, 32, 3\)"),
    ({"keypoints": maps(1.01)}, "keypoints 1.01 is out of range; valid: 0 to 1"),
    ({"keypoints": maps(-0.5)}, "keypoints -0.5 is out of range"),
    ({"keypoints": maps(np.nan)}, "keypoints nan is out of range"),
    ({"keypoints": maps(255, dtype="uint8")}, "keypoints 255 is out of range"),
    ({"segmentation": maps(np.inf, parts=3)}, "segmentation inf is out of range"),
    ({"segmentation": maps(np.nan, parts=3, dtype="float32")}, "segmentation nan is out of range"),
    ({"segmentation": maps(0, parts=2)}, "segmentation has shape"),
    ({"segmentation": ["a.png", "b.png"]}, "segmentation is <U5; valid: numbers"),
]


@pytest.fixture(scope="module")
def small():
    return random_model(1, 0.3, **ALL)


@pytest.mark.parametrize("changes, message", WRONG, ids=lambda value: str(value)[:30])
def test_wrong_conditions_are_named(small, changes, message):
    conditions = given(**changes)
    for call in (
        lambda: small.log_prob(random_levels(small, 2), conditions),
        lambda: small.sample(2, conditions),
        lambda: small.upscale(np.zeros((2, 2, 2, 1), "uint8"), conditions=conditions),
    ):
        with pytest.raises(UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_right_conditions_are_taken_in_each_of_their_forms(small):
    images = random_levels(small, 2)
    expected = np.asarray(small.log_prob(images, given()))
    assert np.isfinite(expected).all()
    for changes in (
        {"text": text.encode(["a", "b"])}, {"text": np.array(["a", "b"])}, {"text": [b"a", "B"]},
        {"text": ("A", "b")}, {"keypoints": maps(0, dtype="uint8")},
        {"segmentation": maps(0, parts=3, dtype="bool")},
        {"keypoints": ops.zeros((2, 32, 32, 2))},
    ):
        np.testing.assert_array_equal(small.log_prob(images, given(**changes)), expected)
    checked = check_conditions(small.config, given(), 2)
    dtypes = [keras.backend.standardize_dtype(values.dtype) for values in checked.values()]
    assert dtypes == ["int32", "int32", "float32", "float32"]
