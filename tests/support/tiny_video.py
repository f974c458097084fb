"""Videos, and a run of them, small enough that a test trains on them in seconds."""

import numpy as np

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.data.source import Source

MODEL = {
    "image_size": 4,
    "base_size": 2,
    "channels": 1,
    "num_levels": 4,
    "num_frames": 4,
    "given_frames": 2,
    "action_size": 3,
    "state_size": 2,
    "frame_blocks": 1,
    "frame_features": 4,
    "frame_stride": 1,
    "lstm_features": 4,
    "frame_decoder_blocks": 1,
    "base_layers": 1,
    "base_features": 4,
    "first_kernel": 3,
    "residual_blocks": 1,
    "features": 4,
    "head_features": 4,
    "num_mixtures": 2,
}
TRAIN = {
    "batch_size": 4,
    "steps": 4,
    "ema_decay": 0.9,
    "log_every": 2,
    "evaluate_every": 2,
    "checkpoint_every": 2,
    "sample_every": 0,
    "learning_rate": 0.01,
    "warmup_steps": 2,
    "crop_size": 0,
}
SIZES = {"train": 13, "validation": 5, "test_novel": 3}
STEPS = 7  # of a sequence, of which a clip is cut


class TinyFilm(Source):
    """Gray videos of noise, with actions of three and states of two numbers."""

    name = "tiny_film"
    channels = 1
    is_video = True
    takes_places = True
    splits = tuple(SIZES)
    action_size, state_size = 3, 2
    lateral = {"actions": (0, 2), "states": (1,)}
    mirrored_fields = ("frames", "actions", "states")

    def __init__(self, side=4, num_frames=4):
        self.image_size, self.num_frames = (side, side), num_frames
        self.description = f"tiny_film (gray {side}x{side}, made for tests)"
        generator = np.random.default_rng(0)
        self.sequences = {
            split: {
                "frames": generator.integers(0, 256, (count, STEPS, side, side, 1), dtype="uint8"),
                "actions": generator.normal(size=(count, STEPS, 3)).astype("float32"),
                "states": generator.normal(size=(count, STEPS, 2)).astype("float32"),
            }
            for split, count in SIZES.items()
        }

    def size(self, split):
        self.check_split(split)
        return SIZES[split]

    def examples(self, split, indices, fields=None, places=None):
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, ("frames", "actions", "states"))
        starts = np.zeros(len(indices)) if places is None else places[:, 0]
        steps = (starts * (STEPS - self.num_frames + 1)).astype(int)[:, None]
        steps = steps + np.arange(self.num_frames)
        return {field: self.sequences[split][field][indices[:, None], steps] for field in fields}


def tiny_video_run(variant="OT", **overrides):
    """The run's configuration."""
    output = "dmol" if variant in ("OT", "OT_upscaler") else "softmax"
    fields = MODEL | TRAIN | {"output": output} | overrides
    return make_run("tiny_film", variant, **fields)
