"""A small CUB-200-2011 in the authentic layout, every part a dot of its own colour."""

import numpy as np
from PIL import Image

CLASSES = [
    "001.Black_footed_Albatross",
    "002.Laysan_Albatross",
    "003.Sooty_Albatross",
    "004.Groove_billed_Ani",
]
PART_NAMES = [
    "back",
    "beak",
    "belly",
    "breast",
    "crown",
    "forehead",
    "left eye",
    "left leg",
    "left wing",
    "nape",
    "right eye",
    "right leg",
    "right wing",
    "tail",
    "throat",
]
SIZES = [(90, 60), (50, 80), (64, 64)]  # width, height
RADIUS = 2


def colour_of(part):
    """The colour of a part's dot."""
    return 255 if part % 2 else 90, 10 * part + 40, 250 - 14 * part


def write_cub(root, images_a_class=3, captions=True):
    """Writes `CUB_200_2011` and `text_c10` below `root`.

    Returns:
        dict image path → list of (x, y, visible), one a part.
    """
    top = root / "CUB_200_2011"
    generator = np.random.default_rng(0)
    tables = {
        name: [] for name in ("images", "image_class_labels", "bounding_boxes", "train_test_split")
    }
    parts, found, number = [], {}, 0
    for label, folder in enumerate(CLASSES, 1):
        for copy in range(images_a_class):
            number += 1
            path = f"{folder}/Bird_{copy:04}_{number}.jpg"
            width, height = SIZES[number % len(SIZES)]
            pixels = np.full((height, width, 3), generator.integers(0, 40, 3), "uint8")
            points = []
            for part in range(15):
                x, y = generator.integers(8, width - 8), generator.integers(8, height - 8)
                visible = int(part % 4 != 1)
                if visible:
                    pixels[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1] = colour_of(
                        part
                    )
                points.append((x + 0.5, y + 0.5, visible))
                parts.append(f"{number} {part + 1} {points[-1][0]} {points[-1][1]} {visible}")
            (top / "images" / folder).mkdir(parents=True, exist_ok=True)
            # The last dot drawn lies on top: only what is seen can be looked for.
            Image.fromarray(pixels).save(top / "images" / path, "PNG")
            found[path] = points
            tables["images"].append(f"{number} {path}")
            tables["image_class_labels"].append(f"{number} {label}")
            tables["bounding_boxes"].append(f"{number} 4.0 5.0 {width - 8}.0 {height - 9}.0")
            tables["train_test_split"].append(f"{number} {copy % 2}")
            if captions:
                text = root / "cvpr2016_cub" / "text_c10" / folder
                text.mkdir(parents=True, exist_ok=True)
                lines = [f"this is caption {n} of bird {number}" for n in range(10)]
                (text / f"Bird_{copy:04}_{number}.txt").write_text("\n".join(lines) + "\n\n")
    tables["classes"] = [f"{n} {name}" for n, name in enumerate(CLASSES, 1)]
    for name, lines in tables.items():
        (top / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (top / "parts").mkdir()
    (top / "parts" / "part_locs.txt").write_text("\n".join(parts) + "\n")
    (top / "parts" / "parts.txt").write_text(
        "".join(f"{n} {name}\n" for n, name in enumerate(PART_NAMES, 1))
    )
    return found
