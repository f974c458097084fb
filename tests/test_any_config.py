"""Any valid configuration builds, takes a step, saves, reloads and samples; any other is refused at
construction."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ms_pixelcnn_tf.configs import ModelConfig, RunConfig, VideoConfig, make_run
from ms_pixelcnn_tf.configs.image import CONDITIONS
from ms_pixelcnn_tf.configs.shared import departures
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from support.models import random_conditions, small_image
from support.runs import TRAIN, SilentProgress, TinyFilm, TinySource, tiny_video_run

SMALL = small_image(base_layers=1, decoder_layers=1, first_kernel=3)
WIDTHS = ("base_features", "features", "head_features", "decoder_features")


def either(draw, kind):
    """Of every field that may depart from the paper, our value or the paper's."""
    return {
        name: draw(st.sampled_from([field.default, field.metadata["paper"]]))
        for name, field in departures(kind).items()
    }


@st.composite
def valid_fields(draw):
    """Fields of a run that `TinySource` can train."""
    widths = {name: 3 * draw(st.integers(1, 3)) for name in WIDTHS}
    batch = draw(st.sampled_from([1, 3, 4]))
    fields = (
        SMALL
        | TRAIN
        | widths
        | either(draw, ModelConfig)
        | {
            "variant": draw(st.sampled_from(["ON", "OlogN"])),
            "base_size": draw(st.sampled_from([1, 2])),
            "upscaler": draw(st.sampled_from(["A", "B"])),
            "patch_size": draw(st.sampled_from([1, 2])),
            "output": draw(st.sampled_from(["softmax", "dmol"])),
            "num_levels": draw(st.integers(2, 256)),
            "num_mixtures": draw(st.integers(1, 3)),
            "num_classes": draw(st.sampled_from([0, 3])),
            "gated_kernel": draw(st.sampled_from([3, 5])),
            "dtype": draw(st.sampled_from(["float32", "float64", "mixed_bfloat16"])),
            "batch_size": batch,
            "micro_batch_size": draw(st.sampled_from([0, 1])),
            "optimizer": draw(st.sampled_from(["adam", "rmsprop"])),
            "schedule": draw(st.sampled_from(["cosine", "exponential"])),
            "gradient_clip_norm": draw(st.sampled_from([0.0, 1.0])),
            "ema_decay": draw(st.sampled_from([0.0, 0.9])),
            "crop_size": draw(st.sampled_from([0, 2, 4])),
            "flip": draw(st.booleans()),
            "seed": draw(st.integers(0, 2**32 - 1)),
            "steps": 1,
            "checkpoint_every": 1,
            "evaluate_every": 1,
        }
    )
    if fields["upscaler"] == "B" and fields["crop_size"] == 2:
        fields["patch_size"] = 1  # a crop's groups are whole patches
    return fields


class Watching(SilentProgress):
    """Sees that no step goes bad."""

    def update(self, step, bits):
        assert np.isfinite(bits)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(fields=valid_fields())
def test_any_valid_configuration_goes_all_the_way(fields, tmp_path_factory):
    workdir, source = tmp_path_factory.mktemp("run"), TinySource()
    run = make_run(**fields)
    assert RunConfig.from_json(run.to_json()) == run
    model = loop.train(run, workdir, source, progress=Watching)
    assert Run(workdir).config == run
    reloaded = Run(workdir).model()
    conditions = {"label": np.array([0, 2])} if fields["num_classes"] else None
    images = model.sample(2, conditions, seed=3)
    assert images.shape == (2, 4, 4, 1) and images.max() < fields["num_levels"]
    np.testing.assert_array_equal(images, reloaded.sample(2, conditions, seed=3))
    assert evaluate(model, source, "validation", 3) == evaluate(reloaded, source, "validation", 3)


@st.composite
def valid_conditional_fields(draw):
    """Fields of a run on `shapes`, of any conditions."""
    kinds = draw(st.sets(st.sampled_from(CONDITIONS), min_size=1))
    return (
        SMALL
        | TRAIN
        | either(draw, ModelConfig)
        | {
            "dataset": "shapes",
            "conditions": ",".join(sorted(kinds)),
            "image_size": 8,
            "channels": 3,
            "base_size": draw(st.sampled_from([2, 4])),
            "variant": draw(st.sampled_from(["ON", "OlogN"])),
            "upscaler": draw(st.sampled_from(["A", "B"])),
            "num_levels": draw(st.integers(2, 256)),
            "encoder_shared_to": draw(st.sampled_from([0, 4, 8])),
            "encoder_sharing": draw(st.sampled_from(["all", "text"])),
            "condition_join": draw(st.sampled_from(["product", "depth"])),
            "text_average": draw(st.sampled_from(["caption", "all"])),
            "map_dropout": draw(st.sampled_from([0.0, 0.5]))
            if kinds & {"keypoints", "segmentation"}
            else 0,
            "map_noise": draw(st.sampled_from([0.0, 0.5]))
            if kinds & {"keypoints", "segmentation"}
            else 0,
            "dtype": draw(st.sampled_from(["float32", "mixed_bfloat16"])),
            "crop_size": draw(st.sampled_from([0, 8])),
            "patch_size": 1,
            "batch_size": 2,
            "steps": 1,
            "checkpoint_every": 1,
            "evaluate_every": 1,
            "evaluation_examples": 4,
        }
        | {
            f"{name}_features": draw(st.integers(1, 5))
            for name in ("label", "text", "spatial", "joint")
        }
    )


@pytest.mark.slow
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(fields=valid_conditional_fields())
def test_any_valid_conditional_configuration_goes_all_the_way(fields, tmp_path_factory):
    workdir, run = tmp_path_factory.mktemp("run"), make_run(**fields)
    source = load_source(run)
    model = loop.train(run, workdir, source, progress=Watching)
    assert sorted(model.config.conditions) == sorted(fields["conditions"].split(","))
    reloaded = Run(workdir).model()
    conditions = random_conditions(model, 2)
    images = model.sample(2, conditions, seed=3)
    assert images.shape == (2, 8, 8, 3) and images.max() < fields["num_levels"]
    np.testing.assert_array_equal(images, reloaded.sample(2, conditions, seed=3))
    scored = [evaluate(each, source, "validation", 2, limit=4) for each in (model, reloaded)]
    assert scored[0] == scored[1]


@st.composite
def valid_video_fields(draw):
    """Fields of a run that `TinyFilm` can train."""
    variant = draw(st.sampled_from(["OT_baseline", "OTN", "OT", "OTlogN", "OT_upscaler"]))
    return either(draw, VideoConfig) | {
        "variant": variant,
        "num_levels": draw(st.integers(2, 256)),  # the law is the variant's own
        "action_size": draw(st.sampled_from([0, TinyFilm.action_size]))
        if variant != "OT_upscaler"
        else 0,
        "batch_size": draw(st.sampled_from([1, 2])),
        "micro_batch_size": draw(st.sampled_from([0, 1])),
        "ema_decay": draw(st.sampled_from([0.0, 0.9])),
        "past_samples": draw(st.sampled_from([0, 2])) if variant != "OT_upscaler" else 0,
        "seed": draw(st.integers(0, 2**32 - 1)),
        "steps": 3,
        "checkpoint_every": 3,
        "evaluate_every": 3,  # the last one samples the past
    }


@pytest.mark.slow
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(fields=valid_video_fields())
def test_any_valid_video_configuration_goes_all_the_way(fields, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    variant = fields.pop("variant")
    source, size = (
        (TinyFilm(8), {"image_size": 8}) if variant == "OT_upscaler" else (TinyFilm(), {})
    )
    run = tiny_video_run(variant, **fields, **size)
    assert RunConfig.from_json(run.to_json()) == run
    model = loop.train(run, workdir, source, progress=Watching)
    reloaded = Run(workdir).model()
    for name, weight in zip(reloaded.variables, model.variables, strict=True):
        np.testing.assert_array_equal(name, weight)
    assert evaluate(model, source, "validation", 3) == evaluate(reloaded, source, "validation", 3)


NUMBERS = {  # field → the smallest valid value
    name: least
    for least, names in {
        1: (
            "batch_size",
            "steps",
            "log_every",
            "evaluate_every",
            "checkpoint_every",
            "features",
            "base_features",
            "head_features",
            "num_mixtures",
            "base_layers",
            "patch_size",
            "checkpoints_kept",
            "max_skipped_steps",
            "decoder_layers",
            "decoder_features",
        ),
        0: (
            "warmup_steps",
            "sample_every",
            "evaluation_examples",
            "seed",
            "micro_batch_size",
            "num_classes",
            "residual_blocks",
            "max_damaged_examples",
            "source_size",
            "data_seed",
        ),
        2: ("num_levels",),
    }.items()
    for name in names
}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_invalid_configuration_is_refused_at_construction(data):
    kind = data.draw(st.sampled_from(["low", "type", "name", "choice", "unreachable"]))
    if kind == "low":
        name = data.draw(st.sampled_from(sorted(NUMBERS)))
        fields = {name: data.draw(st.integers(max_value=NUMBERS[name] - 1))}
    elif kind == "type":
        name = data.draw(st.sampled_from(sorted(NUMBERS)))
        fields = {name: data.draw(st.one_of(st.text(), st.none(), st.floats(), st.just([1])))}
    elif kind == "name":
        fields = {data.draw(st.text("abcdefgh_", min_size=1, max_size=9)): 1}
    elif kind == "choice":
        name = data.draw(
            st.sampled_from(["variant", "output", "upscaler", "optimizer", "schedule", "dtype"])
        )
        fields = {
            name: data.draw(st.text(max_size=6).filter(lambda text: text.lower() not in WORDS))
        }
    else:
        base = data.draw(st.integers(1, 9))
        size = data.draw(
            st.integers(base + 1, 99).filter(
                lambda side: side % base or (side // base) & (side // base - 1)
            )
        )
        fields = {"base_size": base, "image_size": size}
    with pytest.raises(ValueError) as refused:
        make_run(**fields)
    assert isinstance(refused.value, UserError)
    assert "\n" not in str(refused.value).strip()


WORDS = {
    "on",
    "ologn",
    "ot",
    "otn",
    "otlogn",
    "dmol",
    "a",
    "b",
    "adam",
    "cosine",
    "steps",
    "softmax",
}


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_the_smallest_valid_values_are_valid(name):
    run = make_run(output="dmol", **{name: NUMBERS[name]})
    assert NUMBERS[name] in (getattr(part, name, None) for part in (run.model, run.data, run.train))
