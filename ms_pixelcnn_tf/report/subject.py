"""The contents of a report on one run, read from its folder or measured."""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.drawing import animation, showcase
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.splits import Evaluation, evaluate
from ms_pixelcnn_tf.evaluation.timing import median_seconds
from ms_pixelcnn_tf.runs import card, scales
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.types import AnyPath

BATCHES = (1, 16)  # sizes of the batches that are timed
FILM_SCALE = 3


@dataclasses.dataclass
class Subject:
    """One run in a report.

    Attributes:
        name: short name, different from the other runs'.
        run: its `RunConfig`.
        data: description of its data.
        curves: part of the run ("" for a whole run) → lines of its metrics.jsonl.
        card: card of an export or of a shipped model; empty for other runs.
        model: the model, with its weights.
        source: its data, or None if the data cannot be loaded.
        reason: why the data cannot be loaded.
    """

    name: str
    run: RunConfig
    data: str
    curves: dict
    card: dict
    model: Any
    source: Source | None = None
    reason: str = ""

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return int(self.model.count_params())

    @property
    def is_whole(self) -> bool:
        """Whether the model holds all scales, so that it can sample and score whole images."""
        return not self.run.model.missing_scales

    def evaluations(self, examples: int) -> dict[str, Evaluation]:
        """Scores the first `examples` examples of each split: split → `Evaluation`."""
        if self.source is None:
            return {}
        batch_size = self.run.train.examples_at_once
        return {
            split: evaluate(self.model, self.source, split, batch_size, limit=examples)
            for split in self.source.splits
            if self.source.size(split)
        }

    def speeds(self) -> list[tuple[str, int, float, float]]:
        """Rows of the sampling table: method, batch size, seconds per frame, and the time as a
        multiple of the likelihood's."""
        if not self.is_whole:
            return []
        return (
            self._video_speeds if self.run.model.variant.startswith("OT") else self._image_speeds
        )()

    def _image_speeds(self):
        config, rows = self.model.config, []
        for batch in BATCHES:
            prompts = showcase.asked(config, self.source, batch) if self.source else None
            if config.conditions and prompts is None:
                return []
            conditions = showcase.to_conditions(prompts or [], config) or None
            levels = np.zeros((batch, *config.image_size, config.channels), "uint8")
            score = functools.partial(self.model.log_prob, levels, conditions)
            scored = median_seconds(lambda score=score: np.asarray(score()))
            sampled = median_seconds(functools.partial(self.model.sample, batch, conditions))
            rows.append(("sample", batch, sampled / batch, sampled / scored))
            if config.variant == "ON":
                evaluations = math.prod(levels.shape[1:])
                rows.append(
                    (
                        f"naive: {evaluations:,} evaluations, extrapolated from a likelihood's "
                        "time",
                        batch,
                        scored * evaluations / batch,
                        evaluations,
                    )
                )
        return rows

    def _video_speeds(self):
        config = self.model.config
        shape = (*config.image_size, config.channels)
        frames = np.zeros((1, config.num_frames, *shape), "uint8")
        conditions = {
            name: np.zeros((1, config.num_frames, size), "float32")
            for name, size in (("actions", config.action_size), ("states", config.state_size))
            if name in config.conditions
        } or None
        given = frames[:, : config.given_frames]
        if self.model.upscales:
            sampled = median_seconds(lambda: self.model.upscale(frames[:, :, ::2, ::2], given))
        else:
            sampled = median_seconds(lambda: self.model.sample(given, conditions))
        scored = median_seconds(lambda: np.asarray(self.model.log_prob(frames, conditions)))
        return [("sample", 1, sampled / config.predicted_frames, sampled / scored)]

    def pictures(self, seed: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (caption, picture): uint8 `[H, W, 3]`, or `[T, H, W, 3]` for a film."""
        if self.source is None or not self.is_whole:
            return
        model, config = self.model, self.model.config
        split = "validation"
        if self.source.is_video:
            real, made = showcase.clips(model, self.source, seed, split)
            yield (
                f"First clips of {split}, and samples of their starts",
                showcase.strip(config, real, made),
            )
            clips = pixels.dequantise(np.stack([real, made], axis=1), config.num_levels)
            yield (
                "The same, moving",
                animation.animate(clips, ("real", "sample"), config.given_frames, FILM_SCALE),
            )
            return
        shown = showcase.show(model, self.source, seed, split)
        beside = set(config.conditions) - {"label"}
        yield (f"Samples{' and what was asked for' if beside else ''}", shown.pictures["samples"])
        if "trajectories" in shown.pictures:
            sizes = ", ".join("x".join(map(str, size)) for size in model.sizes)
            yield f"The pyramid of samples: {sizes}", shown.pictures["trajectories"]
        for start, size in enumerate(model.sizes[:-1]):
            low = "x".join(map(str, size))
            yield (
                f"Super-resolution: {low} pixels of a {split} image, the image, and three samples",
                showcase.upscaled(model, self.source, seed, start, split),
            )
        heat, highest = showcase.surprises(model, self.source, split)
        yield (
            f"Surprise, −log p of each pixel's sub-pixels: black 0, yellow {highest:.1f} bits and "
            "more",
            heat,
        )


def read(
    workdir: AnyPath, name: str, data_dir: str | None = None, checkpoint: str = "last"
) -> Subject:
    """Reads the `Subject` of a run folder.

    Raises:
        UserError: if the folder has no run or no checkpoint.
    """
    run = Run(workdir)
    sheet, apart = run.datasheet, scales.parts(workdir)
    curves = {folder.name: read_metrics(folder) for folder in apart} or {"": run.curve}
    found = Subject(
        name,
        run.config,
        sheet["description"] if sheet else run.config.data.dataset,
        curves,
        card.read(workdir) or {},
        run.model(checkpoint=checkpoint),
    )
    try:
        found.source = run.source(data_dir) if sheet else load_source(run.config, data_dir)
    except (UserError, OSError) as error:
        found.reason = str(error)
    return found


def names(workdirs: Sequence[AnyPath]) -> list[str]:
    """One name per folder: the last parts of its path, as many as make all names different, and at
    least two if one ends in an export's version. Raises UserError for a folder given twice."""
    parts_of = [pathlib.Path(workdir).absolute().parts for workdir in workdirs]
    shortest = 2 if any(each[-1].isdecimal() for each in parts_of) else 1
    for length in range(shortest, max(map(len, parts_of)) + 1):
        found = ["/".join(each[-length:]) for each in parts_of]
        if len(set(found)) == len(found):
            return found
    raise UserError(f"workdir {workdirs[0]} is given twice; give each run once")
