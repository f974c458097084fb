"""Configurations: the recipes, the checks that come before anything is written, and JSON."""

import dataclasses
import json

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import (
    PRESETS,
    VARIANTS,
    VIDEO_PRESETS,
    VIDEO_VARIANTS,
    ModelConfig,
    RunConfig,
    VideoConfig,
    make_run,
    parse_size,
)
from ms_pixelcnn_tf.configs.shared import departures, paper_values
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size
from support.errors import refuses

BASES = {"large": (15, 128), "paper": (20, 384)}  # layers, features


@pytest.mark.parametrize("preset", BASES)
def test_large_and_paper_are_the_papers_recipe(preset):
    run = make_run(preset=preset, image_size=128)
    train, model = run.train, run.model
    assert (train.optimizer, train.epsilon, train.batch_size) == ("rmsprop", 1e-8, 128)
    assert (train.learning_rate, train.final_learning_rate, train.steps) == (1e-4, 1e-5, 200_000)
    assert (train.warmup_steps, train.gradient_clip_norm, train.crop_size) == (0, 0.0, 32)
    assert (model.residual_blocks, model.features, model.decoder_layers) == (12, 128, 4)
    assert (model.output, model.base_size, model.patch_size) == ("softmax", (8, 8), 4)
    assert (model.base_layers, model.base_features) == BASES[preset]


@pytest.mark.parametrize("preset", BASES)
def test_large_and_paper_of_videos_are_the_papers_recipe(preset):
    run = make_run("robot_pushing", "OTN", preset)
    train, model = run.train, run.model
    assert (train.optimizer, train.centered, train.epsilon) == ("rmsprop", True, 1e-8)
    assert (train.batch_size, train.steps, train.learning_rate) == (64, 200_000, 1e-4)
    assert (train.schedule, train.drops, train.drop_factor) == ("steps", (83_000, 113_000), 0.3)
    assert (train.warmup_steps, train.gradient_clip_norm) == (0, 0.0)
    assert (model.frame_blocks, model.frame_decoder_blocks, model.frame_features) == (8, 12, 128)
    assert (model.frame_stride, model.lstm_features, model.image_size) == (1, 256, (64, 64))
    assert (model.num_frames, model.given_frames) == (20, 2)
    assert (model.base_layers, model.base_features) == BASES[preset]


@pytest.mark.parametrize("variant", [*VARIANTS, *VIDEO_VARIANTS])
@pytest.mark.parametrize("dataset", data.names())
def test_paper_is_large_with_every_departure_off_and_the_base_of_2016b(dataset, variant):
    paper, large = (make_run(dataset, variant, preset) for preset in ("paper", "large"))
    for kind in ("model", "train"):
        own, ours = getattr(paper, kind), getattr(large, kind)
        for name, field in departures(ours).items():
            assert getattr(own, name) == field.metadata["paper"] != field.default
            # Of training, large has the paper's recipe.
            expected = field.metadata["ours" if kind == "model" else "paper"]
            assert getattr(ours, name) == expected
        again = dataclasses.replace(ours, **paper_values(ours))
        if kind == "model":
            again = dataclasses.replace(again, base_layers=20, base_features=384)
        assert own == again
    assert len(departures(paper.model)) > 6


@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_video_variant_has_every_preset(variant, preset):
    assert PRESETS.keys() == VIDEO_PRESETS.keys()
    run = make_run("shapes_push", variant, preset)
    assert isinstance(run.model, VideoConfig) and run.model.image_size == (64, 64)
    dmol = variant in ("OT", "OT_upscaler")
    assert run.model.output == ("dmol" if dmol else "softmax")
    assert run.train.crop_size == (32 if variant == "OT_upscaler" else 0)
    assert RunConfig.from_json(run.to_json()) == run
    assert make_run("shapes_push", variant, preset, image_size=32).model.base_size == (8, 8)


def test_the_data_says_what_an_action_is_where_it_is_not_of_five_numbers():
    sizes = {
        name: (model.action_size, model.state_size)
        for name in ("robot_pushing", "bair_robot_pushing_small", "shapes_push")
        for model in [make_run(name, "OT").model]
    }
    assert sizes == {
        "robot_pushing": (5, 5),
        "bair_robot_pushing_small": (4, 3),
        "shapes_push": (5, 5),
    }
    without = make_run("bair_robot_pushing_small", "OT", action_size=0).model
    assert without.conditions == ("states",)


@pytest.mark.parametrize(
    "base, image, sizes",
    [((4, 6), (32, 48), [(4, 6), (8, 12), (16, 24), (32, 48)]), ((1, 3), (2, 6), [(1, 3), (2, 6)])],
)
def test_sizes_double_from_base_to_image(base, image, sizes):
    assert ModelConfig(base_size=base, image_size=image).sizes == sizes
    assert ModelConfig(variant="ON", base_size=base, image_size=image).sizes == [image]


@pytest.mark.parametrize(
    "base, image",
    [
        ((8, 8), (24, 24)),
        ((8, 8), (32, 16)),
        ((4, 6), (32, 32)),
        ((16, 16), (8, 8)),
        ((5, 5), (32, 32)),
        ((8, 4), (16, 16)),
    ],
)
def test_sizes_that_do_not_meet(base, image):
    with refuses("base_size", format_size(base), "image_size", format_size(image)):
        ModelConfig(base_size=base, image_size=image)


@pytest.mark.parametrize(
    "image, base",
    [(32, (8, 8)), ((32, 48), (8, 12)), (8, (4, 4)), (2, (1, 1)), (256, (8, 8)), (18, (9, 9))],
)
def test_default_base(image, base):
    assert make_run(image_size=image).model.base_size == base


@pytest.mark.parametrize(
    "fields, facts",
    [
        ({"image_size": 33}, ("base_size", "image_size", 33, "OlogN", "ON")),
        ({"image_size": 32, "base_size": 32}, ("base_size", "image_size", 32, "OlogN", "ON")),
        ({"image_size": 12, "upscaler": "B"}, ("patch_size 4", "group", 6)),
        ({"num_levels": 1}, ("num_levels", 1, "2 to 256")),
        ({"num_levels": 257}, ("num_levels", 257, "2 to 256")),
        (
            {"base_features": 2, "output": "softmax"},
            ("base_features", 2, "3 channels", "3 features"),
        ),
        ({"crop_size": 15}, ("crop_size", 15, "even", 0)),
        (
            {"crop_size": 12, "upscaler": "B", "image_size": 32},
            ("crop_size", 12, "patches of 4", "multiples of 8"),
        ),
        ({"seed": -1}, ("seed", -1, 0)),
        ({"seed": 2**32}, ("seed", 2**32, "2**32")),
        ({"ema_decay": 1.0}, ("ema_decay", 1.0, 0, 1)),
        ({"learning_rate": 0.0}, ("learning_rate", 0.0, "above 0")),
        ({"learning_rate": float("nan")}, ("learning_rate", "nan", "finite")),
        ({"epsilon": float("inf")}, ("epsilon", "inf", "finite")),
        ({"gradient_clip_norm": float("inf")}, ("gradient_clip_norm", "inf", 0)),
        ({"learning_rate": 5e-6}, ("final_learning_rate", "1e-05", "learning_rate", "5e-06")),
        ({"validation_fraction": 1.0}, ("validation_fraction", 1.0, "0 and 1")),
        ({"labels": "folder"}, ("labels", "folder", "folders", "none")),
        ({"data_seed": -1}, ("data_seed", -1, 0)),
        ({"image_size": 32.9}, ("image_size", 32.9, "32x48")),
        ({"image_size": float("inf")}, ("image_size", "inf", "32x48")),
        ({"preset": ["tiny"]}, ("preset", ["tiny"], "tiny, small, large, paper")),
        ({"steps": 2.5}, ("steps", 2.5, "int", 2000)),
        ({"flip": 1}, ("flip", 1, "bool", False)),
        ({"featuers": 3}, ("featuers", "'features'")),
        ({"first_kernel": 4}, ("first_kernel", 4, "odd", 3)),
        ({"residual_blocks": 0, "num_classes": 2}, ("residual_blocks", 0, "conditional", 1)),
        ({"scale": "base,12"}, ("scale", 12, "all, base, 16, 32")),
        ({"image_size": "3x4x5"}, ("image_size", [3, 4, 5], "32x48")),
        ({"dtype": "float16"}, ("dtype", "float16", "float32, float64, mixed_bfloat16")),
        (
            {"variant": "OTT"},
            ("variant", "OTT", "'OT'", "ON, OlogN, OT_baseline, OTN, OT, OTlogN, OT_upscaler"),
        ),
        ({"variant": "OlogM"}, ("variant", "OlogM", "'OlogN'")),
        ({"variant": "OT-baseline"}, ("variant", "OT-baseline", "'OT_baseline'")),
        ({"variant": "OT", "num_classes": 3}, ("num_classes", "variant OT", "images", "videos")),
        ({"num_frames": 3}, ("num_frames", "variant OlogN", "videos", "images")),
        ({"variant": "OTN", "output": "dmol"}, ("output", "dmol", "variant OTN", "softmax")),
        ({"maps_from": 9, "steps": 9}, ("maps_from", 9, "9 steps")),
        ({"train_examples": 0}, ("train_examples", 0, 1)),
        ({"maps_from": -1}, ("maps_from", -1, 0)),
        ({"map_dropout": 1.5}, ("map_dropout", 1.5, "0 to 1")),
        ({"past_samples": -1}, ("past_samples", -1, 0)),
        ({"past_samples_share": 1.5}, ("past_samples_share", 1.5, "up to 1")),
        ({"map_noise": -0.5}, ("map_noise", -0.5, "0 to 1")),
        ({"variant": "OT", "flip": True}, ("flip", "images", "augment=mirror", "videos")),
        ({"augment": "mirror"}, ("augment", "mirror", "videos", "flip", "images")),
        ({"past_samples": 1}, ("past_samples", 1, "videos")),
        (
            {"variant": "OT_upscaler", "past_samples": 1},
            ("past_samples", 1, "OT_baseline", "OTN", "OT", "OTlogN"),
        ),
        ({"variant": "OT", "augment": "miror"}, ("augment", "miror", "'mirror'")),
        ({"variant": "OT", "crop_size": 8}, ("crop_size", 8, "OT_upscaler", 0, "OT")),
        (
            {"variant": "OT_upscaler", "upscaler": "B", "patch_size": 4, "crop_size": 12},
            ("crop_size", 12, "patches of 4", "multiples of 8"),
        ),
        (
            {"variant": "OT", "conditions": "text"},
            ("conditions", "text", "images", "action_size", "state_size"),
        ),
        ({"variant": "OT", "num_frames": 2}, ("num_frames", 2, 3)),
        (
            {"variant": "OT", "image_size": 33, "frame_stride": 1},
            ("image_size", 33, "variant OT", "even"),
        ),
        ({"variant": "OT", "image_size": 33}, ("frame_stride 2", 33)),
        ({"variant": "OTlogN", "base_size": 64}, ("base_size", 64, "OTlogN", "variant OTN")),
        ({"batch_size": 6, "micro_batch_size": 4}, ("micro_batch_size 4", "batch_size 6")),
        ({"batch_size": 4, "micro_batch_size": 8}, ("micro_batch_size 8", "batch_size 4")),
        ({"micro_batch_size": -1}, ("micro_batch_size", -1, 0)),
    ],
)
def test_values_out_of_range_are_told_at_construction(fields, facts):
    with refuses(*facts):
        make_run(**fields)


def test_json_round_trip():
    run = make_run(preset="small", image_size=(32, 48), upscaler="B", flip=True, num_classes=3)
    assert RunConfig.from_json(run.to_json()) == run


def test_json_of_before_there_were_videos_stays_readable():
    run = make_run(preset="small", image_size=(32, 48), flip=True)
    parts = json.loads(run.to_json())
    for name in ("micro_batch_size", "drop_steps", "drop_factor", "centered", "augment"):
        del parts["train"][name]
    assert RunConfig.from_json(json.dumps(parts)) == run


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"model": {}, "data": {}}',
        '{"model": {"colour": 1}, "data": {}, "train": {}}',
        '{"model": [], "data": {}, "train": {}}',
    ],
)
def test_json_that_is_no_run_is_told(text):
    with pytest.raises(UserError):
        RunConfig.from_json(text)


def test_json_of_another_type_is_told():
    parts = json.loads(make_run().to_json())
    parts["train"]["steps"] = "many"
    with refuses("steps", "many", "int"):
        RunConfig.from_json(json.dumps(parts))


def test_parse_size():
    for text in (32, "32", "32x32", [32, 32], (32,), [32, np.int64(32)]):
        assert parse_size(text) == (32, 32)
    assert parse_size("32x48") == parse_size((32, 48)) == (32, 48)
    for wrong in (0, -1, "x", "32x", 3.5j, 32.0, None, (1, 2, 3), (32, 0)):
        with pytest.raises(UserError):
            parse_size(wrong)


def test_fields_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_run().train.steps = 3
