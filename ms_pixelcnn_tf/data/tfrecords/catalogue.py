"""Finds the built data of a data set by its name, and describes the data's pixels.

A name covers the builds of `tfrecords_tools` and those of TFDS's own builders for the same data.
ImageNet at 32x32 and 64x64 exists in two versions whose bits per sub-pixel cannot be compared, so
every description names the version.
"""

import pathlib
import re
from typing import Any

from ms_pixelcnn_tf.errors import UserError

# Name → patterns of the `dataset/config` of its builds.
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
MAX_SIDE = 1024  # pixels; the largest side that bin/make_tfrecords stores
OTHERS = {
    "imagenet_resized": "ImageNet {} new (Chrabaszcz et al.), by TFDS",
    "downsampled_imagenet": "ImageNet {} old (van den Oord et al.), by TFDS",
}


def find_builder(name: str, data_dir: pathlib.Path, side: int) -> Any:
    """Finds the TFDS builder of a data set that is built in a folder.

    Args:
        name: a key of `BUILDS`.
        data_dir: `pathlib.Path` of the folder of all built data, or of one build.
        side: the longer side of the target, in pixels. Of several builds, the one with the smallest
            stored size of at least `side` is chosen; without such a build, the largest.

    Raises:
        UserError: if there is no build, several variants, or several builds of the chosen size.
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
    if len(variants) > 1:  # their splits or pixels differ: the user has to choose
        folders = sorted(found)
    if len(folders) > 1:
        raise UserError(
            f"{data_dir} holds several builds of {name}; give --data_dir one of: "
            f"{', '.join(map(str, folders))}"
        )
    return found[folders[0]][0]


def describe(name: str, builder: Any) -> str:
    """One line that says what the pixels are, with the version if there are several."""
    metadata = builder.info.metadata or {}
    if "description" in metadata:
        return metadata["description"]
    size = builder.builder_config.name if builder.builder_config else ""
    if builder.name in OTHERS:
        return OTHERS[builder.name].format(size)
    return f"{name} ({builder.info.full_name}, by TFDS)"


def _parts(config):
    """A configuration's name → its variant and the stored side in pixels.

    The side is infinite if the name has none: images then have their builder's default size.
    """
    match = re.fullmatch(r"(.*)-(\d+)|(\d+)", config)
    if not match or int(match[2] or match[3]) > MAX_SIDE:  # a year, not a size
        return config, float("inf")
    return match[1] or "", int(match[2] or match[3])
