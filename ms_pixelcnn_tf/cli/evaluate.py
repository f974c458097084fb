"""bin/evaluate: one exact pass over a split."""

import json
import os

from ms_pixelcnn_tf.cli import flags


def main(arguments):
    """Evaluates as the arguments say."""
    parser = flags.Parser("evaluate", "Scores each example of a split once, exactly.")
    parser.add_argument("--workdir", required=True, type=os.path.expanduser, metavar="DIR",
                        help="folder of the run")
    parser.add_argument("--split", default="validation", help="(default validation)")
    parser.add_argument(
        "--limit", type=flags.positive, metavar="INT", help="only the first examples (default all)"
    )
    parser.add_argument(
        "--batch_size", type=flags.positive, metavar="INT", help="(default the run's)"
    )
    parser.add_argument("--data_dir", metavar="DIR", help="where the data is now (default the run's)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse(arguments)

    with flags.quiet_start():
        from ms_pixelcnn_tf.evaluation import evaluate
        from ms_pixelcnn_tf.training.checkpoint import load_model, read_run
        from ms_pixelcnn_tf.training.datasheet import check_same_classes
        from ms_pixelcnn_tf.training.loop import load_source
    run = read_run(options.workdir)
    source = load_source(run, options.data_dir)
    source.size(options.split)  # an unknown split is told before the model is built
    check_same_classes(options.workdir, source)
    model = load_model(options.workdir)
    batch_size = options.batch_size or run.train.batch_size
    result = evaluate(model, source, options.split, batch_size, limit=options.limit)
    missing = [name for name in run.model.scale_names if name not in run.model.held_scales]
    if options.json:
        print(json.dumps(result.to_dict() | {"missing_scales": missing}, indent=2))
        return
    print(to_text(result))
    if missing:
        print(f"missing: scale {', '.join(missing)}; the total is of the others")


def to_text(result):
    """An `Evaluation` as a table."""
    rows = [("total", result.nats, result.bits_per_dim)]
    rows += [(name, term.nats, term.bits_per_dim) for name, term in result.terms.items()]
    width = max(len(name) for name, _, _ in rows)
    lines = [
        f"data: {result.description}",
        f"split: {result.split}, {result.examples} examples",
        f"{'term':{width}}  {'nats/image':>12}  bits/sub-pixel",
    ]
    lines += [f"{name:{width}}  {nats:12.3f}  {bits:14.4f}" for name, nats, bits in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    flags.run(main)
