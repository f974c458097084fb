"""A small ImageNet as its owners pack it: tars of pictures, and the list of labels."""

import io
import tarfile

import numpy as np
from PIL import Image

WNIDS = ["n01440764", "n01443537", "n02105855"]


def picture(seed=0, size=(40, 30), mode="RGB", kind="JPEG"):
    generator = np.random.default_rng(seed)
    image = Image.fromarray(generator.integers(0, 256, (5, 6, 3), "uint8")).resize(size, 2)
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, kind)
    return buffer.getvalue()


def tar(files, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


TRAIN = {f"{wnid}/{wnid}_{n}.JPEG": picture(n) for wnid in reversed(WNIDS) for n in (1, 22)}
VAL = {f"ILSVRC2012_val_{number:08d}.JPEG": picture(number) for number in (1, 2, 3)}
LIST = "n02105855\nn01440764\nn01440764\n"


def train_tar(files=TRAIN):
    by_class = {}
    for name, content in files.items():
        by_class.setdefault(name.split("/")[0], {})[name.split("/")[1]] = content
    return tar({f"{wnid}.tar": tar(part) for wnid, part in by_class.items()})
