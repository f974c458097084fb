"""A run's folder without a checkpoint, and a model that stands in for its own."""

import json

import numpy as np

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.runs import datasheet
from ms_pixelcnn_tf.runs.folder import CONFIG
from ms_pixelcnn_tf.runs.run import Run
from support.models import small_image

# Of a model that is built in a second.
SMALL = small_image(image_size=16, base_size=8, base_layers=1, channels=3, num_levels=16)
CLASSES, PARTS, SEGMENTS = ("circle", "star"), ("beak", "tail", "wing"), ("sky", "sea")


class FakeModel:
    """Samples that are noise, and keep what they are given; remembers what it was asked."""

    def __init__(self, config):
        self.config = config
        self.calls = []

    def sample(self, num, conditions, seed):
        self.calls.append(conditions)
        shape = (num, *self.config.image_size, self.config.channels)
        return np.random.default_rng(seed).integers(0, self.config.num_levels, shape, "uint8")

    def trajectory(self, images):
        return pixels.pyramid(images, len(self.config.sizes))

    def upscale(self, low_resolution, to, conditions=None, uniforms=None, seed=0):
        self.calls.append((low_resolution.shape, conditions))
        assert uniforms.shape == (len(low_resolution), *to, self.config.channels)
        images = (uniforms * self.config.num_levels).astype("uint8")
        factor = to[0] // low_resolution.shape[1]
        images[:, ::factor, ::factor] = low_resolution
        return images


def make_fake_run(workdir, monkeypatch, **overrides):
    """Writes a run's folder; its model is a `FakeModel`, which is returned."""
    run = make_run(preset="tiny", **({"image_size": 16, "base_size": 4} | overrides))
    workdir.mkdir(exist_ok=True)
    (workdir / CONFIG).write_text(run.to_json())
    (workdir / datasheet.DATASHEET).write_text(
        json.dumps(
            {
                "description": "fake",
                "class_names": CLASSES[: run.model.num_classes],
                "keypoint_names": PARTS[: run.model.num_keypoints],
                "segment_names": SEGMENTS[: run.model.num_segments],
                "examples": {},
                "fingerprint": "",
            }
        )
    )
    model = FakeModel(run.model)
    monkeypatch.setattr(Run, "model", lambda self, **options: model)
    return model


def use_real_model(monkeypatch, config):
    """Has the run's model be a `MultiscalePixelCNN`, untrained."""
    monkeypatch.setattr(Run, "model", lambda self, **options: MultiscalePixelCNN(config))
