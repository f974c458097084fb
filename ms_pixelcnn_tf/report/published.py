"""Published results, to compare with a run's own.

Reference: Reed et al. (2017), tables 1 to 4; Menick and Kalchbrenner (2019), Generating high
fidelity images with subscale pixel networks; Mahajan and Roth (2021), PixelPyramids.
"""

from typing import NamedTuple

from ms_pixelcnn_tf.configs import RunConfig


class Published(NamedTuple):
    """A published table.

    Attributes:
        title: number and subject of the table, and its unit.
        pixels: the exact data that the figures are for.
        columns: names of the columns.
        rows: name of the model → figures; None if there is none.
        unit: unit of the figures.
    """

    title: str
    pixels: str
    columns: tuple
    rows: dict
    unit: str = "nats"


TABLE_1 = Published(
    "Table 1, conditional images, nats per sub-pixel",
    "CUB at 256x256 with captions and keypoints, MPII with captions and keypoints, MS-COCO with "
    "captions and a segmentation",
    (
        "CUB train",
        "CUB validation",
        "CUB test",
        "MPII train",
        "MPII validation",
        "MPII test",
        "COCO train",
        "COCO validation",
    ),
    {
        "PixelCNN": (2.91, 2.93, 2.92, 2.90, 2.92, 2.92, 3.07, 3.08),
        "Multiscale PixelCNN": (2.98, 2.99, 2.98, 2.91, 3.03, 3.03, 3.14, 3.16),
    },
)
TABLE_2 = Published(
    "Table 2, robot pushing, nats per sub-pixel",
    "Google robot pushing at 64x64, 20 frames of which 2 are given, with actions and states",
    ("train", "validation", "test seen", "test novel"),
    {
        "O(T) baseline": (None, 2.06, 2.08, 2.07),
        "O(TN) VPN": (None, 0.62, 0.64, 0.64),
        "O(T)": (1.03, 1.04, 1.04, 1.04),
        "O(T log N)": (0.74, 0.74, 1.06, 0.97),
    },
)
TABLE_3 = Published(
    "Table 3, ImageNet, bits per sub-pixel",
    "small ImageNet as it was published in 2016, which is other pixels than the archive of today; "
    "128x128 of our own resizing",
    ("32x32", "64x64", "128x128"),
    {
        "Real NVP": (4.28, 3.98, None),
        "Conv. DRAW": (4.40, 4.10, None),
        "PixelRNN": (3.86, 3.64, None),
        "Gated PixelCNN": (3.83, 3.57, None),
        "Multiscale PixelCNN": (3.95, 3.70, 3.55),
        "Subscale Pixel Network": (3.85, 3.52, None),
        "PixelPyramids": (None, None, 3.40),
    },
    "bits",
)
TABLE_4 = Published(
    "Table 4, sampling, seconds a frame",
    "a Quadro M4000; images of 32x32 in batches of 30, videos of 64x64 with 18 frames sampled",
    ("as published", "in one graph"),
    {
        "O(N) PixelCNN": (120.0, None),
        "O(log N) Multiscale PixelCNN": (1.17, 1.14),
        "O(TN) VPN": (1929.8, None),
        "O(T)": (0.38, 0.37),
        "O(T log N)": (3.82, 3.07),
    },
    "seconds",
)


def likelihoods_beside(run: RunConfig) -> Published:
    """The published table to compare a run's likelihoods with."""
    if run.model.variant.startswith("OT"):
        return TABLE_2
    conditional = set(run.model.conditions) - {"label"}
    return TABLE_1 if conditional or run.data.dataset in ("cub", "mpii", "coco") else TABLE_3
