"""A small MPII in each of the three layouts of its annotation."""

import io
import json

import h5py
import numpy as np
import scipy.io
from PIL import Image

WIDTH, HEIGHT = 320, 240


def person(name="a.jpg", seed=0, **changes):
    """One annotated person; joints are whole numbers from 1, as MPII's."""
    generator = np.random.default_rng(seed)
    # Apart from each other, so that a painted joint is told from its neighbour.
    places = generator.permutation(25)[:16]
    joints = np.stack([places % 5 * 30 + 101, places // 5 * 30 + 51], 1).astype(float)
    joints += generator.integers(0, 9, (16, 2))
    found = {
        "image": name,
        "joints": joints,
        "visible": np.ones(16),
        "scale": 1.0,
        "centre": np.array([160.0, 120.0]),
        "head": (120.0, 60.0, 150.0, 100.0),
    }
    return {**found, **changes}


def write_images(folder, people, paint=False):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for one in people:
        pixels = np.full((HEIGHT, WIDTH, 3), 40, "uint8")
        if paint:
            for joint, (x, y) in enumerate(one["joints"].astype(int)):
                pixels[y - 2 : y + 1, x - 2 : x + 1] = 255, 10 * joint, 200  # about (x-1, y-1)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")  # MPII's are JPEG; the content tells
        (folder / "images" / one["image"]).write_bytes(buffer.getvalue())
    return folder


def write_json(path, people):
    path.write_text(
        json.dumps(
            [
                {
                    "image": one["image"],
                    "scale": one["scale"],
                    "center": list(one["centre"]),
                    "joints": [
                        [x, y] if v else [-1, -1]
                        for (x, y), v in zip(one["joints"], one["visible"], strict=True)
                    ],
                    "joints_vis": [int(v) for v in one["visible"]],
                }
                for one in people
            ]
        )
    )


def write_h5(path, people, codes=False):
    names = [one["image"].encode() for one in people]
    if codes:  # as Torch writes strings
        names = np.array([list(name.ljust(16, b"\0")) for name in names], "float64")
    with h5py.File(path, "w") as file:
        file["imgname"] = names if codes else np.array(names)
        file["part"] = np.array([one["joints"] * (one["visible"] > 0)[:, None] for one in people])
        file["visible"] = np.array([one["visible"] for one in people], float)
        file["scale"] = np.array([one["scale"] * 1.25 for one in people])
        file["center"] = np.array([one["centre"] + [0, 15 * one["scale"]] for one in people])


def struct(**fields):
    """A 1 × 1 struct array."""
    row = np.empty((1, 1), [(name, object) for name in fields])
    for name, value in fields.items():
        row[name][0, 0] = value
    return row


def row_of(structs):
    return np.concatenate(structs, 1) if structs else np.zeros((0, 0))


def rectangle(one, flag=lambda v: str(int(v))):
    points = []
    for joint in np.random.default_rng(1).permutation(16):
        if one["visible"][joint] or one.get("hidden"):
            x, y = one["joints"][joint]
            # Upper neck and head top have an empty flag.
            is_visible = "" if joint in (8, 9) else flag(one["visible"][joint])
            points.append(struct(x=x, y=y, id=joint, is_visible=is_visible))
    x1, y1, x2, y2 = one["head"]
    return struct(
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        scale=one["scale"],
        objpos=struct(x=one["centre"][0], y=one["centre"][1]),
        annopoints=struct(point=row_of(points)) if points else np.zeros((0, 0)),
    )


def write_mat(path, entries, flag=lambda v: str(int(v))):
    """`entries`: list of (image name, list of people or None for no annotation, single_person)."""
    annolist, single, is_train = [], np.empty((len(entries), 1), object), []
    for index, (name, people, alone) in enumerate(entries):
        rectangles = [rectangle(one, flag) for one in people or ()]
        if people is None:  # in the test set a rectangle has no points
            rectangles = [struct(scale=1.0, objpos=struct(x=5, y=5))]
        annolist.append(
            struct(
                image=struct(name=name),
                annorect=row_of(rectangles),
                frame_sec=np.zeros((0, 0)),
                vididx=np.zeros((0, 0)),
            )
        )
        single[index, 0] = np.array(alone, float).reshape(-1, 1)
        is_train.append(0 if people is None else 1)
    act = np.concatenate([struct(cat_name="", act_name="", act_id=-1) for _ in entries], 0)
    scipy.io.savemat(
        path,
        {
            "RELEASE": struct(
                annolist=row_of(annolist),
                img_train=np.array([is_train], "uint8"),
                version="12",
                single_person=single,
                act=act,
                video_list=np.zeros((0, 0)),
            )
        },
    )
