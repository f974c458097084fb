"""Which built data a data set's name stands for, and what its pixels are.

A name covers what `tfrecords_tools` builds and what TFDS's own builders hold of the same data.
Two versions of ImageNet at 32x32 and 64x64 exist whose bits per sub-pixel do not compare; the name
of the version goes into every description.
"""

import pathlib
import re
from typing import Any

from ms_pixelcnn_tf.errors import UserError

# Name → patterns of `dataset/config` that hold it.
BUILDS = {
    "cub": (r"cub/.*",),
    "mpii": (r"mpii/.*",),
    "coco": (r"coco/.*",),
    "imagenet": (r"imagenet/full.*", r"imagenet2012/?.*"),
    "imagenet32": (
        r"imagenet/(new|old)32.*",
        r"imagenet_resized/32x32",
        r"downsampled_imagenet/32x32",
    ),
    "imagenet64": (
        r"imagenet/(new|old)64.*",
        r"imagenet_resized/64x64",
        r"downsampled_imagenet/64x64",
    ),
    "robot_pushing": (r"robot_pushing/.*",),
    "bair_robot_pushing_small": (r"bair_robot_pushing_small/?.*",),
}
MAX_SIDE = 1024  # pixels, of what bin/make_tfrecords stores
OTHERS = {
    "imagenet_resized": "ImageNet {} new (Chrabaszcz et al.), by TFDS",
    "downsampled_imagenet": "ImageNet {} old (van den Oord et al.), by TFDS",
}


def find_builder(name: str, data_dir: pathlib.Path, side: int) -> Any:
    """The TFDS builder of the data, found by its folder.

    Args:
        name: a key of `BUILDS`.
        data_dir: where it was built (a `pathlib.Path`), or the folder of one build.
        side: the longer side wanted, in pixels. Of several builds the smallest stored size of at
            least that is taken, or the largest.

    Raises:
        UserError: if there is none, or builds of several variants.
    """
    import tensorflow_datasets as tfds

    found, damaged, variants = {}, [], set()
    if (data_dir / "dataset_info.json").is_file():
        candidates = [data_dir]
    else:
        candidates = sorted(path.parent for path in data_dir.glob("*/**/dataset_info.json"))
    for folder in candidates:
        try:
            builder = tfds.builder_from_directory(str(folder))
        except Exception as error:  # TFDS raises many types for damaged metadata
            damaged.append(f"{folder}: {str(error).splitlines()[0] if str(error) else error!r}")
            continue
        config = builder.builder_config.name if builder.builder_config else ""
        build = f"{builder.name}/{config}"
        if any(re.fullmatch(pattern, build) for pattern in BUILDS[name]):
            variant, size = _parts(config)
            found[folder] = builder, size
            variants.add((builder.name, variant))
    if not found:
        if damaged:
            raise UserError(f"no built data of {name} can be read in {data_dir}: {damaged[0]}")
        raise UserError(
            f"no built data of {name} in {data_dir}; build it: bin/make_tfrecords "
            f"--dataset={name.rstrip('0123456789')} --out={data_dir} --help"
        )
    sizes = {folder: size for folder, (_, size) in found.items()}
    enough = [size for size in sizes.values() if size >= side]
    best = min(enough) if enough else max(sizes.values())
    folders = [folder for folder, size in sizes.items() if size == best]
    if len(variants) > 1:  # other splits, or other pixels: not for us to choose
        folders = sorted(found)
    if len(folders) > 1:
        raise UserError(
            f"{data_dir} holds several builds of {name}; give --data_dir one of: "
            f"{', '.join(map(str, folders))}"
        )
    return found[folders[0]][0]


def describe(name: str, builder: Any) -> str:
    """One line on what the pixels are, with the version's name where versions do not compare."""
    metadata = builder.info.metadata or {}
    if "description" in metadata:
        return metadata["description"]
    size = builder.builder_config.name if builder.builder_config else ""
    if builder.name in OTHERS:
        return OTHERS[builder.name].format(size)
    return f"{name} ({builder.info.full_name}, by TFDS)"


def _parts(config):
    """A configuration's name → its variant, and the side in pixels of what is stored; endless where
    images are as in the source."""
    match = re.fullmatch(r"(.*)-(\d+)|(\d+)", config)
    if not match or int(match[2] or match[3]) > MAX_SIDE:  # a year is no size
        return config, float("inf")
    return match[1] or "", int(match[2] or match[3])
