"""Scheduled sampling: trains video models to predict frames from their own samples, too.

A model that has seen only true frames drifts when it samples, because each error leads to the next.
`past_samples` passes replace past frames with samples, each pass one frame further from true ones.

Reference: Bengio et al. (2015), "Scheduled Sampling"; in passes, not frame by frame, as in
Mihaylova and Martins (2019).
"""

import keras
import tensorflow as tf

from ms_pixelcnn_tf.configs import TrainConfig
from ms_pixelcnn_tf.types import Tensor


def choose(batch: dict[str, Tensor], step: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """Adds "chosen", the frames that each pass replaces, to a batch with "chances" (uniforms).

    In the first half of the steps it chooses none. Then their share grows linearly, up to
    `past_samples_share`.
    """
    if "chances" not in batch:
        return batch
    progress = tf.cast(step, tf.float64) / config.steps
    return batch | {"chosen": batch["chances"] < config.past_samples_share * (2 * progress - 1)}


def sample_past(model: keras.Model, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Adds "past_frames", the frames with the chosen ones sampled, to a batch with "chosen"."""
    if "chosen" not in batch:
        return batch
    frames, times = batch["frames"], tf.range(model.config.num_frames)
    predicts = (times >= model.config.given_frames) & (times < model.config.num_frames - 1)
    chosen = batch["chosen"] & predicts
    conditions = {field: batch[field] for field in model.config.conditions}
    past_frames = tf.cond(
        tf.reduce_any(chosen),
        lambda: model.sampled_past(frames, batch["uniforms"], chosen, conditions),
        lambda: tf.cast(frames, tf.int32),  # nothing to sample, so no time is lost
    )
    return batch | {"past_frames": past_frames}
