"""bin/sample: draws images from a trained model."""

import os

import numpy as np

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import unknown
from ms_pixelcnn_tf.errors import UserError

MAX_PIXELS = 2**27  # of the picture, 400 MB in memory
MAX_NAMES_SHOWN = 20


def main(arguments):
    """Samples as the arguments say."""
    parser = flags.Parser("sample", "Draws images and writes them as one PNG.")
    parser.add_argument("--workdir", required=True, type=os.path.expanduser, metavar="DIR",
                        help="folder of the run")
    parser.add_argument("--num", type=flags.positive, default=16, metavar="INT",
                        help="number of images (default 16)")
    parser.add_argument("--seed", type=int, default=0, metavar="INT", help="(default 0)")
    parser.add_argument("--out", default="samples.png", metavar="FILE",
                        help="(default samples.png)")
    parser.add_argument("--label", metavar="CLASS",
                        help="class of all images, by number or name (default: all in turn)")
    parser.add_argument("--trajectory", action="store_true",
                        help="one row an image: the pyramid from base to target")
    parser.add_argument("--scale", type=flags.positive, default=4, metavar="INT",
                        help="magnification (default 4)")
    options = parser.parse(arguments)
    if options.seed < 0:
        raise UserError(f"seed is {options.seed}; valid: 0 or more")

    with flags.quiet_start():
        from ms_pixelcnn_tf import pictures, pixels
        from ms_pixelcnn_tf.training.checkpoint import load_model, read_run
        from ms_pixelcnn_tf.training.datasheet import read_class_names
    config = read_run(options.workdir).model
    check_picture_size(options, config)
    names = read_class_names(options.workdir)
    conditions = label_conditions(options.label, options.num, config.num_classes, names)
    model = load_model(options.workdir)
    levels = model.sample(options.num, conditions, seed=options.seed)
    scales = model.trajectory(levels) if options.trajectory else [levels]
    images = [pixels.dequantise(scale, model.config.num_levels) for scale in scales]
    if options.trajectory:
        picture = pictures.trajectory(images, options.scale)
    else:
        picture = pictures.grid(images[0], scale=options.scale)
    pictures.write_png(options.out, picture)
    print(f"wrote {options.out}")


def check_picture_size(options, config):
    """Raises UserError if the picture would be larger than `MAX_PIXELS`."""
    height, width = config.image_size
    columns = len(config.sizes) if options.trajectory else 1
    pixels = options.num * columns * height * width * options.scale**2
    if pixels > MAX_PIXELS:
        raise UserError(
            f"{options.num} images magnified {options.scale} times make a picture of {pixels:,} "
            f"pixels; valid: up to {MAX_PIXELS:,}; lower --num or --scale"
        )


def label_conditions(label, num, num_classes, names=()):
    """The `conditions` of `num` images; None for an unconditional model.

    Args:
        label: None for all classes in turn, a class's number (as text or int), or its name.
        num: number of images.
        num_classes: of the model; 0 for an unconditional one.
        names: of the classes, as far as they are known.

    Raises:
        UserError: for a label the model does not have.
    """
    if not num_classes:
        if label is not None:
            raise UserError("this model is unconditional; leave --label out")
        return None
    if label is None:
        return {"label": np.arange(num, dtype="int32") % num_classes}
    try:
        number = int(label)
    except ValueError:
        number = None
    named = names.index(label) if label in names else number
    if named is None:
        known = names or tuple(map(str, range(num_classes)))
        raise unknown("label", label, known[:MAX_NAMES_SHOWN])
    if number is not None and number != named and 0 <= number < num_classes:
        raise UserError(
            f"label {label} may be class number {number} or the class of that name, number {named}; "
            "rename the class's folder"
        )
    number = named
    if not 0 <= number < num_classes:
        raise UserError(f"label is {label}; valid: 0 to {num_classes - 1}")
    return {"label": np.full(num, number, "int32")}


if __name__ == "__main__":
    flags.run(main)
