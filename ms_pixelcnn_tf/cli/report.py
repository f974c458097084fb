"""bin/report: writes one HTML page about a run, or about several side by side."""

import os
import sys
from collections.abc import Sequence

from ms_pixelcnn_tf import pretrained
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.errors import UserError

DESCRIPTION = """Writes one HTML file, with all that it shows inside: the configuration, curves,
likelihoods by split and term beside the published ones, sampling times, samples, pyramids,
super-resolution, surprise, film.

Give --workdir several times to lay runs side by side."""


def main(arguments: Sequence[str]) -> None:
    """Reports as the arguments say."""
    parser = flags.Parser("report", DESCRIPTION)
    parser.add_argument(
        "--workdir",
        action="append",
        default=[],
        type=os.path.expanduser,
        metavar="DIR",
        help="folder of a run; may be given several times",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME|DIR",
        help="a model that ships, or an export's folder; may be given several times",
    )
    parser.add_argument(
        "--out",
        default="report.html",
        type=os.path.expanduser,
        metavar="FILE",
        help="(default report.html)",
    )
    parser.add_argument("--title", metavar="TEXT", help="(default the runs' names)")
    parser.add_argument(
        "--examples",
        type=flags.positive,
        default=200,
        metavar="INT",
        help="scored of each split, from its beginning (default 200)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="INT", help="of samples (default 0)")
    parser.add_argument(
        "--data_dir", metavar="DIR", help="where the data is now (default the runs')"
    )
    flags.add_checkpoint_flag(parser)
    options = parser.parse(arguments)
    folders = [*options.workdir, *(str(pretrained.find(model)) for model in options.model)]
    if not folders:
        raise UserError(
            "no run given; give --workdir=DIR, or --model: " + ", ".join(pretrained.names())
        )
    if options.seed < 0:
        raise UserError(f"seed is {options.seed}; valid: 0 or more")
    if os.path.isdir(options.out):
        raise UserError(f"--out {options.out} is a folder; give a file")

    with flags.quiet_start():
        from ms_pixelcnn_tf.files import write_text
        from ms_pixelcnn_tf.report import page, subject
    names = subject.names(folders)
    subjects = [
        subject.read(folder, name, options.data_dir, options.checkpoint)
        for folder, name in zip(folders, names, strict=True)
    ]
    title = options.title or ", ".join(names)
    built = page.build(
        subjects, title, options.examples, options.seed, lambda text: print(text, file=sys.stderr)
    )
    write_text(options.out, built)
    print(f"wrote {options.out} ({os.path.getsize(options.out) / 1e6:.1f} MB)")


if __name__ == "__main__":
    flags.run(main)
