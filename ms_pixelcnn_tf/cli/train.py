"""bin/train: trains a model, or resumes the run in --workdir."""

import dataclasses
import os
from collections.abc import Sequence

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import flags, launcher
from ms_pixelcnn_tf.configs import PRESETS, RunConfig, make_run, unknown
from ms_pixelcnn_tf.errors import UserError

DESCRIPTION = """Trains a model. The same command again goes on where it stopped; Ctrl-C saves.

Every field of the configuration is a flag, --field=value; the preset gives the others.

--scale=each trains every scale by a process of its own, all at once, and prints the commands that
do the same on many machines. With TF_CONFIG set, several machines train together
(docs/training.md)."""


def parse(arguments: Sequence[str]) -> tuple[RunConfig, str]:
    """Arguments → `(RunConfig, workdir)`; for --scale=each, the scale is "all"."""
    parser = flags.Parser("train", DESCRIPTION)
    parser.add_argument(
        "--preset", default="tiny", metavar="NAME", help=f"{', '.join(PRESETS)} (default tiny)"
    )
    parser.add_argument(
        "--workdir", metavar="DIR", help="(default runs/<dataset>-<variant>-<preset>)"
    )
    flags.add_config_flags(parser)
    fields = vars(parser.parse(arguments))
    preset, workdir = fields.pop("preset"), fields.pop("workdir")
    each = fields.get("scale") == launcher.EACH
    if each:
        fields["scale"] = "all"
    run = make_run(preset=preset, **fields)
    if each and len(run.model.scale_names) == 1:
        raise UserError(
            f"scale is each, but variant {run.model.variant} has one scale; valid: OlogN, OTlogN"
        )
    if each:  # what no part can have is refused before any is started
        make_run(preset=preset, **fields | {"scale": "base"})
    if run.data.dataset not in data.names():
        raise unknown("dataset", run.data.dataset, data.names())
    if run.data.data_dir:  # so that the run can be evaluated from any folder
        data_dir = os.path.abspath(os.path.expanduser(run.data.data_dir))
        run = dataclasses.replace(run, data=dataclasses.replace(run.data, data_dir=data_dir))
    return run, os.path.expanduser(
        workdir or ""
    ) or f"runs/{run.data.dataset}-{run.model.variant}-{preset}"


def main(arguments: Sequence[str]) -> None:
    """Trains as the arguments say."""
    run, whole = parse(arguments)
    scales = run.model.scale_names
    if launcher.is_asked_for(arguments):
        return launcher.launch(arguments, scales, whole)
    with flags.quiet_start():
        from ms_pixelcnn_tf.runs import datasheet
        from ms_pixelcnn_tf.runs import scales as parts
        from ms_pixelcnn_tf.runs.metrics import read_metrics
        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training import loop
        from ms_pixelcnn_tf.training.replicas import Replicas

        replicas = Replicas()  # before TensorFlow does anything
    if run.model.scale != "all":
        print(f"training scale {run.model.scale} of {', '.join(scales)}")
    source = load_source(run)
    run = loop.fit_to_source(run, source)
    workdir = parts.folder_of(whole, run)
    if parts.parts(whole) and datasheet.has_datasheet(whole):
        datasheet.check_same_data(whole, source)
    print(f"data: {source.description}")
    print(f"run: {workdir} (tensorboard --logdir {workdir})", flush=True)
    loop.train(run, workdir, source, replicas)
    if not replicas.is_chief:
        return
    last = read_metrics(workdir)[-1]  # every run ends with a validation
    nats = f" ({last['validation_nats']:.4f} nats)" if source.is_video else ""
    bits = f"{last['validation_bits']:.4f} bits per sub-pixel{nats}"
    print(f"{last['step']} steps: validation {bits}")
    print(f"of: {source.description}")
    print(f"next: bin/sample --workdir {whole}")


if __name__ == "__main__":
    flags.run(main)
