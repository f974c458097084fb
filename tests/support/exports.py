"""Models that are exported by tests, and what they are asked."""

import dataclasses

import numpy as np

from ms_pixelcnn_tf.configs import make_run
from support.models import (
    PAPER_PAST,
    PAPER_PIXELS,
    random_conditions,
    random_frames,
    random_levels,
    random_model,
    random_sequences,
    random_uniforms,
    random_video_model,
    random_video_uniforms,
)

IMAGES = {
    "all": {
        "upscaler": "A",
        "output": "softmax",
        "num_classes": 3,
        "text": True,
        "num_keypoints": 2,
        "num_segments": 2,
        "channels": 3,
        "num_levels": 5,
    },
    "B": {
        "upscaler": "B",
        "image_size": 8,
        "output": "dmol",
        "num_levels": 256,
        "dtype": "float64",
    },
    "paper-pixels": {"upscaler": "B", "output": "softmax", "num_levels": 8} | PAPER_PIXELS,
    "masked": {
        "upscaler": "A",
        "output": "softmax",
        "type_a_colour": "masked",
        "residual_block": "3x3_3x3",
        "channels": 3,
        "num_levels": 8,
    },
    "ON": {"variant": "ON", "output": "softmax", "image_size": 8, "num_classes": 2},
    "part": {"upscaler": "A", "image_size": 8, "scale": "8", "num_classes": 2},
    "paper-conditions": {
        "upscaler": "B",
        "output": "softmax",
        "image_size": 8,
        "text": True,
        "num_segments": 2,
        "condition_join": "depth",
        "text_average": "all",
        "encoder_sharing": "text",
        "gated_kernel": 5,
    },
}
SERVED = {
    "plain": {"upscaler": "A", "channels": 3, "num_levels": 8},
    "text": {"variant": "ON", "text": True},
}
VIDEOS = {
    "OT": ("OT", {}),
    "OT-paper": ("OT", PAPER_PAST),
    "OT_upscaler": ("OT_upscaler", {"action_size": 0, "state_size": 0}),
}
NAMES = (*IMAGES, *VIDEOS)


def make(name):
    """A model with random weights, and its `RunConfig`."""
    if name in IMAGES | SERVED:
        model, dataset = random_model(**(IMAGES | SERVED)[name]), "shapes"
    else:
        variant, fields = VIDEOS[name]
        model, dataset = random_video_model(variant, **fields), "shapes_push"
    run = make_run(dataset=dataset, variant=model.config.variant)
    return model, dataclasses.replace(run, model=model.config)


def questions(name, model):
    """(signature, its arguments, what the live model answers) of all that the model can do; two
    images or videos each."""
    return (_of_images if name in IMAGES else _of_videos)(model)


def _of_images(model):
    config = model.config
    levels = random_levels(model, 2)
    conditions = random_conditions(model, 2) or {}
    terms = {k: np.asarray(v) for k, v in model.log_prob_terms(levels, conditions or None).items()}
    asked = given_as_tensors(conditions)
    yield "log_prob_terms", {"images": levels} | asked, terms
    if not config.missing_scales:
        uniforms = random_uniforms(
            model, 2, dtype="float64" if config.dtype == "float64" else "float32"
        )
        log_prob = np.asarray(model.log_prob(levels, conditions or None))
        yield "log_prob", {"images": levels} | asked, {"log_prob": log_prob}
        decoded = model.decode(uniforms, conditions or None)
        yield "decode", {"uniforms": uniforms} | asked, {"images": decoded}
        sampled = model.sample(2, conditions or None, seed=2**33 + 7)
        yield (
            "sample",
            {"seed": np.int64(2**33 + 7), "number": np.int32(2)} | asked,
            {"images": sampled},
        )
    for size in model.sizes[-2:-1] if config.missing_scales else model.sizes[:-1]:
        step = config.image_size[0] // size[0]
        low = levels[:, ::step, ::step]
        upscaled = model.upscale(low, conditions=conditions or None, seed=5)
        yield "upscale", {"low_resolution": low, "seed": np.int64(5)} | asked, {"images": upscaled}


def _of_videos(model):
    config, frames = model.config, random_frames(model, 2)
    given = frames[:, : config.given_frames]
    sequences = random_sequences(model, 2)
    asked = sequences or {}
    terms = {k: np.asarray(v) for k, v in model.log_prob_terms(frames, sequences).items()}
    yield "log_prob_terms", {"frames": frames} | asked, terms
    yield (
        "log_prob",
        {"frames": frames} | asked,
        {"log_prob": np.asarray(model.log_prob(frames, sequences))},
    )
    if model.upscales:
        low = frames[:, :, ::2, ::2]
        upscaled = model.upscale(low, given, seed=3)
        yield (
            "upscale",
            {"low_frames": low, "given_frames": given, "seed": np.int64(3)},
            {"frames": upscaled},
        )
        return
    uniforms = random_video_uniforms(model, 2, dtype="float32")
    decoded = model.decode(uniforms, given, sequences)
    yield "decode", {"uniforms": uniforms, "given_frames": given} | asked, {"frames": decoded}
    futures = {name: np.repeat(values, 3, axis=0) for name, values in asked.items()} or None
    sampled = model.sample(np.repeat(given, 3, axis=0), futures, seed=3)
    yield (
        "sample",
        {"seed": np.int64(3), "number": np.int32(3), "given_frames": given} | asked,
        {"frames": sampled},
    )


def given_as_tensors(conditions):
    """Conditions as a signature takes them."""
    return {
        name: np.array([caption.encode() for caption in values])
        if name == "text"
        else np.asarray(values, "int32" if name == "label" else "float32")
        for name, values in conditions.items()
    }
