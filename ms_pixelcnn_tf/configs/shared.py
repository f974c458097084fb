"""Configuration fields that image and video models share, and fields that depart from the paper."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ms_pixelcnn_tf.configs.checks import check_at_least, check_choice
from ms_pixelcnn_tf.configs.scales import HeldScales
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size, parse_size


def doc(text: str, default: Any) -> Any:
    """A dataclass field with its help text."""
    return dataclasses.field(default=default, metadata={"doc": text})


def departure(
    text: str, default: Any, paper: Any, reason: str, choices: tuple = (), ours: Any = None
) -> Any:
    """A field in which this implementation may depart from the paper.

    The preset `paper` sets it to `paper`; docs/departures.md is generated from these fields.

    Args:
        text: its help text.
        default: our value, or the value for runs that are older than the field.
        paper: the paper's value, or our reading where the paper leaves it open.
        reason: why ours differs, in one sentence.
        choices: the valid values, if they are names.
        ours: the value in our presets, if it is not the default.
    """
    metadata = {
        "doc": f"{text}; the paper: {paper}",
        "paper": paper,
        "ours": default if ours is None else ours,
        "reason": reason,
        "choices": choices,
    }
    return dataclasses.field(default=default, metadata=metadata)


def departures(config: Any) -> dict[str, dataclasses.Field]:
    """The fields that `departure` made, by name, of a configuration or its class."""
    fields = dataclasses.fields(config)
    return {field.name: field for field in fields if "paper" in field.metadata}


def paper_values(config: Any) -> dict[str, Any]:
    """Name → the paper's value, for every field that may depart from it."""
    return {name: field.metadata["paper"] for name, field in departures(config).items()}


def check_departures(config: Any) -> None:
    """Raises UserError unless each departure that has `choices` is one of them."""
    for name, field in departures(config).items():
        if field.metadata["choices"]:
            check_choice(config, name, field.metadata["choices"])


@dataclasses.dataclass(frozen=True)
class DensityConfig(HeldScales):
    """Fields of every model; a variant ignores the fields of parts that it does not have.

    Subclasses set `valid_variants` and give `variant` one of them as its default.
    """

    valid_variants = ()

    variant: str = doc(
        "images: ON (Gated PixelCNN at full size) or OlogN (multiscale); videos: OT_baseline, OTN, "
        "OT, OTlogN or OT_upscaler",
        "OlogN",
    )
    image_size: tuple[int, int] = doc("target size, 32 or 32x48 (height x width)", (32, 32))
    base_size: tuple[int, int] = doc("size of the autoregressive base of a pyramid", (8, 8))
    scale: str = doc(
        "what the model holds of its scales: all, or some by their larger size, as base,8,16; an "
        "assembled model's, as base;8,16, are parts that were trained apart",
        "all",
    )
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
    upscaler: str = doc("A (pixels of a group independent) or B (autoregressive patches)", "A")
    patch_size: int = doc("side M of type B's patches", 4)
    decoder_layers: int = doc("gated layers of type B's decoder", 2)
    decoder_features: int = doc("their width", 64)
    dtype: str = doc("dtype policy: float32, float64 or mixed_bfloat16", "float32")
    softmax_law: str = departure(
        "logits of a softmax: free (one free logit per level, usual start) or tent (plus a tent "
        "around a predicted level, and a start at the data's histogram)",
        "tent",
        "free",
        "A free softmax has to learn from scratch that levels are ordered.",
        ("tent", "free"),
    )
    prediction_path: str = departure(
        "linear: a linear prediction of each pixel goes straight to the output layer; or none",
        "linear",
        "none",
        "Much of what can be known of a pixel is known from the first step on.",
        ("linear", "none"),
    )
    pixel_inputs: str = departure(
        "what networks read of a pixel: values (on [-1, 1]) or features (also its square, sines "
        "and cosines, and a constant that marks the border)",
        "features",
        "values",
        "From the value alone a network is slow to tell neighbouring levels apart.",
        ("features", "values"),
    )
    gated_kernel: int = departure(
        "kernel of the gated layers after the first, odd",
        3,
        5,
        "A 3x3 kernel costs a third; depth makes up for the reach.",
    )
    type_a_colour: str = departure(
        "how type A with a softmax orders a pixel's channels: masked (a channel-masked network, "
        "evaluated once per channel) or head (a masked 1x1 head, one evaluation); a dmol orders "
        "none and has one way",
        "head",
        "masked",
        "The trunk runs once per group instead of once per channel; what it gives up is that a "
        "channel sees the earlier channels of neighbouring pixels of its group.",
        ("head", "masked"),
    )
    residual_block: str = departure(
        "convolutions of a residual block: 3x3_3x3, or 3x3_1x1 whose last starts at zero",
        "3x3_1x1",
        "3x3_3x3",
        "Half the cost, and a deep trunk starts as the identity.",
        ("3x3_1x1", "3x3_3x3"),
    )

    def __post_init__(self):
        check_departures(self)
        check_choice(self, "variant", self.valid_variants)
        check_choice(self, "output", ("softmax", "dmol"))
        check_choice(self, "upscaler", ("A", "B"))
        check_choice(self, "dtype", ("float32", "float64", "mixed_bfloat16"))
        for name in ("image_size", "base_size"):
            object.__setattr__(self, name, parse_size(getattr(self, name), name))
        if not 2 <= self.num_levels <= 256:
            raise UserError(f"num_levels is {self.num_levels}; valid: 2 to 256")
        for name in ("first_kernel", "gated_kernel"):
            if getattr(self, name) % 2 == 0 or getattr(self, name) < 3:
                raise UserError(f"{name} is {getattr(self, name)}; valid: odd numbers from 3")
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
            "patch_size",
            "decoder_layers",
            "decoder_features",
        )
        self.check_orders_channels("decoder_features")
        if self.type_a_colour == "masked":
            self.check_orders_channels("features")

    @property
    def pixel_arguments(self) -> dict[str, str]:
        """Arguments common to the pixel networks: the prediction path and the pixel inputs."""
        return {"prediction_path": self.prediction_path, "pixel_inputs": self.pixel_inputs}

    @property
    def starts_at_marginal(self) -> bool:
        """Whether the free logits start at the data's histogram: only for a softmax with a tent."""
        return self.output == "softmax" and self.softmax_law == "tent"

    def check_orders_channels(self, *widths: str) -> None:
        """Raises UserError if the law is a softmax and one of the widths is below `channels`."""
        narrow = [name for name in widths if getattr(self, name) < self.channels]
        if self.output == "softmax" and narrow:
            raise UserError(
                f"{narrow[0]} is {getattr(self, narrow[0])}; a softmax orders {self.channels} "
                f"channels and needs at least {self.channels} features"
            )

    def check_patches(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Raises UserError unless the patches of type B divide group maps of each of the sizes."""
        for size in sizes if self.upscaler == "B" else ():
            if any(side % min(self.patch_size, side) for side in size):
                raise UserError(
                    f"patch_size {self.patch_size} does not divide the group maps of "
                    f"{format_size(size)}; give one that divides both sides"
                )


def doubled_sizes(
    base_size: tuple[int, int], image_size: tuple[int, int], variant: str
) -> list[tuple[int, int]]:
    """`[(height, width)]` from base to target, each twice the previous one.

    Raises:
        UserError: unless both sides of the image are those of the base times the same power of
            two, at least 2.
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
