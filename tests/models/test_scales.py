"""Models that hold some of their scales: the same terms, and plain words about the missing ones."""

import numpy as np
import pytest

from ms_pixelcnn_tf.configs import ModelConfig
from ms_pixelcnn_tf.errors import UserError
from proofs import make_model, random_conditions, random_levels, random_model, random_uniforms

SIZES = {"image_size": 8, "base_size": 2}
APART = SIZES | {
    "text": True, "num_segments": 2, "text_features": 4, "text_width": 8, "spatial_features": 4,
    "spatial_blocks": 1, "encoder_shared_to": 0,
}
TERMS = {
    "base": ["base"], "4": [f"2to4/group{g}" for g in (2, 3, 4)],
    "8": [f"4to8/group{g}" for g in (2, 3, 4)],
}


@pytest.fixture(scope="module")
def joint():
    return random_model(1, 0.3, **APART)


@pytest.mark.parametrize("scale", ["base", "4", "8", "base,4", "base,8", "4,8"])
def test_terms_are_those_of_the_joint_model(joint, scale):
    part = make_model(**APART, scale=scale)
    weights = {v.path: v for v in joint.trainable_variables}
    for variable in part.trainable_variables:
        variable.assign(weights[variable.path])
    images, conditions = random_levels(joint, 3), random_conditions(joint, 3, seed=1)
    whole, own = (model.log_prob_terms(images, conditions) for model in (joint, part))
    assert list(own) == [term for name in scale.split(",") for term in TERMS[name]]
    assert list(own) == list(part.term_dims)
    for name, values in own.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6)
        assert part.term_dims[name] == joint.term_dims[name]
    held = joint.variables_of(scale.split(","))
    assert sorted(v.path for v in held) == sorted(v.path for v in part.trainable_variables)


def test_the_scales_share_out_all_variables(joint):
    parts = [{v.path for v in joint.variables_of([name])} for name in ("base", "4", "8")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(joint.trainable_variables)


def test_what_needs_a_missing_scale_names_it():
    model = make_model(**SIZES, scale="4")
    images, uniforms = random_levels(model, 2), random_uniforms(model, 2)
    for call in (
        lambda: model.log_prob(images),
        lambda: model.sample(2),
        lambda: model.decode(uniforms),
        lambda: model.decode_with_log_prob(uniforms),
        lambda: model.decode(uniforms, sampler="naive"),
    ):
        with pytest.raises(UserError, match="this model holds no scale base, 8; it holds: 4"):
            call()


@pytest.mark.parametrize("given, kept", [
    ("8,base", "base,8"), ("4,4", "4"), ("8,4,base", "all"), ("base,4,8", "all"), ("all", "all"),
])
def test_names_are_put_in_order(given, kept):
    config = ModelConfig(**SIZES, scale=given)
    assert config.scale == kept
    assert config.held_scales == (("base", "4", "8") if kept == "all" else tuple(kept.split(",")))
    assert config == ModelConfig(**SIZES, scale=kept)


@pytest.mark.parametrize("scale, message", [
    ("bse", "unknown scale 'bse'; did you mean 'base'"),
    ("2", r"unknown scale '2'.*\(valid: all, base, 4, 8\)"),
    ("base,16", "unknown scale '16'"),
    ("4x4", "unknown scale '4x4'"),
    ("", "unknown scale ''"),
    ("base,", "unknown scale ''"),
    ("all,4", "unknown scale 'all'"),
])
def test_unknown_scales_are_told(scale, message):
    with pytest.raises(UserError, match=message):
        ModelConfig(**SIZES, scale=scale)


def test_scales_that_are_not_square_have_both_sides():
    config = ModelConfig(image_size=(4, 8), base_size=(1, 2), scale="2x4")
    assert config.scale_names == ("base", "2x4", "4x8") and config.held_scales == ("2x4",)


def test_the_one_scale_of_on_is_its_base():
    assert ModelConfig(variant="ON", image_size=8, scale="base").scale == "all"
    with pytest.raises(UserError, match="unknown scale '8'"):
        ModelConfig(variant="ON", image_size=8, scale="8")


@pytest.mark.parametrize("shared_to, right, wrong", [
    (0, ["base", "4", "8", "base,8"], []),
    (2, ["base", "4", "8"], []),
    (4, ["base,4", "8"], ["base", "4", "4,8", "base,8"]),
    (8, ["base,4,8"], ["base", "8", "base,4"]),
])
def test_scales_that_share_an_encoder_stay_together(shared_to, right, wrong):
    fields = APART | {"encoder_shared_to": shared_to}
    for scale in right:
        ModelConfig(**fields, scale=scale)
    for scale in wrong:
        with pytest.raises(UserError, match="shares its encoder with .*encoder_shared_to=0"):
            ModelConfig(**fields, scale=scale)
        ModelConfig(**SIZES, encoder_shared_to=shared_to, scale=scale)  # nothing to share


def test_the_base_and_the_scales_up_to_a_size_share():
    groups = ModelConfig(**APART | {"encoder_shared_to": 4}).encoder_groups()
    assert groups == {"encoder": ["base", "4"], "encoder_8": ["8"]}
    names = [encoder.name for encoder in make_model(**APART, scale="base,8").encoders]
    assert names == ["encoder_base", "encoder_8"]
