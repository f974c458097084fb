"""What a run shows of its model while it trains: a grid of images, or a strip of film."""

import numpy as np

from ms_pixelcnn_tf import film, pictures, pixels
from ms_pixelcnn_tf.data.pipeline import evaluation_batches, iterate

IMAGES = 16  # in a grid
CLIPS = 2  # in a strip
MAGNIFICATION = 2


def sample_picture(model, source, seed):
    """A picture of samples: uint8 `[H, W, 3]`.

    Args:
        model: an image model, or a video model, whose clips stand below the real ones.
        source: the `data.Source` that conditions are taken from, and what is given of videos.
        seed: of the samples.
    """
    return (_film if source.is_video else _grid)(model, source, seed)


def _grid(model, source, seed):
    levels = model.sample(IMAGES, _conditions(model.config, source), seed=seed)
    images = pixels.dequantise(levels, model.config.num_levels)
    return pictures.grid(images, scale=MAGNIFICATION)


def _conditions(config, source):
    """Labels in turn; other conditions as the first validation examples have them."""
    wanted = [name for name in config.conditions if name != "label"]
    conditions = {}
    if wanted:
        batch = _first(config, source, IMAGES, tuple(wanted))
        rows = np.arange(IMAGES) % len(batch[wanted[0]])
        conditions = {name: batch[name][rows] for name in wanted}
    if config.num_classes:
        conditions["label"] = np.arange(IMAGES, dtype="int32") % config.num_classes
    return conditions


def _film(model, source, seed):
    """The first validation clips, each above what the model makes of its start."""
    config = model.config
    batch = _first(config, source, CLIPS, ("frames", *config.conditions))
    real, given = batch["frames"], batch["frames"][:, : config.given_frames]
    if config.variant == "OT_upscaler":
        made = model.upscale(real[:, :, ::2, ::2], given, seed=seed)
    else:
        conditions = {name: batch[name] for name in config.conditions}
        made = np.concatenate([given, model.sample(given, conditions, seed=seed)], axis=1)
    clips = pixels.dequantise(np.stack([real, made], axis=1), config.num_levels)
    return film.strip(clips, ("real", "sample"), config.given_frames, MAGNIFICATION)


def _first(config, source, count, fields):
    """The first validation examples: dict field → array."""
    examples = evaluation_batches(
        source, split="validation", batch_size=count, num_levels=config.num_levels, fields=fields,
        limit=count,
    )
    return {name: np.asarray(values) for name, values in next(iterate(examples)).items()}
