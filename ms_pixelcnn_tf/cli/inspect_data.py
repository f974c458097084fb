"""bin/inspect_data: draws a contact sheet of examples with their labels, captions and maps."""

from collections.abc import Sequence

import numpy as np

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import unknown

SIDE, FRAME_SIDE, FRAMES = 160, 96, 10
VIDEO_FIELDS = ("frames", "actions", "states")
FOLDER_FLAGS = {
    "labels": "'folders' or 'metadata' gives the classes (none)",
    "background": "colour that transparent pixels are laid over (white)",
    "split_by": "field of the metadata; equal values go to the same split",
}
IMAGE_FIELDS = ("image", "label", "text", "keypoints", "segmentation")


def main(arguments: Sequence[str]) -> None:
    """Draws as the arguments say."""
    parser = flags.Parser("inspect_data", "Draws examples of a data set, as training reads them.")
    parser.add_argument("--dataset", required=True, metavar="NAME", help=", ".join(data.names()))
    parser.add_argument("--data_dir", metavar="DIR", help="folder or archive, if it needs one")
    parser.add_argument(
        "--image_size",
        type=flags.size,
        metavar="SIZE",
        help="32 or 32x48 (default the data set's own)",
    )
    parser.add_argument(
        "--source_size",
        type=flags.positive,
        default=0,
        metavar="INT",
        help="size to read at, of which every n-th pixel is kept (image_size's own)",
    )
    for name, meaning in FOLDER_FLAGS.items():
        parser.add_argument(
            f"--{name}", default=data.DEFAULTS[name], help=f"folder data: {meaning}"
        )
    parser.add_argument("--captions", action="store_true", help="folder data: show its captions")
    parser.add_argument(
        "--num_frames", type=flags.positive, metavar="INT", help="of a video (default 20)"
    )
    parser.add_argument("--split", default="train", help="(default train)")
    parser.add_argument(
        "--num", type=flags.positive, default=24, metavar="INT", help="examples (default 24)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="INT", help="which (default 0)")
    parser.add_argument(
        "--columns",
        type=flags.positive,
        default=6,
        metavar="INT",
        help="pictures a row (default 6)",
    )
    parser.add_argument(
        "--out", default="preview.png", metavar="FILE", help="(default preview.png)"
    )
    options = parser.parse(arguments)
    if options.dataset not in data.names():
        raise unknown("dataset", options.dataset, data.names())

    with flags.quiet_start():
        from ms_pixelcnn_tf.drawing import contact_sheet, grids

        source = data.load(
            options.dataset,
            image_size=options.image_size,
            data_dir=options.data_dir,
            captions=options.captions,
            **{name: getattr(options, name) for name in FOLDER_FLAGS},
            num_frames=options.num_frames,
            source_size=options.source_size,
        )
    size = source.size(options.split)
    chosen = np.random.default_rng(abs(options.seed)).permutation(size)[: options.num]
    examples = source.examples(options.split, chosen)
    known = VIDEO_FIELDS if source.is_video else IMAGE_FIELDS
    examples = {field: values for field, values in examples.items() if field in known}
    if source.is_video:
        sheet = contact_sheet.video_sheet(examples, FRAME_SIDE, FRAMES)
    else:
        sheet = contact_sheet.image_sheet(examples, source.class_names, options.columns, SIDE)
    grids.write_png(options.out, sheet)
    sizes = ", ".join(f"{split} {source.size(split):,}" for split in source.splits)
    print(f"data: {source.description}")
    print(f"splits: {sizes}")
    print(f"fields: {', '.join(examples)}")
    print(f"wrote {options.out}: {len(chosen)} of {size:,} examples of {options.split}")


if __name__ == "__main__":
    flags.run(main)
