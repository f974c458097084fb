"""What the configurations of image and video models share."""

import dataclasses
from typing import Any

from ms_pixelcnn_tf.configs.checks import check_at_least, check_choice
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size, parse_size


def doc(text: str, default: Any) -> Any:
    """A dataclass field with its help text."""
    return dataclasses.field(default=default, metadata={"doc": text})


@dataclasses.dataclass(frozen=True)
class DensityConfig:
    """Fields of every model; a variant ignores those of parts that it does not have.

    Sub-classes set `valid_variants` and give `variant` a default among them.
    """

    valid_variants = ()

    variant: str = doc(
        "images: ON (Gated PixelCNN at full size) or OlogN (multiscale); videos: OT_baseline, OTN, "
        "OT, OTlogN or OT_upscaler",
        "OlogN",
    )
    image_size: tuple[int, int] = doc("target size, 32 or 32x48 (height x width)", (32, 32))
    base_size: tuple[int, int] = doc("size of the autoregressive base of a pyramid", (8, 8))
    channels: int = doc("image channels", 3)
    num_levels: int = doc("levels of a sub-pixel, 2 to 256", 256)
    output: str = doc("law of a sub-pixel: softmax or dmol", "dmol")
    num_mixtures: int = doc("components of dmol", 10)
    base_layers: int = doc("gated layers of the base, or of ON", 4)
    base_features: int = doc("their width", 64)
    first_kernel: int = doc("kernel of the first gated layer, odd", 7)
    residual_blocks: int = doc("residual blocks of each upscaler", 4)
    features: int = doc("width of the upscalers", 64)
    head_features: int = doc("width of the 1x1 layer before the output", 64)
    dtype: str = doc("dtype policy: float32, float64 or mixed_bfloat16", "float32")

    def __post_init__(self):
        check_choice(self, "variant", self.valid_variants)
        check_choice(self, "output", ("softmax", "dmol"))
        check_choice(self, "dtype", ("float32", "float64", "mixed_bfloat16"))
        for name in ("image_size", "base_size"):
            object.__setattr__(self, name, parse_size(getattr(self, name), name))
        if not 2 <= self.num_levels <= 256:
            raise UserError(f"num_levels is {self.num_levels}; valid: 2 to 256")
        if self.first_kernel % 2 == 0 or self.first_kernel < 3:
            raise UserError(f"first_kernel is {self.first_kernel}; valid: odd numbers from 3")
        check_at_least(self, 0, "residual_blocks")
        check_at_least(
            self,
            1,
            "channels",
            "num_mixtures",
            "base_layers",
            "base_features",
            "features",
            "head_features",
        )

    def check_orders_channels(self, *widths: str) -> None:
        """Raises UserError unless the fields named leave a softmax a feature for each channel."""
        narrow = [name for name in widths if getattr(self, name) < self.channels]
        if self.output == "softmax" and narrow:
            raise UserError(
                f"{narrow[0]} is {getattr(self, narrow[0])}; a softmax orders {self.channels} "
                f"channels and needs at least {self.channels} features"
            )


def doubled_sizes(
    base_size: tuple[int, int], image_size: tuple[int, int], variant: str
) -> list[tuple[int, int]]:
    """`[(height, width)]` from base to target, each twice the one before.

    Raises:
        UserError: if the two are not the same power of two, at least 2, apart in height and width.
    """
    sizes = [base_size]
    while sizes[-1][0] < image_size[0]:
        sizes.append((sizes[-1][0] * 2, sizes[-1][1] * 2))
    if sizes[-1] != image_size:
        raise UserError(
            f"base_size {format_size(base_size)} does not reach image_size "
            f"{format_size(image_size)} by doubling both sides; give sizes one power of two "
            "apart, such as 4x6 and 32x48"
        )
    if len(sizes) == 1:
        one = {"OlogN": "ON", "OTlogN": "OTN"}[variant]
        raise UserError(
            f"base_size is image_size, {format_size(image_size)}, which leaves {variant} no scale; "
            f"give a base a power of two smaller, image sides that can be halved, or variant {one}"
        )
    return sizes
