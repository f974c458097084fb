"""What a model is shown by: samples beside what was asked for, pyramids, upscaled images, film.

All of it is asked for by the first examples of a split, so that the pictures of two models can be
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
PROMPTS = 4  # rows beside what they ask for, of as many samples
TRAJECTORIES = 4
UPSCALED = 3  # images, with as many samples each
CLIPS = 2  # in a strip
PANEL_SIDE = 128  # width of a prompt, pixels
SIDE = 64  # width to which small images are magnified, at least


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a model made.

    Attributes:
        pictures: name → uint8 `[H, W, 3]`: "samples"; of models of several scales "trajectories".
        sampled, real: uint8 levels of samples and of real examples, any shape.
    """

    pictures: dict
    sampled: np.ndarray
    real: np.ndarray


def show(model: Any, source: Source, seed: int, split: str = "validation") -> Shown:
    """Draws samples of a model.

    Args:
        model: an image model, or a video model, whose clips stand below the real ones.
        source: the `data.Source` whose examples ask for them.
        seed: of the samples.
        split: of the source.
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
    """A list of `count` prompts: labels in turn, everything else as the first examples have it.

    Args:
        config: the model's `ModelConfig`.
        source: the `data.Source`.
        count: prompts; where the split has fewer examples they come again.
        split: of the source.
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
    """A grid of samples; with prompts, which are of `PROMPTS` in a row, each row beside its own."""
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
    """The pyramid of some samples, a row each, base to the left (Figures 1, 4 to 6)."""
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
    """A row an image: few of its pixels, itself, and what the model makes of the few (Figure 7).

    Args:
        model: an image model that holds all scales above `start`.
        start: number in `model.sizes` of the size that is given.
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
    """Some images, each beside the bits that its sub-pixels cost, and the bits of the brightest.

    Returns:
        uint8 `[H, W, 3]`, and bits.
    """
    config = model.config
    real = _levels(config, source, split, UPSCALED)
    prompts = _own_prompts(config, source, len(real), split)
    bits = scoring.surprise(model, real, to_conditions(prompts, config) or None)
    highest = max(float(np.quantile(bits.mean(axis=-1), 0.995)), 1e-6)
    rows = [
        grids.heat_map(image, own, config.num_levels, highest, _scale(config.image_size))
        for image, own in zip(real, bits, strict=True)
    ]
    return np.concatenate(rows), highest


def _own_prompts(config, source, count, split):
    """`asked`, but with the examples' own labels, not labels in turn."""
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
    """The first clips, and the model's samples from their starts: uint8 levels `[n, T, H, W, C]`
    each."""
    config = model.config
    batch = _first(config, source, split, CLIPS, ("frames", *config.conditions))
    real, given = batch["frames"], batch["frames"][:, : config.given_frames]
    if config.variant == "OT_upscaler":
        return real, model.upscale(real[:, :, ::2, ::2], given, seed=seed)
    conditions = {name: batch[name] for name in config.conditions}
    return real, np.concatenate([given, model.sample(given, conditions or None, seed=seed)], axis=1)


def strip(config: Any, real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Real clips, each above a sample (Figure 12)."""
    shown = pixels.dequantise(np.stack([real, made], axis=1), config.num_levels)
    return film.strip(shown, ("real", "sample"), config.given_frames, _scale(config.image_size))


# -- both -----------------------------------------------------------------------------------------


def _levels(config, source, split, count):
    """The first real examples, uint8 levels; of videos the clips."""
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
    """Magnification of images of a size."""
    return max(1, SIDE // size[1])
