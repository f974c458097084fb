"""Models conditioned on captions and maps: their laws, their batches, their crops, their inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf.encoders import Code
from ms_pixelcnn_tf.models.checks import check_conditions, check_uniforms
from ms_pixelcnn_tf.models.crop import Crop
from ms_pixelcnn_tf.models.image import factorisation
from ms_pixelcnn_tf.networks.trunk import Trunk
from support.cases import fast
from support.errors import refuses
from support.models import (
    random_conditions,
    random_levels,
    random_model,
    random_uniforms,
    randomise,
)
from support.proofs import all_images, probabilities, taken, teacher_forced, teacher_forced_decode

TEXT = {"text": True}
KEYPOINTS = {"num_keypoints": 2}
SEGMENTATION = {"num_segments": 3}
ALL = TEXT | KEYPOINTS | SEGMENTATION | {"num_classes": 3}
KINDS = {"text": TEXT, "keypoints": KEYPOINTS, "segmentation": SEGMENTATION, "all": ALL}
NETWORKS = {"ON": {"variant": "ON"}, "A": {"upscaler": "A"}, "B": {"upscaler": "B"}}
RGB = {"image_size": 2, "base_size": 1, "channels": 3}  # 4,096 images
PAPER = {
    "condition_join": "depth",
    "text_average": "all",
    "encoder_sharing": "text",
    "gated_kernel": 5,
}
SLOW = pytest.mark.slow


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


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_all_images_have_probability_one_under_each_condition(network, kind):
    output = "softmax" if kind in ("text", "all") else "dmol"
    model = random_model(1, 0.25, **RGB, **NETWORKS[network], **KINDS[kind], output=output)
    check_laws(two_laws(model))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("network", ["A", *(pytest.param(n, marks=SLOW) for n in ("ON", "B"))])
def test_all_images_have_probability_one_the_papers_way(network):
    model = random_model(1, 0.25, **RGB, **NETWORKS[network], **ALL, **PAPER, output="softmax")
    check_laws(two_laws(model))


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
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


@pytest.mark.parametrize("network", fast(list(NETWORKS), 1))
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
        [
            model.log_prob(together[row : row + 1], taken(conditions, [row]))[0]
            for row in range(batch)
        ],
        rtol=1e-5,
    )


# -- sampling equals likelihood -------------------------------------------------------------------

SAMPLED = {
    "ON-text": {"variant": "ON", "output": "dmol"} | TEXT,
    "ON-keypoints": {"variant": "ON", "output": "softmax"} | KEYPOINTS,
    "A-text": {"upscaler": "A", "output": "softmax"} | TEXT,
    "A-keypoints": {"upscaler": "A", "output": "dmol"} | KEYPOINTS,
    "B-text": {"upscaler": "B", "output": "dmol"} | TEXT,
    "B-keypoints-text": {"upscaler": "B", "output": "softmax"} | KEYPOINTS | TEXT,
    "A-segmentation-apart": {"upscaler": "A", "output": "softmax"}
    | SEGMENTATION
    | {"encoder_shared_to": 0},
    "B-paper": {"upscaler": "B", "output": "softmax"} | KEYPOINTS | TEXT | PAPER,
}


@pytest.mark.parametrize("name", fast(list(SAMPLED), 1, 3))
def test_samplers_give_the_same_image_and_its_likelihood(name):
    """In float64: compiled, step by step, naive and teacher-forced, each under its condition."""
    batch = 5
    model = random_model(6, 0.4, dtype="float64", channels=2, num_levels=32, **SAMPLED[name])
    uniforms = np.repeat(random_uniforms(model, 1, seed=6), batch, axis=0)
    conditions = random_conditions(model, batch, seed=7)
    compiled = model.decode(uniforms, conditions)
    checked = check_uniforms(model.config, uniforms, conditions)
    naive, naive_log_prob = factorisation.decode_naive(model, *checked)
    cached, cached_log_prob = factorisation.decode_cached(model, *checked, score=True)
    np.testing.assert_array_equal(naive, compiled)
    np.testing.assert_array_equal(cached, compiled)
    np.testing.assert_array_equal(
        teacher_forced_decode(model, compiled, uniforms, conditions), compiled
    )
    different = len(np.unique(compiled.reshape(batch, -1), axis=0))
    assert different > 1, "of the same uniforms the conditions should make different images"
    log_prob = np.asarray(model.log_prob(compiled, conditions))
    for accumulated in (naive_log_prob, cached_log_prob):
        np.testing.assert_allclose(accumulated, log_prob, rtol=1e-4, atol=1e-4)


# -- crops ----------------------------------------------------------------------------------------

OFFSETS = np.array([[0.0, 0.0], [0.5, 0.999], [0.999, 0.4], [0.4, 0.1]], "float32")
STARTS = [(0, 0), (1, 2), (2, 1), (1, 0)]  # in blocks of 2x2: 8x8 images have 3 places for 4x4


@pytest.fixture(
    scope="module", params=[{"upscaler": "A"}, {"upscaler": "B"}, PAPER], ids=["A", "B", "paper"]
)
def large(request):
    """8x8 images from 2x2, on all conditions; patches of one pixel, which any crop keeps whole."""
    return random_model(
        4, 0.3, image_size=8, base_size=2, patch_size=1, dtype="float64", **ALL, **request.param
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
    """In float64: what is made for a crop alone is what would be cut of the whole."""
    batch = len(OFFSETS)
    images, conditions = random_levels(large, batch), random_conditions(large, batch, seed=3)
    large.cropped_log_prob_terms(images, conditions, 8, OFFSETS)  # whole
    whole = recorded[:]
    recorded.clear()
    large.cropped_log_prob_terms(images, conditions, 4, OFFSETS)
    assert [maps.shape[1:3] for maps in whole] == 3 * [(2, 2)] + 3 * [(4, 4)]
    assert [maps.shape[1:3] for maps in recorded] == 6 * [(2, 2)]
    for full, cropped in zip(
        whole[:3], recorded[:3], strict=True
    ):  # the scale to 4x4 is no larger than a crop
        np.testing.assert_array_equal(cropped, full)
    for full, cropped in zip(whole[3:], recorded[3:], strict=True):
        expected = [full[i, y : y + 2, x : x + 2] for i, (y, x) in enumerate(STARTS)]
        np.testing.assert_allclose(cropped, expected, rtol=1e-12, atol=1e-14)
        assert np.abs(cropped - full[:, :2, :2]).max() > 1e-3, "places should differ"


def test_groups_are_cut_where_the_image_is():
    crop = Crop((8, 8), 4, OFFSETS)
    places = np.stack(np.meshgrid(range(8), range(8), indexing="ij"), axis=-1)
    image = np.broadcast_to(places, (4, 8, 8, 2)).astype("int32")
    rows, columns = (2 * np.asarray(index) for index in crop.places)
    groups = np.asarray(crop.cut_image(image))[:, ::2, ::2]
    np.testing.assert_array_equal(groups[..., 0], np.repeat(rows[:, :, None], 2, axis=2))
    np.testing.assert_array_equal(groups[..., 1], np.repeat(columns[:, None], 2, axis=1))
    np.testing.assert_array_equal(groups[:, 0, 0], 2 * np.array(STARTS))
    assert Crop((8, 8), 8, OFFSETS).places == Crop((8, 8), None, None).places == (None, None)
    wide = Crop((4, 8), 4, OFFSETS).places
    assert wide[0] is None and wide[1].shape == (4, 2)


def test_a_vector_has_no_place():
    vector = np.ones((4, 1, 1, 3), "float32")
    places = Crop((8, 8), 4, OFFSETS).places
    assert Code(vector).at((4, 4), places) is vector
    assert Code().at((4, 4), places) is None


@pytest.mark.parametrize("size", [(4, 4), (16, 8), (32, 32), (64, 128)])
def test_conditioning_of_a_crop_is_cut_of_the_whole_map(size):
    generator = np.random.default_rng(0)
    shapes = (4, 1, 1, 3), (4, 32, 32, 3)
    code = Code(*(ops.convert_to_tensor(generator.normal(size=shape)) for shape in shapes), True)
    whole = np.asarray(code.at(size))
    crop = Crop((2 * size[0], 2 * size[1]), 8, OFFSETS)
    cut = np.asarray(code.at(size, crop.places))
    assert cut.dtype == np.float64 and cut.shape == (4, 4, 4, whole.shape[-1])
    for row, (y, x) in enumerate(
        zip(
            *(
                np.zeros(4, int) if index is None else np.asarray(index)[:, 0]
                for index in crop.places
            ),
            strict=True,
        )
    ):
        np.testing.assert_allclose(
            cut[row], whole[row, y : y + 4, x : x + 4], rtol=1e-12, atol=1e-14
        )


def test_conditioning_of_a_crop_costs_the_same_whatever_the_target():
    """No tensor of an image grows with it, and nothing of the graph but the constant weights."""

    def largest(side):
        @tf.function
        def conditioning(vector, maps, offsets):
            return Code(vector, maps, True).at(
                (side, side), Crop((2 * side,) * 2, 8, offsets).places
            )

        graph = conditioning.get_concrete_function(
            *map(tf.TensorSpec, ((4, 1, 1, 2), (4, 32, 32, 2), (4, 2)))
        ).graph
        return max(
            output.shape.num_elements() or 0
            for operation in graph.get_operations()
            if operation.type not in ("Const", "Placeholder")
            for output in operation.outputs
        )

    assert largest(16) == largest(64) == largest(128) <= 4 * 32 * 32 * 2  # the maps themselves


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
        expected = [log_probs[i, y : y + 2, x : x + 2].sum() * 4 for i, (y, x) in enumerate(STARTS)]
        np.testing.assert_allclose(cropped[f"4to8/group{group}"], expected, rtol=1e-4)


# -- inputs ---------------------------------------------------------------------------------------


def given(**changes):
    """Right conditions for two images, with changes; None counts as left out."""
    return {
        "label": [0, 2],
        "text": ["a", "b"],
        "keypoints": np.zeros((2, 32, 32, 2)),
        "segmentation": np.zeros((2, 32, 32, 3)),
    } | changes


def maps(value, size=32, parts=2, dtype="float64"):
    return np.full((2, size, size, parts), value, dtype)


WRONG = [
    ({"text": None}, ("keypoints, label, segmentation;", "label, text, keypoints, segmentation")),
    ({"pose": [0, 1]}, ("keypoints, label, pose, segmentation, text",)),
    ({"label": [0, 3]}, ("label", 3, "0 to 2")),
    ({"label": [[0], [1]]}, ("label", "(2, 1)", "(2,)")),
    ({"keypoints": None}, ("label, segmentation, text;", "label, text, keypoints, segmentation")),
    ({"text": "a red circle"}, ("text", "one str", "list")),
    ({"text": b"a red circle"}, ("text", "one bytes", "list")),
    ({"text": ["a"]}, ("text", "1 caption", "2 images", "list")),
    ({"text": ["a", "b", "c"]}, ("text", "3 captions", "2 images")),
    ({"text": np.array(["a"])}, ("text", "1 caption", "2 images")),
    ({"text": []}, ("text", "0 captions", "2 images")),
    ({"text": [None, None]}, ("caption 0", None, "text")),
    ({"text": [["a"], ["b"]]}, ("text", "(2, 1)", "list")),
    ({"text": np.array([["a"], ["b"]])}, ("text", "(2, 1)", "list")),
    ({"text": np.array("a")}, ("text", "()", "list")),
    ({"text": [["a"], ["b", "c"]]}, ("text", "array", "list")),
    ({"text": tf.constant(["a"])}, ("text", "1 caption", "2 images")),
    ({"text": tf.constant([["a"], ["b"]])}, ("text", "(2, 1)", "list")),
    ({"text": ["a", 3]}, ("caption 1", 3, "text")),
    ({"text": np.zeros((2, 200), "int32")}, ("text", "(2, 200)", "(2, 201)")),
    ({"text": np.full((2, 201), 71)}, ("text", 71, "0 to 70")),
    ({"text": np.zeros((2, 201))}, ("text", "float64", "integers")),
    ({"keypoints": maps(0, size=16)}, ("keypoints", "(2, 16, 16, 2)", "(2, 32, 32, 2)")),
    ({"keypoints": maps(0, parts=3)}, ("keypoints", "(2, 32, 32, 3)", "(2, 32, 32, 2)")),
    ({"keypoints": maps(1.01)}, ("keypoints", 1.01, "0 to 1")),
    ({"keypoints": maps(-0.5)}, ("keypoints", -0.5, "0 to 1")),
    ({"keypoints": maps(np.nan)}, ("keypoints", "nan", "0 to 1")),
    ({"keypoints": maps(255, dtype="uint8")}, ("keypoints", 255, "0 to 1")),
    ({"segmentation": maps(np.inf, parts=3)}, ("segmentation", "inf", "0 to 1")),
    ({"segmentation": maps(np.nan, parts=3, dtype="float32")}, ("segmentation", "nan", "0 to 1")),
    ({"segmentation": maps(0, parts=2)}, ("segmentation", "(2, 32, 32, 2)")),
    ({"segmentation": ["a.png", "b.png"]}, ("segmentation", "<U5", "numbers")),
]


@pytest.fixture(scope="module")
def small():
    return random_model(1, 0.3, **ALL)


@pytest.mark.parametrize("changes, facts", WRONG, ids=lambda value: str(value)[:30])
def test_wrong_conditions_are_named(small, changes, facts):
    conditions = given(**changes)
    for call in (
        lambda: small.log_prob(random_levels(small, 2), conditions),
        lambda: small.sample(2, conditions),
        lambda: small.upscale(np.zeros((2, 2, 2, 1), "uint8"), conditions=conditions),
    ):
        with refuses(*facts):
            call()


def test_right_conditions_are_taken_in_each_of_their_forms(small):
    images = random_levels(small, 2)
    expected = np.asarray(small.log_prob(images, given()))
    assert np.isfinite(expected).all()
    for changes in (
        {"text": text.encode(["a", "b"])},
        {"text": np.array(["a", "b"])},
        {"text": [b"a", "B"]},
        {"text": ("A", "b")},
        {"text": tf.constant(["a", "B"])},
        {"text": np.array(["a", "b"], object)},
        {"keypoints": maps(0, dtype="uint8")},
        {"segmentation": maps(0, parts=3, dtype="bool")},
        {"keypoints": ops.zeros((2, 32, 32, 2))},
    ):
        np.testing.assert_array_equal(small.log_prob(images, given(**changes)), expected)
    checked = check_conditions(small.config, given(), 2)
    dtypes = [keras.backend.standardize_dtype(values.dtype) for values in checked.values()]
    assert dtypes == ["int32", "int32", "float32", "float32"]


def test_strings_in_a_graph_are_told_to_be_codes(small):
    """While a graph is traced, a tensor of strings has no values yet; codes do as well."""
    images, others = random_levels(small, 2), given(text=None)

    @tf.function(autograph=False)  # which would raise an error of its own, ours within
    def traced(captions):
        return small.log_prob(images, others | {"text": captions})

    with refuses("text", "strings", "graph", "captions.encode"):
        traced(tf.constant(["a", "b"]))
    np.testing.assert_array_equal(
        traced(tf.constant(text.encode(["a", "b"]))), small.log_prob(images, given())
    )


def test_no_images_take_no_captions(small):
    nothing = {
        "label": np.zeros(0, "int32"),
        "text": [],
        "keypoints": np.zeros((0, 32, 32, 2)),
        "segmentation": np.zeros((0, 32, 32, 3)),
    }
    assert small.sample(0, nothing).shape == (0, 4, 4, 1)
