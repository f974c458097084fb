"""Models that hold some of their scales: the same terms, and plain words about the missing ones."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.configs import ModelConfig, make_run
from support.errors import refuses
from support.models import (
    make_model,
    random_conditions,
    random_levels,
    random_model,
    random_uniforms,
)

SIZES = {"image_size": 8, "base_size": 2}
APART = SIZES | {"text": True, "num_segments": 2, "encoder_shared_to": 0}
TERMS = {
    "base": ["base"],
    "4": [f"2to4/group{g}" for g in (2, 3, 4)],
    "8": [f"4to8/group{g}" for g in (2, 3, 4)],
}


@pytest.fixture(scope="module")
def joint():
    return random_model(1, 0.3, **APART)


@pytest.mark.usefixtures("eagerly")
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
        with refuses("scale base, 8", 4):
            call()


@pytest.mark.parametrize(
    "given, kept",
    [("8,base", "base,8"), ("4,4", "4"), ("8,4,base", "all"), ("base,4,8", "all"), ("all", "all")],
)
def test_names_are_put_in_order(given, kept):
    config = ModelConfig(**SIZES, scale=given)
    assert config.scale == kept
    assert config.held_scales == (("base", "4", "8") if kept == "all" else tuple(kept.split(",")))
    assert config == ModelConfig(**SIZES, scale=kept)


@pytest.mark.parametrize(
    "scale, facts",
    [
        ("bse", ("scale", "bse", "base")),
        ("2", ("scale", "'2'", "all, base, 4, 8")),
        ("base,16", ("scale", 16, "all, base, 4, 8")),
        ("4x4", ("scale", "4x4", "all, base, 4, 8")),
        ("", ("scale", "''", "all, base, 4, 8")),
        ("base,", ("scale", "''", "all, base, 4, 8")),
        ("all,4", ("scale", "'all'", "all, base, 4, 8")),
    ],
)
def test_unknown_scales_are_told(scale, facts):
    with refuses(*facts):
        ModelConfig(**SIZES, scale=scale)


def test_scales_that_are_not_square_have_both_sides():
    config = ModelConfig(image_size=(4, 8), base_size=(1, 2), scale="2x4")
    assert config.scale_names == ("base", "2x4", "4x8") and config.held_scales == ("2x4",)


def test_the_one_scale_of_on_is_its_base():
    assert ModelConfig(variant="ON", image_size=8, scale="base").scale == "all"
    with refuses("scale", "'8'", "all, base"):
        ModelConfig(variant="ON", image_size=8, scale="8")


PARTS = ["base;4;8", "base,4;8", "base,8;4", "base;4,8"]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("sharing", ["all", "text"])
@pytest.mark.parametrize("scale", PARTS)
def test_terms_of_parts_are_those_of_the_assembled_model(scale, sharing):
    """Up to 8 all would share an encoder; what is trained apart has one of its own."""
    fields = APART | {"encoder_shared_to": 8, "encoder_sharing": sharing}
    whole = random_model(2, 0.3, **fields, scale=scale)
    images, conditions = random_levels(whole, 3), random_conditions(whole, 3, seed=1)
    terms, seen, weights = whole.log_prob_terms(images, conditions), [], {}
    for variable in whole.trainable_variables:
        weights[variable.path] = variable
    assert len(whole.encoders) == (3 if sharing == "text" else len(scale.split(";")))
    for names in scale.split(";"):
        part = make_model(**fields, scale=names)
        assert len(part.encoders) == (len(names.split(",")) if sharing == "text" else 1)
        for variable in part.trainable_variables:
            variable.assign(weights.pop(variable.path))  # no other part has it
        own = part.log_prob_terms(images, conditions)
        assert list(own) == [term for name in names.split(",") for term in TERMS[name]]
        for name, values in own.items():
            np.testing.assert_allclose(values, terms[name], rtol=1e-6)
        held = {v.path for v in whole.variables_of(names.split(","))}
        assert held == {v.path for v in part.trainable_variables}
        seen += own
    assert not weights and sorted(seen) == sorted(terms)
    uniforms = random_uniforms(whole, 3)
    assert whole.decode(uniforms, conditions).shape == (3, 8, 8, 1)


@pytest.mark.parametrize(
    "given, kept",
    [
        ("8;base", "base;8"),
        ("8,4;base", "base;4,8"),
        ("8;base,4", "base,4;8"),
        ("4;base,8", "base,8;4"),
    ],
)
def test_parts_are_put_in_order(given, kept):
    config = ModelConfig(**APART, scale=given)
    assert config.scale == kept
    assert config.scale_parts == tuple(tuple(part.split(",")) for part in kept.split(";"))
    assert config.missing_scales == tuple(n for n in ("base", "4", "8") if n not in given)
    assert config.held_scales == tuple(n for n in ("base", "4", "8") if n in given)


@pytest.mark.parametrize(
    "scale, facts",
    [
        ("base;4;base", ("scale", "base;4;base", "two parts")),
        ("base,4;4,8", ("scale", "base,4;4,8", "two parts")),
        ("base;", ("scale", "''", "all, base, 4, 8")),
        ("base;all", ("scale", "'all'", "all, base, 4, 8")),
    ],
)
def test_wrong_parts_are_told(scale, facts):
    with refuses(*facts):
        ModelConfig(**SIZES, scale=scale)


@pytest.mark.parametrize(
    "scale, groups",
    [
        ("all", {"encoder": ["base", "8", "16", "32"], "encoder_64": ["64"]}),
        ("base", {"encoder": ["base"]}),
        ("8", {"encoder_8": ["8"]}),
        ("16,32", {"encoder_16": ["16", "32"]}),
        ("16,64", {"encoder_16": ["16"], "encoder_64": ["64"]}),
        ("base,8,16,32", {"encoder": ["base", "8", "16", "32"]}),  # as runs had it that shared all
        ("base,32", {"encoder": ["base", "32"]}),
        ("base;8;16,32", {"encoder": ["base"], "encoder_8": ["8"], "encoder_16": ["16", "32"]}),
        ("base,8,16,32;64", {"encoder": ["base", "8", "16", "32"], "encoder_64": ["64"]}),
    ],
)
def test_who_shares_and_under_which_name(scale, groups):
    fields = {"image_size": 64, "base_size": 4, "scale": scale}
    assert ModelConfig(**fields, text=True).encoder_groups() == groups
    assert ModelConfig(**fields).encoder_groups() == {}
    apart = ModelConfig(**fields, text=True, encoder_shared_to=0).encoder_groups()
    assert apart == {f"encoder_{name}": [name] for names in groups.values() for name in names}


@pytest.mark.parametrize(
    "scale, groups",
    [
        ("all", [["base"], ["8", "16", "32"], ["64"]]),
        ("base", [["base"]]),
        ("base,8,64", [["base"], ["8"], ["64"]]),
        ("base,16,32", [["base"], ["16", "32"]]),
        ("base;8;16,32", [["base"], ["8"], ["16", "32"]]),
    ],
)
def test_who_shares_a_text_encoder(scale, groups):
    """The upscalers alone; without captions nothing is left to share."""
    fields = {"image_size": 64, "base_size": 4, "scale": scale, "encoder_sharing": "text"}
    expected = {f"encoder_{names[0]}": names for names in groups}
    assert ModelConfig(**fields, text=True).encoder_groups() == expected
    apart = {f"encoder_{name}": [name] for names in groups for name in names}
    assert ModelConfig(**fields, text=True, encoder_shared_to=0).encoder_groups() == apart
    assert ModelConfig(**fields, num_classes=3, num_segments=2).encoder_groups() == apart


@pytest.mark.usefixtures("eagerly")
def test_a_text_encoder_is_shared_and_nothing_else():
    """Its variables are there once, belong to each of its scales, and learn from each."""
    fields = SIZES | {"image_size": 16, "text": True, "num_segments": 2, "num_classes": 3}
    model = random_model(3, 0.3, **fields, encoder_sharing="text", encoder_shared_to=8)
    names = [encoder.name for encoder in model.encoders]
    assert names == ["encoder_base", "encoder_4", "encoder_8", "encoder_16"]
    base, first, second, above = (encoder.vectors["text"] for encoder in model.encoders)
    assert first is second and len({base, first, above}) == 3
    paths = [v.path for v in model.trainable_variables]
    assert len(paths) == len(set(paths))
    held = {name: {v.path for v in model.variables_of([name])} for name in model.config.scale_names}
    text = {v.path for v in first.trainable_variables}
    assert held["4"] & held["8"] == text and all(p.startswith("encoder_4/text/") for p in text)
    assert not (held["base"] | held["16"]) & text
    assert sum(map(len, held.values())) == len(paths) + len(text)
    images, conditions = random_levels(model, 2), random_conditions(model, 2)
    with tf.GradientTape(persistent=True) as tape:
        terms = model.log_prob_terms(images, conditions)
    for name, reaches in (("base", False), ("2to4/group2", True), ("4to8/group2", True)):
        gradients = tape.gradient(terms[name], [v.value for v in first.trainable_variables])
        assert all((g is not None and np.any(g)) == reaches for g in gradients), name


SIZES_4_TO_256 = [(side, side) for side in (4, 8, 16, 32, 64, 128, 256)]
SHARED_TO_32 = {"encoder_base": ["base"], "encoder_8": ["8", "16", "32"]} | {
    f"encoder_{side}": [str(side)] for side in (64, 128, 256)
}
PAPER = {  # sizes, conditions, width, maps, groups
    "cub": (SIZES_4_TO_256, ("text", "keypoints"), 128, {"num_keypoints": 15}, SHARED_TO_32),
    "mpii": (SIZES_4_TO_256, ("text", "keypoints"), 128, {"num_keypoints": 17}, SHARED_TO_32),
    "coco": (SIZES_4_TO_256, ("text", "segmentation"), 128, {"num_segments": 80}, SHARED_TO_32),
    "imagenet": (
        [(side, side) for side in (8, 16, 32, 64, 128)],
        ("label",),
        256,
        {"num_classes": 1000},
        {f"encoder_{name}": [name] for name in ("base", "16", "32", "64", "128")},
    ),
}


@pytest.mark.parametrize("preset", ["large", "paper"])
@pytest.mark.parametrize("dataset", PAPER)
def test_the_papers_models(dataset, preset):
    """Sections 4.2 and 4.4: what the presets build for each data set, without a flag more."""
    sizes, conditions, width, maps, _ = PAPER[dataset]
    run = make_run(dataset, preset=preset)
    model = run.model
    assert (model.variant, model.upscaler, model.output) == ("OlogN", "B", "softmax")
    assert model.sizes == sizes and model.conditions == conditions
    assert {name: getattr(model, name) for name in maps} == maps
    assert (model.residual_blocks, model.decoder_layers, model.num_levels) == (12, 4, 256)
    assert {model.features, model.head_features, model.decoder_features} == {width}
    base = (20, 384) if preset == "paper" else (15, width)  # of van den Oord et al. (2016b)
    assert (model.base_layers, model.base_features) == base
    assert (model.label_features, model.text_features, model.spatial_features) == (128, 128, 128)
    assert (model.text_width, model.spatial_blocks) == (512, 12)
    assert run.train.crop_size == 32


@pytest.mark.parametrize("dataset", PAPER)
def test_who_shares_in_models_of_the_papers_widths(dataset):
    sizes, *_, groups = PAPER[dataset]
    model = make_run(dataset, preset="paper").model
    assert model.encoder_groups() == groups
    shared = make_run(dataset, preset="large", encoder_shared_to=256).model
    assert shared.encoder_groups() == {"encoder": list(model.scale_names)}
    ours = make_run(dataset, preset="large").model.encoder_groups()
    up_to_32 = [n for n in model.scale_names if n in ("base", "8", "16", "32")]
    above = [n for n in model.scale_names if n not in up_to_32]
    assert ours == {"encoder": up_to_32} | {f"encoder_{n}": [n] for n in above}
    alone = [make_run(dataset, preset="paper", scale=name).model for name in model.scale_names]
    assert [len(part.encoder_groups()) for part in alone] == [1] * len(sizes)


def test_the_base_and_the_scales_up_to_a_size_share():
    groups = ModelConfig(**APART | {"encoder_shared_to": 4}).encoder_groups()
    assert groups == {"encoder": ["base", "4"], "encoder_8": ["8"]}
    names = [encoder.name for encoder in make_model(**APART, scale="base,8").encoders]
    assert names == ["encoder_base", "encoder_8"]
