"""Configuration of the video models, which differ in how they factorise a frame given the past.

Reference: Reed et al. (2017), section 4.3; Kalchbrenner et al. (2016b), Video Pixel Networks.
"""

import dataclasses

from ms_pixelcnn_tf.configs.checks import check_at_least
from ms_pixelcnn_tf.configs.shared import DensityConfig, departure, doc, doubled_sizes
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

VIDEO_VARIANTS = ("OT_baseline", "OTN", "OT", "OTlogN", "OT_upscaler")
VIDEO_FIELDS = ("actions", "states")


@dataclasses.dataclass(frozen=True)
class VideoConfig(DensityConfig):
    """Configuration of a video model. `image_size` is the size of a frame.

    Variants: OT_baseline (sub-pixels independent given the past), OTN (the Video Pixel Network), OT
    (groups 1 to 4 at full size), OTlogN (a pyramid on an autoregressive base), and OT_upscaler
    (groups 2 to 4, given only the frame at half its size and the previous frame at full size).
    """

    valid_variants = VIDEO_VARIANTS
    variant: str = dataclasses.field(
        default="OT", metadata=DensityConfig.__dataclass_fields__["variant"].metadata
    )
    num_frames: int = doc("frames T of a clip", 20)
    given_frames: int = doc("frames given at its start", 2)
    action_size: int = doc("numbers of an action; 0 for none", 5)
    state_size: int = doc("numbers of a state; 0 for none", 5)
    frame_blocks: int = doc("residual multiplicative blocks of the frame encoder", 8)
    frame_features: int = doc("width c of residual multiplicative blocks; they carry 2c", 128)
    frame_stride: int = doc(
        "the frame encoder and the ConvLSTM work at 1/stride of a frame's size; 1 is the "
        "paper's resolution-preserving encoder",
        1,
    )
    lstm_features: int = doc("width of the ConvLSTM", 256)
    frame_decoder_blocks: int = doc(
        "residual multiplicative blocks of the decoder of OTN and OT_baseline", 12
    )
    recompute_blocks: bool = doc(
        "recompute blocks in the backward pass: far less memory, up to a third more time", False
    )

    previous_frame: str = departure(
        "whether each network also reads the previous frame's pixels: given or none (the ConvLSTM "
        "alone holds the past); OT_upscaler, which has nothing else, always does",
        "given",
        "none",
        "A frame is first of all the one before it.",
        ("given", "none"),
    )
    memory_norms: str = departure(
        "normalisation of the ConvLSTM's inputs and gates: layer or none",
        "layer",
        "none",
        "Without it a few hundred steps of Adam saturate the gates.",
        ("layer", "none"),
    )
    pose_places: str = departure(
        "what actions and states are tiled with: coordinates (of each place) or none",
        "coordinates",
        "none",
        "A pose is a place, which a convolution over tiled numbers cannot find.",
        ("coordinates", "none"),
    )
    encoder_dilation: int = departure(
        "largest dilation of the frame encoder's blocks: it doubles from block to block up to "
        "this, then starts again at 1",
        1,
        8,
        "Undilated convolutions are several times as fast on CPUs.",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.encoder_dilation < 1 or self.encoder_dilation & (self.encoder_dilation - 1):
            raise UserError(
                f"encoder_dilation is {self.encoder_dilation}; valid: powers of two such as 1, 8"
            )
        check_at_least(self, 0, "action_size", "state_size", "frame_blocks")
        check_at_least(
            self,
            1,
            "given_frames",
            "frame_features",
            "frame_stride",
            "lstm_features",
            "frame_decoder_blocks",
        )
        if self.variant in ("OT", "OTlogN", "OT_upscaler"):
            check_at_least(self, 1, "residual_blocks")
        if self.num_frames <= self.given_frames:
            raise UserError(
                f"num_frames is {self.num_frames}, of which {self.given_frames} are given; valid: "
                f"{self.given_frames + 1} or more"
            )
        if self.variant in ("OT_baseline", "OTN") and self.output != "softmax":
            raise UserError(f"output is {self.output}; variant {self.variant} has softmax only")
        if self.variant == "OTN":
            self.check_orders_channels("frame_features")
        self.check_orders_channels("base_features", "head_features")
        divisor = {"OT_upscaler": 1}.get(self.variant, self.frame_stride)
        if any(side % divisor for side in self.image_size):
            raise UserError(
                f"frame_stride {self.frame_stride} does not divide frames of "
                f"{format_size(self.image_size)}"
            )
        if self.variant in ("OT", "OT_upscaler") and any(side % 2 for side in self.image_size):
            raise UserError(
                f"image_size is {format_size(self.image_size)}; variant {self.variant} needs even "
                "sides"
            )
        *smaller, _ = self.sizes  # raises UserError if the sizes form no pyramid
        if self.variant == "OT":
            height, width = self.image_size
            smaller = [(height // 2, width // 2)]
        self.check_patches(smaller)
        if self.variant != "OTlogN" and self.scale != "all":
            raise UserError(
                f"scale is {self.scale}; variant {self.variant} has one scale; valid: all"
            )
        self.check_scale()

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions in use, from actions and states; none for OT_upscaler."""
        if self.variant == "OT_upscaler":
            return ()
        sizes = {"actions": self.action_size, "states": self.state_size}
        return tuple(name for name, size in sizes.items() if size)

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the scales: for OTlogN as for images, for the other variants only "base"."""
        return super().scale_names if self.variant == "OTlogN" else ("base",)

    def encoder_groups(self) -> dict[str, list[str]]:
        """The held scales, grouped by the encoder of the past that they share.

        Scales that are trained together share one.

        Returns:
            Name of the encoder → names of its scales. "past" is the encoder of the base; any other
            is named after its smallest scale. Empty for OT_upscaler, which has none.
        """
        parts = self.scale_parts if self.variant != "OT_upscaler" else ()
        return {"past" if part[0] == "base" else f"past_{part[0]}": list(part) for part in parts}

    @property
    def sees_previous(self) -> bool:
        """Whether the networks read the previous frame's pixels; always true for OT_upscaler."""
        return self.previous_frame == "given" or self.variant == "OT_upscaler"

    @property
    def predicted_frames(self) -> int:
        """Number of frames that have a likelihood: all but the given ones."""
        return self.num_frames - self.given_frames

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """`[(height, width)]`: base to frame (OTlogN), half and full (OT_upscaler), or one size."""
        if self.variant == "OTlogN":
            return doubled_sizes(self.base_size, self.image_size, self.variant)
        if self.variant == "OT_upscaler":
            height, width = self.image_size
            return [(height // 2, width // 2), self.image_size]
        return [self.image_size]
