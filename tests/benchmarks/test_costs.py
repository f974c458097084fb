"""Costs are counted from the graphs that training runs."""

import pytest

import costs
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from parts import flops

pytestmark = pytest.mark.slow

SMALL = {
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
    "frame_blocks": 0,
    "frame_features": 8,
    "lstm_features": 8,
    "frame_decoder_blocks": 1,
}
IMAGE = {name: SMALL[name] for name in list(SMALL)[:5]} | {
    "image_size": 8,
    "base_size": 4,
    "crop_size": 0,
}


def test_an_image_models_step_is_three_times_its_likelihood():
    run = make_run(**IMAGE)
    found, model = costs.step_flops(run)
    assert found == 3 * flops.likelihood_flops(model) > 0
    assert model.count_params() == make_model(run.model).count_params()


def test_captions_cost_what_their_layers_do():
    """Three convolutions, and the recurrent layer's kernels once for each of its steps."""
    text = {"text": True, "text_width": 4, "text_features": 8, "label_features": 4}
    plain, with_text = (costs.step_flops(make_run(**IMAGE | own))[0] for own in ({}, text))
    convolutions = 198 * 4 * 70 * 3 + 63 * 4 * 3 * 4 + 18 * 4 * 4 * 8
    recurrent = 18 * (8 + 8) * 3 * 8
    joined = 4 * 8 * 8 + 3 * 2 * 4 * 8 * 8  # the vector's share of the gates, in each network
    extra = (with_text - plain) / 6
    assert convolutions + recurrent < extra <= convolutions + recurrent + 2 * joined


def test_a_video_costs_more_with_every_frame():
    found = [
        costs.step_flops(
            make_run("shapes_push", "OTlogN", **SMALL, image_size=8, base_size=4, num_frames=n)
        )[0]
        for n in (3, 4, 5)
    ]
    assert found[1] - found[0] == found[2] - found[1] > 0
