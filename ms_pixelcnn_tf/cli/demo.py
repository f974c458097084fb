"""bin/demo: trains, evaluates and samples a small model in minutes, and times it against ON."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import ModelConfig, RunConfig, make_run
from ms_pixelcnn_tf.data.conditions import segmentation_maps
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.timing import REPEATS, median_seconds

DESCRIPTION = "the whole way in minutes: train, evaluate, time against ON, draw."
STEPS = 1800
RECIPE = {
    "dataset": "shapes",
    "preset": "tiny",
    "image_size": 32,
    "base_size": 4,
    # 5 bits: with 8, two thirds of the time would go into 256-way logits, and the model would
    # mostly learn the sensor's noise.
    "num_levels": 32,
    # The places and kinds of the shapes are given; the model chooses colours, light and ground.
    "conditions": "segmentation",
    "spatial_features": 24,
    "spatial_blocks": 2,
    "log_every": 20,
    "evaluate_every": 600,
    "evaluation_examples": 200,
    "checkpoint_every": 600,
    "sample_every": 600,
}
ROWS = 4  # of samples, each with one of every kind; all are sampled at once
LOOKED_AT = 200  # validation images among which segmentations are chosen
SCALE = 4  # magnification of the pictures
MARKER = ".demo"  # marks a run folder that the demo made and may remove


def main(arguments: Sequence[str]) -> None:
    """Runs the demo."""
    parser = flags.Parser("demo", DESCRIPTION)
    parser.add_argument(
        "--out", default="demo", metavar="DIR", help="where all goes (default demo)"
    )
    parser.add_argument(
        "--steps",
        type=flags.positive,
        default=STEPS,
        metavar="INT",
        help=f"training steps (default {STEPS})",
    )
    options = parser.parse(arguments)
    out = Path(options.out)
    workdir = out / "run"
    run = make_run(variant="OlogN", steps=options.steps, **RECIPE)

    with flags.quiet_start():
        from ms_pixelcnn_tf import pixels
        from ms_pixelcnn_tf.drawing import contact_sheet, grids
        from ms_pixelcnn_tf.evaluation.splits import evaluate
        from ms_pixelcnn_tf.generation.prompts import Names, Prompt, to_conditions
        from ms_pixelcnn_tf.models import MultiscalePixelCNN
        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training import loop
        from ms_pixelcnn_tf.training.monitor import TENSORBOARD
    started = time.perf_counter()
    source = load_source(run)
    run = loop.fit_to_source(run, source)
    assert isinstance(run.model, ModelConfig)
    clear(workdir, run)
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / MARKER).touch()
    print(f"data: {source.description}")
    print(
        f"training OlogN for {run.train.steps} steps of {run.train.batch_size} images of "
        f"{run.model.num_levels} levels a sub-pixel",
        flush=True,
    )
    model = loop.train(run, workdir, source)
    result = evaluate(model, source, "validation", run.train.batch_size)

    print("timing the samplers", flush=True)
    classes = source.class_names
    prompts = [Prompt(segmentation=maps) for maps in segmentations(source)]
    batch, conditions = len(prompts), to_conditions(prompts, run.model)
    samples = model.sample(batch, conditions, seed=0)
    seconds = median_seconds(lambda: model.sample(batch, conditions, seed=0))
    baseline = MultiscalePixelCNN(make_run(variant="ON", **RECIPE).model)
    cached = median_seconds(lambda: baseline.sample(batch, seed=0))
    height, width = run.model.image_size
    evaluations = height * width * run.model.channels
    naive = seconds_of_evaluation(baseline, batch) * evaluations

    pyramid = [pixels.dequantise(s, run.model.num_levels) for s in model.trajectory(samples)]
    grid = grids.grid(pyramid[-1], columns=len(classes), scale=SCALE)
    grids.write_png(out / "samples.png", grid)
    size, names = run.model.image_size, Names(segments=classes)
    panels, trajectories = [], []
    for row, prompt in enumerate(prompts[: len(classes)]):
        panels.append(contact_sheet.panel(prompt, names, size, size[1] * SCALE))
        trajectories.append(grids.trajectory([s[row : row + 1] for s in pyramid], SCALE))
    rows = out / "trajectory.png"
    grids.write_png(rows, contact_sheet.beside(panels, trajectories))
    smallest = "x".join(map(str, pyramid[0].shape[1:3]))
    print(f"""
validation    {result.bits_per_dim:.3f} bits per sub-pixel over {result.examples} images
sampling      {batch} images of {height}x{width}, {count(model)} and {count(baseline)} parameters
  OlogN       {seconds:.3f} s
  ON, cached  {cached:.3f} s ({cached / seconds:.1f} times as long)
  ON, naive   {naive:.0f} s ({naive / seconds:.0f} times as long): {evaluations} evaluations of the
              network, extrapolated from {REPEATS} that were timed; ON is untrained, which takes as
              long
samples       {out / "samples.png"}, a column each by the largest shape: {", ".join(classes)}
trajectories  {rows}, the segmentation asked for and the pyramid from {smallest} up
TensorBoard   {workdir / TENSORBOARD}
all of it     {time.perf_counter() - started:.0f} s""")


def segmentations(source: Source) -> np.ndarray:
    """Segmentation maps of validation images: `ROWS` per kind of largest shape, kinds in turn."""
    indices = np.arange(LOOKED_AT)
    labels = source.examples("validation", indices, ("label",))["label"]
    chosen = np.stack(
        [indices[labels == label][:ROWS] for label in range(source.num_classes)], axis=1
    ).ravel()
    values = source.examples("validation", chosen, ("segmentation",))["segmentation"]
    return segmentation_maps(values, source.num_segments)


def clear(workdir: Path, run: RunConfig) -> None:
    """Removes an earlier demo's run, unless it was interrupted and can be resumed.

    Raises:
        UserError: if the folder is not empty and not the demo's.
    """
    from ms_pixelcnn_tf.runs.checkpoint import latest_step
    from ms_pixelcnn_tf.runs.run import Run

    if not workdir.is_dir() or not any(workdir.iterdir()):
        return
    if not (workdir / MARKER).exists():
        raise UserError(f"{workdir} holds files that are not the demo's; give another --out")
    try:
        if Run(workdir).config == run and latest_step(workdir) < run.train.steps:
            return
    except UserError:  # written by another version
        pass
    shutil.rmtree(workdir)


def seconds_of_evaluation(model: Any, batch: int) -> float:
    """Median seconds of one evaluation of ON's network on `batch` images, compiled."""
    import tensorflow as tf

    config = model.config
    levels = tf.zeros((batch, *config.image_size, config.channels), tf.int32)
    evaluate = tf.function(lambda levels: model.base(levels, None), autograph=False)
    return median_seconds(lambda: evaluate(levels).numpy())


def count(model: Any) -> str:
    """The number of parameters in millions, as text."""
    return f"{model.count_params() / 1e6:.2f} M"


if __name__ == "__main__":
    flags.run(main)
