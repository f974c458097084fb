"""Tests whether `bin/score` finds odd images: AUROC on tasks made from procedural pictures.

    bin/benchmark odd_images            # minutes

Usual images are from the test split of `shapes`. Odd images show a kind of shape that training
never shows (a ring or a moon) or a pair of kind and colour that it never shows, or they are test
images with a line or a square painted on them. Blank images and noise show what a likelihood alone
is worth.
"""

import numpy as np

from ms_pixelcnn_tf.cli import flags
from parts.pages import publish, table
from parts.parser import Parser

HELD_OUT = ("ring", "moon")
SCORES = {"bits_per_dim": "bits", "corrected_bits_per_dim": "less PNG", "peak_bits": "peak"}
TASKS = {
    "kind": "the main shape is of a kind that training never shows: a ring or a moon",
    "pair": "the main shape is of a pair of kind and colour that training never shows",
    "scratch": "a line across, two pixels wide, of one colour",
    "spot": "a square of 4x4 pixels of one colour",
    "blank": "one colour and nothing else",
    "noise": "uniform noise",
}


def usual(source, count):
    """Usual images: uint8 `[count, H, W, 3]` from the test split."""
    return source.examples("test", np.arange(count), ("image",))["image"]


def odd(task, source, count):
    """Odd images: uint8 `[count, H, W, 3]` of a task."""
    generator = np.random.default_rng(sorted(TASKS).index(task))
    colours = generator.integers(0, 256, (count, 3))
    if task == "pair":
        return source.examples("novel", np.arange(count), ("image",))["image"]
    if task == "blank":
        shape = (count, *source.image_size, 3)
        return np.broadcast_to(colours[:, None, None], shape).astype("uint8")
    if task == "noise":
        return generator.integers(0, 256, (count, *source.image_size, 3)).astype("uint8")
    # From other scenes than the usual images, so that none repeats a usual one.
    source = _held_out_kinds()(source.image_size) if task == "kind" else source
    images = source.examples("test", np.arange(count, 2 * count), ("image",))["image"].copy()
    if task == "kind":
        return images
    paint = {"scratch": _scratch, "spot": _spot}[task]
    for image, colour in zip(images, colours, strict=True):
        paint(image, colour, generator)
    return images


def auroc(of_usual, of_odd):
    """The chance that an odd image scores higher than a usual one; ties count half."""
    both = np.concatenate([of_usual, of_odd])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    number = len(of_odd)
    return float(
        (ranks[len(of_usual) :].sum() - number * (number + 1) / 2) / (number * len(of_usual))
    )


def measure(model, source, count, tasks=TASKS):
    """AUROC of each score on each task: dict task → dict score → AUROC."""

    def scored(images):
        from ms_pixelcnn_tf import pixels
        from ms_pixelcnn_tf.evaluation import scoring

        levels = pixels.quantise(images, model.config.num_levels)
        names = [str(number) for number in range(len(levels))]
        found = scoring.scores(
            names, levels, scoring.surprise(model, levels), model.config.num_levels
        )
        return {score: np.array([getattr(one, score) for one in found]) for score in SCORES}

    of_usual, results = scored(usual(source, count)), {}
    for task in tasks:
        of_odd = scored(odd(task, source, count))
        results[task] = {score: auroc(of_usual[score], of_odd[score]) for score in SCORES}
        print(task, results[task], flush=True)
    return results


def _held_out_kinds():
    from ms_pixelcnn_tf.data.procedural import raster
    from ms_pixelcnn_tf.data.procedural.shapes import Shapes

    class HeldOutKinds(Shapes):
        """`Shapes` whose main shape, and no other, is a ring or a moon."""

        def _image(self, scene, generator):
            self._main = scene.shapes[0]
            return super()._image(scene, generator)

        def _outline(self, shape):
            if shape is self._main:
                return raster.OUTLINES[HELD_OUT[shape.kind % len(HELD_OUT)]]
            return super()._outline(shape)

    return HeldOutKinds


def _scratch(image, colour, generator):
    height, width = image.shape[:2]
    row, other = generator.integers(0, height - 1, 2)
    for column in range(width):
        place = round(row + (other - row) * column / (width - 1))
        image[place : place + 2, column] = colour


def _spot(image, colour, generator):
    row, column = (generator.integers(0, side - 3) for side in image.shape[:2])
    image[row : row + 4, column : column + 4] = colour


def main(arguments):
    """Measures, and writes the page `odd_images`."""
    parser = Parser("odd_images", __doc__)
    parser.name("--model", "shapes-tiny", "an unconditional model of shapes, or its folder")
    parser.number("--count", 500, "images of each task")
    parser.add_argument("--only", choices=TASKS, help="(all)")
    options = parser.parse(arguments)
    with flags.quiet_start():
        from ms_pixelcnn_tf.pretrained import find
        from ms_pixelcnn_tf.runs.run import Run
    run = Run(find(options.model))
    tasks = [options.only] if options.only else TASKS
    results = {"auroc": measure(run.model(), run.source(), options.count, tasks)}
    publish(options, "odd_images", "Finding odd images", results, body)


def body(results):
    """The page's paragraphs."""
    settings, found = results["settings"], results["auroc"]
    columns = [
        ("what is odd", TASKS.get),
        *((name, lambda task, s=score: f"{found[task][s]:.3f}") for score, name in SCORES.items()),
    ]
    return [
        f"Model {settings['model']}, {settings['count']} usual images and as many odd ones a task.",
        "AUROC: the chance that an odd image scores higher than a usual one. Bits: the model's, "
        "per sub-pixel, as likelihoods rank. Less PNG: those less the bits of a PNG of the same "
        "pixels (Serrà et al., 2020). Peak, by which `bin/score` ranks by default: the mean of the "
        "most surprising hundredth of an image's sub-pixels.",
        table(columns, found),
    ]


if __name__ == "__main__":
    flags.run(main)
