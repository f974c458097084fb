"""bin/export: writes a trained model as a SavedModel, which needs only TensorFlow."""

import os
from collections.abc import Sequence

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.errors import UserError

DESCRIPTION = """Writes a trained model as a SavedModel with a model card, OUT/1, then OUT/2, …

TensorFlow Serving takes OUT for the model's folder (docs/serving.md)."""


def main(arguments: Sequence[str]) -> None:
    """Exports as the arguments say."""
    parser = flags.Parser("export", DESCRIPTION)
    flags.add_model_flags(parser)
    parser.add_argument(
        "--out",
        required=True,
        type=os.path.expanduser,
        metavar="DIR",
        help="folder of the exports, one a version",
    )
    parser.add_argument(
        "--version",
        type=flags.positive,
        metavar="INT",
        help="(default one more than the largest in --out)",
    )
    flags.add_checkpoint_flag(parser)
    parser.add_argument(
        "--splits",
        default="",
        metavar="NAMES",
        help="splits to score for the card, such as validation,test (default: what the "
        "run's last validation found)",
    )
    parser.add_argument(
        "--limit",
        type=flags.positive,
        metavar="INT",
        help="of these only the first examples (default all)",
    )
    parser.add_argument(
        "--data_dir", metavar="DIR", help="where the data is now (default the run's)"
    )
    options = parser.parse(arguments)
    workdir = flags.model_folder(options)
    if os.path.exists(options.out) and not os.path.isdir(options.out):
        raise UserError(f"--out {options.out} is a file; give a folder")

    with flags.quiet_start():
        from ms_pixelcnn_tf.export import model_card, saved_model
        from ms_pixelcnn_tf.runs import card, datasheet
        from ms_pixelcnn_tf.runs.run import Run
        from ms_pixelcnn_tf.runs.source import load_source
    trained, source = Run(workdir), None
    whole = trained.config
    missing = whole.model.missing_scales
    from_base = "base" not in missing
    run = trained.sampled if missing and from_base else whole
    splits = [split for split in options.splits.split(",") if split]
    if splits:
        source = load_source(run, options.data_dir)
        datasheet.check_same_classes(workdir, source)
        for split in splits:
            source.size(split)  # reports an unknown split before any work is done
    model = trained.model(to_sample=from_base, checkpoint=options.checkpoint)
    if missing:
        made = "x".join(map(str, model.config.image_size))
        print(f"missing: scale {', '.join(missing)}; exported is what there is, up to {made}")
    facts = model_card.facts(model, run, workdir, options.checkpoint, source, splits, options.limit)
    folder = saved_model.export(
        model, run, options.out, facts, datasheet.text(workdir), options.version
    )
    written = card.read(folder) or {}
    for name, graph in written["signatures"].items():
        print(f"  {name}({', '.join(graph['inputs'])})")
    print(f"wrote {folder}")
    base = os.path.abspath(options.out)
    server = "tensorflow_model_server --rest_api_port=8501 --model_name=model"
    print(f"next: {server} --model_base_path={base}")


if __name__ == "__main__":
    flags.run(main)
