"""A small COCO in the authentic layout."""

import io
import json

import numpy as np
from PIL import Image

from tfrecords_tools.coco import CATEGORIES

WIDTH, HEIGHT = 96, 64
# COCO's numbers are 1 to 90 with ten gaps.
GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
IDS = [number for number in range(1, 91) if number not in GAPS]
BOX = [[16, 0, 48, 0, 48, 64, 16, 64]]  # the left half of the central square


def documents(first=1, count=3, year="2017", part="train"):
    """instances and captions of a split."""
    files = [
        f"COCO_{part}2014_{n:012d}.jpg" if year == "2014" else f"{n:012d}.jpg"
        for n in range(first, first + count)
    ]
    images = [
        {"id": first + n, "file_name": file, "width": WIDTH, "height": HEIGHT, "license": 1}
        for n, file in enumerate(files)
    ]
    objects = [
        {
            "id": 10 * n,
            "image_id": first + n,
            "category_id": 13,
            "iscrowd": 0,
            "segmentation": BOX,
            "area": 1.0,
            "bbox": [0, 0, 1, 1],
        }
        for n in range(count)
    ]
    captions = [
        {"id": 10 * n + k, "image_id": first + n, "caption": f"Caption {k} of {n}.\n"}
        for n in range(count)
        for k in range(5)
    ]
    categories = [
        {"supercategory": "x", "id": number, "name": name}
        for number, name in zip(IDS, CATEGORIES, strict=True)
    ]
    return (
        {
            "info": {},
            "licenses": [],
            "images": images,
            "annotations": objects,
            "categories": categories,
        },
        {"info": {}, "licenses": [], "images": images, "annotations": captions},
    )


def jpeg(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def source_files(year="2017"):
    """dict path → bytes of a small COCO."""
    files = {}
    for part, first in (("train", 1), ("val", 101)):
        instances, captions = documents(first, year=year, part=part)
        files[f"annotations/instances_{part}{year}.json"] = json.dumps(instances).encode()
        files[f"annotations/captions_{part}{year}.json"] = json.dumps(captions).encode()
        for row in instances["images"]:
            files[f"{part}{year}/{row['file_name']}"] = jpeg(row["id"])
    return files


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder
