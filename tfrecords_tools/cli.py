"""bin/make_tfrecords: converts a data set's archives into TFRecords."""

import logging
import os
from collections.abc import Iterable

from ms_pixelcnn_tf.cli import flags

DESCRIPTION = """Converts a data set as its owners publish it into TFRecords, by TFDS.

Archives in --source are read where they lie, nothing is unpacked. A build that was stopped
leaves nothing that could be taken for whole; the same command builds it anew. Options of a Beam
runner go after --, as in: --runner=FlinkRunner -- --flink_master=localhost:8081"""


def main(arguments: Iterable[str]) -> None:
    """Builds the data set that the arguments name and prints a summary."""
    parser = flags.Parser("make_tfrecords", DESCRIPTION)
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help="cub, mpii, coco, imagenet or robot_pushing",
    )
    parser.add_argument("--source", required=True, metavar="PATH", help="folder or archive")
    parser.add_argument("--out", required=True, metavar="DIR", help="where built data goes")
    parser.add_argument(
        "--variant",
        default="",
        metavar="NAME",
        help="a choice of the data set's own: a wrong one lists them",
    )
    parser.add_argument(
        "--image_size",
        type=int,
        default=0,
        metavar="INT",
        help="side of the stored images, pixels (default 0: the data set's own)",
    )
    parser.add_argument(
        "--max_examples",
        type=int,
        default=0,
        metavar="INT",
        help="at most so many a split (default 0: all)",
    )
    parser.add_argument(
        "--workers",
        type=flags.positive,
        default=os.cpu_count() or 1,
        metavar="INT",
        help="processes (default one a core)",
    )
    parser.add_argument(
        "--runner",
        default="",
        metavar="NAME",
        help="convert on Apache Beam: direct, FlinkRunner, SparkRunner, …",
    )
    own, runner_options = split_at_dashes(arguments)
    options = parser.parse(own)

    quiet()
    with flags.quiet_start():
        from tfrecords_tools.build import build
    summary = build(runner_options=runner_options, **vars(options))
    print(f"{'built' if summary.is_new else 'already there'}: {summary.path}")
    print(f"data: {summary.description}")
    for split, count in summary.examples.items():
        print(f"  {split}: {count:,} examples")
    print(f"left out: {summary.skips}")


def split_at_dashes(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """The arguments before `--` and those after it."""
    arguments = list(arguments)
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def quiet() -> None:
    """Hides TFDS's messages below errors; the summary replaces them."""
    for name in ("absl", "tensorflow_datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    flags.run(main)
