"""Times the samplers of the paper's Table 4, and those that the paper left out.

    bin/benchmark table4                      # images and videos; an hour
    bin/benchmark table4 --only=images        # 32x32, batch 30 and batch 1
    bin/benchmark table4 --only=videos        # 64x64, 18 frames sampled
    bin/benchmark table4 --only=sizes         # one image: OlogN 16x16 to 512x512, ON to 64x64

Images: `ON`, naive (one full evaluation per sub-pixel) and cached; `OlogN` of type A and B, in one
graph and as a Python loop over compiled steps; with a softmax and with a DMOL. The paper's own type
A, with all departures off, is timed for comparison with the paper's 105x.
Videos: `OTN`, naive and cached; `OT` and `OTlogN`, in one graph and with one compiled call per
frame, also with a frame encoder at half size (`--frame_stride=2` of `bin/train`); `OT_baseline`.
Sizes: O(log N) for `OlogN` of type A against O(N) for cached `ON`.

Each row is a process of its own, which also measures the likelihood of the same model. The naive
samplers are timed over a few evaluations in one compiled loop and extrapolated, without the
decoding of the sub-pixels, which flatters them; cached OTN is timed over one frame. Widths and
depths are those of Reed et al. (2017), sections 4.2 and 4.3. It runs on `KERAS_BACKEND=jax` too.
"""

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import machine, paper_models, sizes, speed
from parts.pages import publish
from parts.parser import Parser

PARTS = ("images", "videos", "sizes")


def parse(arguments):
    """Flags → an argparse namespace; `batches`, `outputs`, `sizes` and `on_sizes` are lists."""
    parser = Parser("table4", __doc__)
    parser.add_argument("--only", choices=PARTS, help="(images and videos)")
    for name, default, what in (
        ("batches", [30, 1], "of images"),
        ("sizes", [16, 32, 64, 128, 256, 512], "sides for OlogN, pixels"),
        ("on_sizes", [16, 32, 64], "sides for cached ON, pixels"),
    ):
        parser.add_argument(
            f"--{name}",
            type=flags.positives,
            default=default,
            metavar="NS",
            help=f"{what} ({','.join(map(str, default))})",
        )
    parser.name("--outputs", "softmax,dmol", "output distributions of the images")
    parser.number("--size", 32, "side of an image, pixels")
    paper_models.add_flags(parser)
    parser.number("--repeats", 5, "rounds")
    parser.number("--naive_evaluations", 4, "timed for naive samplers")
    parser.name("--preset", "large", "recipe whose widths the videos have")
    parser.number("--video_size", 64, "side of a frame, pixels")
    parser.number("--frames", 20, "frames of a clip, two given")
    options = parser.parse(arguments)
    options.outputs = list(dict.fromkeys(options.outputs.split(",")))
    return options


def rows_of(options):
    """The rows of the parts that `--only` names."""
    if options.only == "sizes":
        return list(sizes.rows(options))
    images = speed.image_rows(options) if options.only != "videos" else ()
    return [*images, *(speed.video_rows(options) if options.only != "images" else ())]


def main(arguments):
    """Measures, and writes the page `table4`, with `--only=PART` `table4_PART`, with `--only=sizes`
    `scaling` and its figure."""
    options = parse(arguments)
    if options.only == "sizes":
        machine.require_extra("benchmarks", "matplotlib")
    rows = rows_of(options)
    for row in rows:
        make_run(**row.worker[1])  # reports a wrong value before anything is measured
    results = {"rows": speed.measure(rows, options.repeats)}
    if options.only == "sizes":
        publish(options, "scaling", "Sampling time by image size", results, sizes.body)
        sizes.plot(options.out, results["rows"])
    else:
        name = "table4" if options.only is None else f"table4_{options.only}"
        publish(options, name, "Table 4", results, speed.body)


if __name__ == "__main__":
    flags.run(main)
