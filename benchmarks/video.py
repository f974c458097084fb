"""Trains and scores the video models on `shapes_push` (Table 2); `table4` times them.

    bin/benchmark video train --only=OT --core=0        # minutes (OTlogN: two hours); resumes
    bin/benchmark video table2                          # scores the trained models

`table2` scores each run on the splits of Table 2, and also with the actions and states of other
clips. It measures whether objects that the arm pushed in the real clip also move in the samples,
and in samples one frame ahead of the true ones. It also draws the film strips.
"""

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import machine, runs

SHARED = {
    "dataset": "shapes_push",
    "preset": "tiny",
    "image_size": 32,
    "num_frames": 12,
    "num_levels": 8,
    "frame_blocks": 2,
    "frame_features": 32,
    "lstm_features": 64,
    "batch_size": 2,
    "past_samples": 1,
    "sample_every": 0,
    "checkpoint_every": 250,
}
RUNS = {
    "OT_baseline": {"variant": "OT_baseline", "steps": 2000},
    "OTN": {"variant": "OTN", "steps": 1400},
    "OT": {"variant": "OT", "steps": 2500},
    "OTlogN": {"variant": "OTlogN", "steps": 20000},
    # The effect of augmentation, on shorter runs whose past frames are all true.
    "OTlogN-short": {"variant": "OTlogN", "steps": 1500, "past_samples": 0},
    "OTlogN-short-augmented": {
        "variant": "OTlogN",
        "steps": 1500,
        "past_samples": 0,
        "augment": "jitter,mirror",
    },
}


def configuration(name):
    """The `RunConfig` of one of `RUNS`."""
    return make_run(**(SHARED | RUNS[name]))


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "table2"."""
    parser = runs.RunsParser("video", __doc__, RUNS, ("train", "table2"))
    parser.number("--examples", 100, "clips scored a split")
    parser.number("--pushes", 40, "clips whose pushes are examined")
    parser.number("--rows", 3, "clips in the film strip")
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `table2`."""
    options = parse(arguments)
    if options.mode == "train":
        names = options.only or list(RUNS)
        return runs.train(__file__, options, names, lambda name: [configuration(name)])
    machine.start_tensorflow()
    from parts import video_report

    video_report.write(options, RUNS)


if __name__ == "__main__":
    flags.run(main)
