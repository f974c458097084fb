"""bin/evaluate: scores a split in one exact pass."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ms_pixelcnn_tf.cli import flags

if TYPE_CHECKING:
    from ms_pixelcnn_tf.evaluation.splits import Evaluation

DESCRIPTION = """Scores each example of a split once, exactly; of a video the frames after those
given."""


def main(arguments: Sequence[str]) -> None:
    """Evaluates as the arguments say."""
    parser = flags.Parser("evaluate", DESCRIPTION)
    flags.add_model_flags(parser)
    parser.add_argument("--split", default="validation", help="(default validation)")
    parser.add_argument(
        "--limit", type=flags.positive, metavar="INT", help="only the first examples (default all)"
    )
    parser.add_argument(
        "--batch_size", type=flags.positive, metavar="INT", help="(default the run's)"
    )
    parser.add_argument(
        "--data_dir", metavar="DIR", help="where the data is now (default the run's)"
    )
    flags.add_checkpoint_flag(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse(arguments)
    flags.model_folder(options)

    with flags.quiet_start():
        from ms_pixelcnn_tf.evaluation.splits import evaluate
        from ms_pixelcnn_tf.runs.run import Run
    run = Run(options.workdir)
    source = run.source(options.data_dir)
    source.size(options.split)  # reports an unknown split before the model is built
    model = run.model(checkpoint=options.checkpoint)
    batch_size = options.batch_size or run.config.train.examples_at_once
    result = evaluate(model, source, options.split, batch_size, limit=options.limit)
    missing = list(run.config.model.missing_scales)
    if options.json:
        print(json.dumps(result.to_dict() | {"missing_scales": missing}, indent=2))
        return
    print(to_text(result))
    if missing:
        print(f"missing: scale {', '.join(missing)}; the total is of the others")


def to_text(result: "Evaluation") -> str:
    """An `Evaluation` as a table."""
    rows = [("total", result), *result.terms.items()]
    rows += [(name, scale) for name, scale in result.scales.items() if name not in result.terms]
    rows += [(f"frame {frame.frame}", frame) for frame in result.frames]
    width = max(len(name) for name, _ in rows)
    example = "clip" if result.frames else "image"
    lines = [
        f"data: {result.description}",
        f"split: {result.split}, {result.examples} examples",
        f"{'term':{width}}  {f'nats/{example}':>12}  bits/sub-pixel  nats/sub-pixel",
    ]
    lines += [
        f"{name:{width}}  {row.nats:12.3f}  {row.bits_per_dim:14.4f}  {row.nats_per_dim:14.4f}"
        for name, row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    flags.run(main)
