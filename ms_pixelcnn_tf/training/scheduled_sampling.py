"""Scheduled sampling: video models are trained to predict frames from their own samples, too.

A model that has only seen true frames drifts when it samples, because each fault leads to the next.
`past_samples` passes replace past frames by samples, each a frame further from the true ones.

Reference: Bengio et al. (2015), "Scheduled Sampling"; in passes, not frame by frame, as in
Mihaylova and Martins (2019).
"""

import keras
import tensorflow as tf

from ms_pixelcnn_tf.configs import TrainConfig
from ms_pixelcnn_tf.types import Tensor


def choose(batch: dict[str, Tensor], step: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """Adds "chosen" to a batch with "chances" (uniforms): which frames each pass replaces.

    None are in the first half of the steps. Then their share grows evenly, up to
    `past_samples_share`.
    """
    if "chances" not in batch:
        return batch
    progress = tf.cast(step, tf.float64) / config.steps
    return batch | {"chosen": batch["chances"] < config.past_samples_share * (2 * progress - 1)}


def sample_past(model: keras.Model, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Adds "past_frames" to a batch with "chosen": the frames with the chosen ones sampled."""
    if "chosen" not in batch:
        return batch
    frames, times = batch["frames"], tf.range(model.config.num_frames)
    predicts = (times >= model.config.given_frames) & (times < model.config.num_frames - 1)
    chosen = batch["chosen"] & predicts
    conditions = {field: batch[field] for field in model.config.conditions}
    past_frames = tf.cond(
        tf.reduce_any(chosen),
        lambda: model.sampled_past(frames, batch["uniforms"], chosen, conditions),
        lambda: tf.cast(frames, tf.int32),  # nothing to sample: the step is as fast as without
    )
    return batch | {"past_frames": past_frames}
