"""Pictures of a model: samples and prompts, pyramids, super-resolution, surprise, film strips.

The prompts come from the first examples of a split, so that the pictures of two models can be
compared.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.data.batches.pipeline import evaluation_batches, iterate
from ms_pixelcnn_tf.data.conditions import segmentation_maps
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.drawing import contact_sheet, film, grids
from ms_pixelcnn_tf.evaluation import scoring
from ms_pixelcnn_tf.generation.prompts import Names, Prompt, to_conditions

IMAGES = 16  # in a grid
PROMPTS = 4  # rows with a prompt, and samples per row
TRAJECTORIES = 4
UPSCALED = 3  # images, and samples per image
CLIPS = 2  # in a strip
PANEL_SIDE = 128  # width of a prompt, pixels
SIDE = 64  # width up to which small images are magnified, pixels


@dataclasses.dataclass(frozen=True)
class Shown:
    """Pictures of a model, and levels to compare its samples with real examples.

    Attributes:
        pictures: name → uint8 `[H, W, 3]`: "samples", and "trajectories" if the model has several
            scales.
        sampled, real: uint8 levels of samples and of real examples, any shape.
    """

    pictures: dict
    sampled: np.ndarray
    real: np.ndarray


def show(model: Any, source: Source, seed: int, split: str = "validation") -> Shown:
    """Samples a model and draws the samples.

    Args:
        model: an image model, or a video model, whose samples are drawn below the real clips.
        source: the `data.Source` whose examples give the prompts.
        seed: seed of the samples.
        split: split of the source.
    """
    if source.is_video:
        real, made = clips(model, source, seed, split)
        given = model.config.given_frames
        return Shown({"samples": strip(model.config, real, made)}, made[:, given:], real[:, given:])
    prompts = asked(model.config, source, IMAGES, split)
    beside = bool(set(model.config.conditions) - {"label"})
    if beside:
        prompts = [prompt for prompt in prompts[:PROMPTS] for _ in range(PROMPTS)]
    levels = model.sample(len(prompts), to_conditions(prompts, model.config) or None, seed=seed)
    shown = {"samples": samples(model.config, source, levels, prompts if beside else None)}
    if len(model.sizes) > 1:
        shown["trajectories"] = trajectories(model, source, levels, prompts if beside else None)
    return Shown(shown, levels, _levels(model.config, source, split, IMAGES))


# -- images ---------------------------------------------------------------------------------------


def asked(config: Any, source: Source, count: int, split: str = "validation") -> list[Prompt]:
    """A list of `count` prompts: labels in turn, everything else from the first examples.

    Args:
        config: the model's `ModelConfig`.
        source: the `data.Source`.
        count: number of prompts; if the split has fewer examples, they repeat.
        split: split of the source.
    """
    fields = tuple(name for name in config.conditions if name != "label")
    indices = np.arange(count) % source.size(split)
    found: dict[str, Any] = {**source.examples(split, indices, fields)} if fields else {}
    if "text" in found:
        found["text"] = [str(captions[0]) for captions in found["text"]]
    if "segmentation" in found:
        found["segmentation"] = segmentation_maps(found["segmentation"], config.num_segments)
    if config.num_classes:
        found["label"] = [int(index) % config.num_classes for index in range(count)]
    return [Prompt(**{name: found[name][row] for name in found}) for row in range(count)]


def samples(
    config: Any, source: Source, levels: np.ndarray, prompts: Sequence[Prompt] | None = None
) -> np.ndarray:
    """Draws samples in a grid; with prompts, in rows of `PROMPTS`, each next to its prompt."""
    images = pixels.dequantise(levels, config.num_levels)
    scale = _scale(config.image_size)
    if prompts is None:
        return grids.grid(images, scale=scale)
    rows = range(0, len(prompts), PROMPTS)
    drawn = [grids.grid(images[row : row + PROMPTS], PROMPTS, scale) for row in rows]
    return contact_sheet.beside([_panel(config, source, prompts[row]) for row in rows], drawn)


def trajectories(
    model: Any, source: Source, levels: np.ndarray, prompts: Sequence[Prompt] | None = None
) -> np.ndarray:
    """Draws the pyramids of some samples, one per row, base at the left (Figures 1, 4 to 6)."""
    config, step = model.config, PROMPTS if prompts else 1
    scales = [
        pixels.dequantise(scale, config.num_levels)
        for scale in model.trajectory(levels[::step][:TRAJECTORIES])
    ]
    if prompts is None:
        return grids.trajectory(scales, _scale(config.image_size))
    rows = [
        grids.trajectory([scale[row : row + 1] for scale in scales], _scale(config.image_size))
        for row in range(len(scales[0]))
    ]
    panels = [_panel(config, source, prompt) for prompt in prompts[::step][:TRAJECTORIES]]
    return contact_sheet.beside(panels, rows)


def upscaled(
    model: Any, source: Source, seed: int, start: int, split: str = "validation"
) -> np.ndarray:
    """Draws one row per image: its sub-sampled pixels, itself, and samples from them (Figure 7).

    Args:
        model: an image model that holds all scales above `start`.
        start: index in `model.sizes` of the given size.
    """
    config = model.config
    real = _levels(config, source, split, UPSCALED)
    step = config.image_size[0] // model.sizes[start][0]
    low = real[:, ::step, ::step]
    prompts = _own_prompts(config, source, len(real), split)
    conditions = to_conditions([prompt for prompt in prompts for _ in range(UPSCALED)], config)
    made = model.upscale(np.repeat(low, UPSCALED, axis=0), conditions=conditions or None, seed=seed)
    made = made.reshape(len(real), UPSCALED, *made.shape[1:])
    low, real, made = (pixels.dequantise(each, config.num_levels) for each in (low, real, made))
    return grids.upscaled(list(low), list(real), made, _scale(config.image_size))


def surprises(model: Any, source: Source, split: str = "validation") -> tuple[np.ndarray, float]:
    """Draws some images, each next to its surprise.

    Returns:
        uint8 `[H, W, 3]`, and the bits per sub-pixel that the brightest colour stands for.
    """
    config = model.config
    real = _levels(config, source, split, UPSCALED)
    prompts = _own_prompts(config, source, len(real), split)
    bits = scoring.surprise(model, real, to_conditions(prompts, config) or None)
    highest = max(float(np.quantile(bits.mean(axis=-1), 0.995)), 1e-6)
    rows = [
        grids.heat_map(
            pixels.dequantise(image, config.num_levels), own, highest, _scale(config.image_size)
        )
        for image, own in zip(real, bits, strict=True)
    ]
    return np.concatenate(rows), highest


def _own_prompts(config, source, count, split):
    """`asked`, but with the examples' own labels instead of labels in turn."""
    prompts = asked(config, source, count, split)
    if not config.num_classes:
        return prompts
    labels = source.examples(split, np.arange(count), ("label",))["label"]
    return [
        prompt._replace(label=int(label)) for prompt, label in zip(prompts, labels, strict=True)
    ]


def _panel(config, source, prompt):
    names = Names(source.class_names, source.keypoint_names, source.segment_names)
    return contact_sheet.panel(prompt, names, config.image_size, PANEL_SIDE)


# -- videos ---------------------------------------------------------------------------------------


def clips(
    model: Any, source: Source, seed: int, split: str = "validation"
) -> tuple[np.ndarray, np.ndarray]:
    """The first clips, and samples that continue their given frames: each uint8 levels
    `[n, T, H, W, C]`."""
    config = model.config
    batch = _first(config, source, split, CLIPS, ("frames", *config.conditions))
    real, given = batch["frames"], batch["frames"][:, : config.given_frames]
    if config.variant == "OT_upscaler":
        return real, model.upscale(real[:, :, ::2, ::2], given, seed=seed)
    conditions = {name: batch[name] for name in config.conditions}
    return real, np.concatenate([given, model.sample(given, conditions or None, seed=seed)], axis=1)


def strip(config: Any, real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Draws real clips, each above a sample (Figure 12)."""
    shown = pixels.dequantise(np.stack([real, made], axis=1), config.num_levels)
    return film.strip(shown, ("real", "sample"), config.given_frames, _scale(config.image_size))


# -- both -----------------------------------------------------------------------------------------


def _levels(config, source, split, count):
    """The first real images or clips, as uint8 levels."""
    field = source.example_field
    return _first(config, source, split, count, (field,))[field]


def _first(config, source, split, count, fields):
    """The first examples: dict field → array."""
    examples = evaluation_batches(
        source,
        split=split,
        batch_size=count,
        num_levels=config.num_levels,
        fields=fields,
        limit=count,
    )
    return {name: np.asarray(values) for name, values in next(iterate(examples)).items()}


def _scale(size):
    """Magnification for images of a size."""
    return max(1, SIDE // size[1])
