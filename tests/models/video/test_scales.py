"""Scales of OTlogN trained apart: the same terms, an encoder of the past each, one run together."""

import numpy as np
import pytest

from ms_pixelcnn_tf.cli import evaluate, export, train
from ms_pixelcnn_tf.configs import VideoConfig, make_run
from ms_pixelcnn_tf.runs.folder import SCALES
from ms_pixelcnn_tf.runs.run import Run
from support.errors import missing_facts, refuses
from support.models import (
    as_flags,
    make_video_model,
    random_frames,
    random_sequences,
    random_video_model,
    random_video_uniforms,
    small_video,
)

SIZES = {"image_size": 8, "base_size": 2, "num_levels": 9}
TERMS = {
    "base": ["base"],
    "4": [f"2to4/group{g}" for g in (2, 3, 4)],
    "8": [f"4to8/group{g}" for g in (2, 3, 4)],
}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("scale", ["base;4;8", "base,4;8", "base,8;4", "base;4,8"])
def test_terms_of_parts_are_those_of_the_assembled_model(scale):
    whole = random_video_model("OTlogN", 2, 0.3, **SIZES, scale=scale)
    frames, conditions = random_frames(whole, 2), random_sequences(whole, 2)
    terms, seen = whole.log_prob_terms(frames, conditions), []
    weights = {variable.path: variable for variable in whole.trainable_variables}
    assert len(whole.pasts) == len(scale.split(";"))
    for names in scale.split(";"):
        part = make_video_model("OTlogN", **SIZES, scale=names)
        assert len(part.pasts) == 1
        for variable in part.trainable_variables:
            variable.assign(weights.pop(variable.path))  # no other part has it
        own = part.log_prob_terms(frames, conditions)
        assert list(own) == [term for name in names.split(",") for term in TERMS[name]]
        assert {name: part.term_dims[name] for name in own} == part.term_dims
        for name, values in own.items():
            np.testing.assert_allclose(values, terms[name], rtol=1e-5)
        held = {v.path for v in whole.variables_of(names.split(","))}
        assert held == {v.path for v in part.trainable_variables}
        seen += own
    assert not weights and sorted(seen) == sorted(terms) == sorted(whole.term_dims)


def test_what_needs_a_missing_scale_names_it():
    model = make_video_model("OTlogN", **SIZES, scale="4")
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    uniforms, given = random_video_uniforms(model, 2), frames[:, :2]
    chosen = np.ones((2, 1, 5), bool)
    for call in (
        lambda: model.log_prob(frames, conditions),
        lambda: model.sample(given, conditions),
        lambda: model.decode(uniforms, given, conditions),
        lambda: model.sampled_past(frames, uniforms[:, None], chosen, conditions),
    ):
        with refuses("scale base, 8", "it holds: 4"):
            call()


@pytest.mark.parametrize(
    "fields, facts",
    [
        ({"variant": "OTlogN", "scale": "16"}, ("scale", "'16'", "all, base, 4, 8")),
        ({"variant": "OTlogN", "scale": "base;4,base"}, ("two parts", "base")),
        ({"variant": "OT", "scale": "4"}, ("scale", "4", "OT", "all")),
        ({"variant": "OT_upscaler", "scale": "8"}, ("scale", "8", "OT_upscaler", "all")),
        ({"variant": "OT", "upscaler": "B", "patch_size": 3}, ("patch_size 3", "maps of 4")),
        ({"variant": "OTlogN", "upscaler": "B", "patch_size": 3}, ("patch_size 3", "maps of 4")),
    ],
)
def test_wrong_fields_are_refused(fields, facts):
    with refuses(*facts):
        VideoConfig(image_size=8, base_size=2, output="dmol", **{"patch_size": 1} | fields)


def test_a_part_samples_no_past():
    with refuses("past_samples", 1, "scale base"):
        make_run(dataset="shapes_push", variant="OTlogN", scale="base", past_samples=1)


@pytest.mark.slow
def test_each_scale_is_trained_by_a_process_of_its_own(tmp_path, capsys):
    """And all together are one run: its total is that of the parts, and it samples."""
    fields = small_video("OTlogN", image_size=16, base_size=4, channels=3, num_levels=8)
    for own in ("action_size", "state_size"):
        del fields[own]
    flags = [
        "--dataset=shapes_push",
        *as_flags(fields),
        "--steps=2",
        "--batch_size=2",
        "--micro_batch_size=0",
        "--past_samples=0",
        "--evaluation_examples=2",
        f"--workdir={tmp_path}",
    ]
    for scale in ("base", "8"):
        train.main([*flags, f"--scale={scale}"])
    evaluate.main([f"--workdir={tmp_path}", "--limit=2"])
    assert not missing_facts(capsys.readouterr().out, "missing", "scale 16")
    export.main([f"--workdir={tmp_path}", f"--out={tmp_path / 'export'}"])
    said = capsys.readouterr().out
    assert not missing_facts(said, "missing", "scale 16", "log_prob_terms")
    assert not any(name in said for name in ("log_prob(", "decode(", "sample("))
    train.main([*flags, "--scale=16"])
    run = Run(tmp_path)
    assert run.config.model.scale == "base;8;16" and not run.config.model.missing_scales
    model, clips = run.model(), run.source().examples("train", [0], ("frames", "actions", "states"))
    frames = (clips.pop("frames") // 32).astype("uint8")
    terms = model.log_prob_terms(frames, clips)
    for scale in ("base", "8", "16"):
        part = Run(tmp_path / SCALES / scale).model()
        for name, values in part.log_prob_terms(frames, clips).items():
            np.testing.assert_allclose(terms[name], values, rtol=1e-5)
    assert model.sample(frames[:, :2], clips).shape == (1, 3, 16, 16, 3)
