"""Trains and packs the models that ship with the package.

    bin/benchmark ready_made train --only=shapes-tiny --core=0     # half an hour of a core; resumes
    bin/benchmark ready_made train --only=shapes-text-tiny --core=1
    bin/benchmark ready_made train --only=shapes-push-tiny
    bin/benchmark ready_made pack                                  # scores them, writes their files

`pack` scores each model on whole splits and writes its configuration, weights, datasheet and card
into the package, where `ms.load("shapes-tiny")` finds them.
"""

import pathlib
import shutil

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, unknown
from ms_pixelcnn_tf.errors import UserError
from parts.processes import pin

IMAGES = {
    "dataset": "shapes",
    "preset": "tiny",
    "image_size": 32,
    "base_size": 4,
    "num_levels": 32,
    "base_features": 48,
    "seed": 0,
    "evaluation_examples": 400,
    "evaluate_every": 1000,
    "sample_every": 1000,
    "checkpoint_every": 500,
    "log_every": 50,
    "deterministic": True,
}
TEXT = IMAGES | {
    "conditions": "text",
    "text_width": 48,
    "residual_blocks": 2,
    "base_layers": 3,
    "encoder_shared_to": 8,
}
RUNS = {  # name → scales trained together → their fields
    "shapes-tiny": {
        "all": IMAGES | {"base_layers": 4, "residual_blocks": 3, "batch_size": 32, "steps": 5000}
    },
    # The scales up to 8x8 decide the places and the colours, and take most of the time.
    "shapes-text-tiny": {
        "base,8": TEXT | {"batch_size": 64, "steps": 6_000},
        "16,32": TEXT | {"batch_size": 16, "steps": 1500},
    },
    "shapes-push-tiny": {
        "all": {
            "dataset": "shapes_push",
            "preset": "tiny",
            "variant": "OTlogN",
            "image_size": 32,
            "num_frames": 12,
            "num_levels": 8,
            "lstm_features": 32,
            "batch_size": 2,
            "steps": 1200,
            "seed": 0,
            "evaluation_examples": 40,
            "evaluate_every": 300,
            "sample_every": 0,
            "checkpoint_every": 300,
            "log_every": 50,
            "deterministic": True,
        }
    },
}
MAX_BYTES = 5 * 2**20  # of a model in the package


def configuration(name, scale):
    """The `RunConfig` of some scales of one of `RUNS`."""
    fields = RUNS[name][scale]
    return make_run(**fields) if scale == "all" else make_run(**fields, scale=scale)


def train(options):
    """Trains one run on one core."""
    pin(options.core)
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf.runs import scales
        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training import loop
    tf.config.threading.set_intra_op_parallelism_threads(1)
    workdir = pathlib.Path(options.workdir) / options.only
    for scale in RUNS[options.only]:
        run = configuration(options.only, scale)
        source = load_source(run)
        run = loop.fit_to_source(run, source)
        loop.train(run, scales.folder_of(workdir, run), source)


def pack(options):
    """Scores the trained runs, or one, and writes them into the package."""
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf import pretrained
        from ms_pixelcnn_tf.export import model_card
        from ms_pixelcnn_tf.files import write_text
        from ms_pixelcnn_tf.runs import card, datasheet, scales, snapshots
        from ms_pixelcnn_tf.runs.checkpoint import latest_step
        from ms_pixelcnn_tf.runs.run import Run
        from ms_pixelcnn_tf.runs.scales import CHECKPOINTS, CONFIG
        from ms_pixelcnn_tf.runs.source import load_source
    out = pathlib.Path(options.out) if options.out else pretrained.FOLDER
    for name in [options.only] if options.only else RUNS:
        workdir, folder = pathlib.Path(options.workdir) / name, out / name
        step = 0
        for part, run in (scales.parts(workdir) or {workdir: Run(workdir).config}).items():
            step = max(step, latest_step(part))
            if latest_step(part) < run.train.steps:
                raise UserError(
                    f"{part} is at step {latest_step(part)} of {run.train.steps}; train it on"
                )
        trained = Run(workdir)
        run, model, source = trained.config, trained.model(), load_source(trained.config)
        splits = [split for split in source.splits if split != "train"]
        facts = model_card.facts(
            model, run, workdir, source=source, splits=splits, limit=options.limit
        )
        facts |= {"name": name, "command": f"bin/benchmark ready_made train --only={name}"}
        shutil.rmtree(folder, ignore_errors=True)
        weights = tf.train.Checkpoint(averaged=snapshots.by_name(model.trainable_variables))
        snapshots.write(weights, folder / CHECKPOINTS, step, kept=1)
        write_text(folder / CONFIG, run.to_json())
        write_text(folder / datasheet.DATASHEET, datasheet.text(workdir))
        files = [path for path in folder.rglob("*") if path.is_file()]
        card.write(folder, facts, [str(path.relative_to(folder)) for path in files])
        size = sum(path.stat().st_size for path in files)
        if size > MAX_BYTES:
            raise UserError(f"{folder} has {size:,} bytes; valid: up to {MAX_BYTES:,}")
        for row in facts["bits_per_dim"]:
            print(
                f"{name}: {row['bits_per_dim']:.4f} bits per sub-pixel, {row['split']}, "
                f"{row['examples']:,} examples"
            )
        print(f"wrote {folder} ({size / 1e6:.2f} MB)", flush=True)


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "pack"."""
    mode = arguments[0] if arguments[:1] in (["train"], ["pack"]) else None
    parser = flags.Parser("benchmark ready_made", __doc__)
    parser.add_argument("mode", choices=("train", "pack"))
    parser.add_argument(
        "--workdir",
        default="runs/ready_made",
        metavar="DIR",
        help="holds one folder a run (runs/ready_made)",
    )
    parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(RUNS)}")
    if mode != "pack":
        parser.add_argument("--core", type=int, metavar="N", help="the core to run on (the first)")
    if mode != "train":
        parser.add_argument("--out", metavar="DIR", help="(default the package's folder)")
        parser.add_argument(
            "--limit", type=flags.positive, metavar="N", help="examples scored of each split (all)"
        )
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `pack`."""
    options = parse(arguments)
    if options.only is not None and options.only not in RUNS:
        raise unknown("run", options.only, RUNS)
    if options.mode == "pack":
        return pack(options)
    if options.only is None:
        raise UserError(f"give --only, one of {', '.join(RUNS)}")
    return train(options)


if __name__ == "__main__":
    flags.run(main)
