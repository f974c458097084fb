"""Sampling equals likelihood: whichever sampler decodes it, the same uniforms give the same image,
and the log p that the likelihood gives it."""

import numpy as np
import pytest

from ms_pixelcnn_tf.models.checks import check_uniforms
from ms_pixelcnn_tf.models.image import factorisation
from ms_pixelcnn_tf.sampling import loops, per_core
from support.cases import fast
from support.models import (
    PAPER_PIXELS,
    PAPER_PIXELS_ALONE,
    make_model,
    random_conditions,
    random_model,
    random_uniforms,
)
from support.proofs import teacher_forced_decode

ON = {"variant": "ON", "image_size": 4}
A = {"variant": "OlogN", "upscaler": "A"}
B = {"variant": "OlogN", "upscaler": "B"}
FULL = {"num_levels": 256, "channels": 3}
MODELS = [
    ON | FULL | {"output": "softmax"},
    ON | FULL | {"output": "dmol", "num_mixtures": 5},
    ON | FULL | {"output": "softmax", "num_classes": 4, "first_kernel": 7},
    ON | FULL | {"output": "dmol", "num_classes": 4, "base_layers": 3, "image_size": (3, 5)},
    ON
    | {"output": "softmax", "channels": 4, "num_levels": 16, "first_kernel": 3, "base_layers": 1},
    ON
    | {"output": "dmol", "channels": 2, "num_levels": 100, "base_layers": 1, "image_size": (5, 3)},
    ON
    | {"output": "softmax", "channels": 1, "num_levels": 2, "base_layers": 4, "image_size": (1, 6)},
    ON
    | {"output": "dmol", "channels": 1, "num_levels": 3, "image_size": (6, 1), "head_features": 5},
    A | FULL | {"output": "softmax"},
    A | FULL | {"output": "dmol"},
    A | FULL | {"output": "softmax", "num_classes": 3, "image_size": 8, "base_size": 2},
    A | FULL | {"output": "dmol", "num_classes": 3, "image_size": (4, 8), "base_size": (1, 2)},
    A | {"output": "softmax", "channels": 5, "num_levels": 9, "residual_blocks": 0},
    A | {"output": "dmol", "channels": 2, "num_levels": 200, "num_mixtures": 1},
    A | {"output": "softmax", "channels": 1, "num_levels": 256, "first_kernel": 3},
    B | FULL | {"output": "softmax"},
    B | FULL | {"output": "dmol", "num_classes": 2},
    B | FULL | {"output": "softmax", "num_classes": 2, "image_size": 8, "base_size": 4},
    B | FULL | {"output": "dmol", "image_size": (6, 12), "base_size": (3, 6), "patch_size": 3},
    B | {"output": "softmax", "channels": 2, "num_levels": 33, "patch_size": 1},
    B | {"output": "dmol", "channels": 4, "num_levels": 64, "patch_size": 4, "decoder_layers": 1},
    B
    | {
        "output": "softmax",
        "channels": 1,
        "num_levels": 256,
        "decoder_layers": 3,
        "image_size": (2, 8),
        "base_size": (1, 4),
    },
    ON | FULL | {"output": "softmax"} | PAPER_PIXELS,
    A | FULL | {"output": "softmax"} | PAPER_PIXELS,
    B | FULL | {"output": "softmax", "num_classes": 2} | PAPER_PIXELS,
    B | FULL | {"output": "dmol"} | PAPER_PIXELS,
]
MODELS += [
    network | FULL | {"output": output} | fields
    for network in (ON, A, B)
    for output, fields in PAPER_PIXELS_ALONE
]
GATED_KERNEL = len(MODELS)
MODELS += [
    ON | FULL | {"output": "softmax", "gated_kernel": 5, "base_layers": 3, "image_size": (5, 4)},
    B | FULL | {"output": "dmol", "gated_kernel": 5, "image_size": 8, "base_size": 4},
]
MASKED = len(MODELS)
MODELS += [
    A
    | FULL
    | {"output": "softmax", "type_a_colour": "masked"}
    | {"num_classes": 2, "image_size": (8, 4), "base_size": (4, 2), "residual_block": "3x3_3x3"},
    A | FULL | {"output": "softmax", "type_a_colour": "masked"} | PAPER_PIXELS,
]


@pytest.mark.parametrize("index", fast(list(range(len(MODELS))), 0, 9, 15, MASKED))
def test_all_samplers_give_the_same_image_and_its_likelihood(index):
    """In float64, where rounding cannot carry a value over a step of the CDF: every sub-pixel."""
    batch = 8
    model = random_model(index, 0.4, dtype="float64", **MODELS[index])
    uniforms = random_uniforms(model, batch, seed=index)
    conditions = random_conditions(model, batch)

    compiled = model.decode(uniforms, conditions)
    # The others go a step at a time: no graph.
    checked = check_uniforms(model.config, uniforms, conditions)
    naive, naive_log_prob = factorisation.decode_naive(model, *checked)
    cached, cached_log_prob = factorisation.decode_cached(model, *checked, score=True)
    np.testing.assert_array_equal(naive, compiled)
    np.testing.assert_array_equal(cached, compiled)
    np.testing.assert_array_equal(
        teacher_forced_decode(model, compiled, uniforms, conditions), compiled
    )
    assert len(np.unique(compiled.reshape(batch, -1), axis=0)) > 1, "the images should differ"

    log_prob = np.asarray(model.log_prob(compiled, conditions))
    for accumulated in (naive_log_prob, cached_log_prob):
        np.testing.assert_allclose(accumulated, log_prob, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "overrides",
    fast(
        [
            ON | {"output": "softmax"},
            ON | {"output": "dmol"},
            A | {"output": "softmax"},
            A | {"output": "dmol"},
            B | {"output": "softmax"},
            B | {"output": "dmol"},
        ],
        3,
    ),
    ids=["ON-softmax", "ON-dmol", "A-softmax", "A-dmol", "B-softmax", "B-dmol"],
)
def test_samplers_agree_in_float32_when_teacher_forced(overrides):
    """Given the pixels before it, each sub-pixel is what the full network would have decoded."""
    overrides = FULL | overrides | {"image_size": 16, "base_size": 8, "patch_size": 4}
    model = random_model(5, 0.25, **overrides)
    uniforms = random_uniforms(model, 32, seed=6, dtype="float32")
    images, accumulated = model.decode_with_log_prob(uniforms)
    assert images.dtype == np.uint8
    agreement = (teacher_forced_decode(model, images, uniforms) == images).mean()
    assert agreement >= 0.9999
    np.testing.assert_allclose(accumulated, model.log_prob(images), rtol=1e-4)


@pytest.mark.parametrize("parts", fast([1, 3], 1))
@pytest.mark.parametrize("index", fast([0, 1, 2, 9, 16, GATED_KERNEL], 0))
def test_fused_images_and_parts_of_a_batch_decode_the_same_image(index, parts, monkeypatch):
    """In float64, with conditions too; and they are fused from `FUSED_FROM` pixels on only."""
    asked = []

    def by_cores(function, fused, batch_axis):
        asked.append((fused, batch_axis))
        return per_core.by_cores(function, fused, batch_axis)

    monkeypatch.setattr(loops, "by_cores", by_cores)
    images, log_probs = [], []
    for parts_of, fused_from in ((1, 10_000), (parts, 1), (3, 10_000)):
        monkeypatch.setattr(per_core, "_parts", lambda parts_of=parts_of: parts_of)
        monkeypatch.setattr(loops, "FUSED_FROM", fused_from)
        model = random_model(index, 0.4, dtype="float64", **MODELS[index])
        uniforms, conditions = random_uniforms(model, 5, seed=index), random_conditions(model, 5)
        levels, log_prob = model.decode_with_log_prob(uniforms, conditions)
        images.append(levels)
        log_probs.append(log_prob)
    programs = 4 if model.config.upscaler == "B" else 1  # the base, and each group's patches
    by_row, whole = [(False, -2)] * programs, [(True, 0)] * programs
    assert asked == by_row + whole + by_row
    for levels, log_prob in zip(images[1:], log_probs[1:], strict=True):
        np.testing.assert_array_equal(levels, images[0])
        np.testing.assert_allclose(log_prob, log_probs[0], rtol=1e-9)


@pytest.mark.parametrize("fused_from", [1, 1000])
def test_the_proof_sees_a_wrong_cache(fused_from, monkeypatch):
    """Unequal weights in the cached sampler show as other images; the naive one compiled, too."""
    monkeypatch.setattr(loops, "FUSED_FROM", fused_from)
    model = random_model(5, 0.4, dtype="float64", **(ON | FULL))
    uniforms = random_uniforms(model, 8)
    naive = model.decode(uniforms, sampler="naive")
    np.testing.assert_array_equal(model.decode(uniforms), naive)
    kernel = model.base.layers[1].left_kernel
    kernel.assign(kernel * 0.5)
    assert (model.decode(uniforms) != naive).any()


def test_no_images_are_decoded_to_none():
    model = random_model(5, 0.4, **(ON | FULL | {"image_size": 8}))
    assert model.decode(np.zeros((0, 8, 8, 3))).shape == (0, 8, 8, 3)


def test_an_untrained_model_samples():
    model = make_model(**FULL, image_size=8, base_size=4)
    assert model.sample(2).shape == (2, 8, 8, 3)
