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
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.errors import UserError
from parts import runs

IMAGES = {
    "dataset": "shapes",
    "preset": "tiny",
    "image_size": 32,
    "base_size": 4,
    "num_levels": 32,
    "base_features": 48,
    "evaluation_examples": 400,
    "evaluate_every": 1000,
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
            "evaluate_every": 300,
            "sample_every": 0,
            "checkpoint_every": 300,
            "deterministic": True,
        }
    },
}
MAX_BYTES = 5 * 2**20  # of a model in the package


def configuration(name, scale):
    """The `RunConfig` of some scales of one of `RUNS`."""
    fields = RUNS[name][scale]
    return make_run(**fields) if scale == "all" else make_run(**fields, scale=scale)


def pack(options):
    """Scores the trained runs, or one, and writes them into the package."""
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf import pretrained
        from ms_pixelcnn_tf.export import model_card
        from ms_pixelcnn_tf.files import write_text
        from ms_pixelcnn_tf.runs import card, datasheet, scales, snapshots
        from ms_pixelcnn_tf.runs.checkpoint import latest_step
        from ms_pixelcnn_tf.runs.folder import CHECKPOINTS, CONFIG
        from ms_pixelcnn_tf.runs.run import Run
    out = pathlib.Path(options.out) if options.out else pretrained.FOLDER
    for name in options.only or RUNS:
        workdir, folder = pathlib.Path(options.workdir) / name, out / name
        step = 0
        for part, run in (scales.parts(workdir) or {workdir: Run(workdir).config}).items():
            step = max(step, latest_step(part))
            if latest_step(part) < run.train.steps:
                raise UserError(f"{part} has not reached step {run.train.steps}; train it on")
        trained = Run(workdir)
        run, model, source = trained.config, trained.model(), trained.source()
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
        print(f"wrote {folder} ({size / 1e6:.2f} MB): {facts['bits_per_dim']}", flush=True)


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "pack"."""
    parser = runs.RunsParser("ready_made", __doc__, RUNS, ("train", "pack"))
    parser.set_defaults(out=None)
    parser.add_argument(
        "--limit", type=flags.positive, metavar="N", help="examples scored of each split (all)"
    )
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `pack`."""
    options = parse(arguments)
    if options.mode == "pack":
        return pack(options)
    names = options.only or list(RUNS)
    runs.train(
        __file__, options, names, lambda name: [configuration(name, scale) for scale in RUNS[name]]
    )


if __name__ == "__main__":
    flags.run(main)
